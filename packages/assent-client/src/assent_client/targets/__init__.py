"""Other engines that route by our decisions: what they are to do, and what they were given."""

from assent_client.targets.desired import Backend, Desired, Settings, Slice, desired_of, read_settings
from assent_client.targets.documents import httproute, render
from assent_client.targets.target import Actual, Receipt, Target

__all__ = [
    "Actual",
    "Backend",
    "Desired",
    "Receipt",
    "Settings",
    "Slice",
    "Target",
    "desired_of",
    "httproute",
    "read_settings",
    "render",
]
