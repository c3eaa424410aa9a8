"""Where a project's pages are: the links under the masthead, those only that the visitor may follow."""

from collections.abc import Iterable
from dataclasses import dataclass

from assent.console.parts import Link
from assent.identity.domain import Permission


@dataclass(frozen=True, slots=True)
class Place:
    """One page of a project; `path` comes after `/projects/NAME`."""

    text: str
    path: str
    permission: Permission


PLACES = (
    Place("Search", "/search", Permission.MODEL_READ),
    Place("Prompts", "/prompts", Permission.PROMPT_READ),
    Place("Evaluations", "/evaluations", Permission.EVALUATION_READ),
    Place("Labelling", "/labelling", Permission.EVALUATION_READ),
    Place("Judges", "/judges", Permission.EVALUATION_READ),
    Place("Cards", "/cards", Permission.CARD_READ),
    Place("Policies", "/policies", Permission.POLICY_READ),
    Place("Flags", "/flags", Permission.FLAG_READ),
    Place("People", "/people", Permission.PERSON_READ),
    Place("Keys", "/keys", Permission.KEY_READ),
    Place("Monitoring", "/monitoring", Permission.MONITORING_READ),
    Place("Alerts", "/alerts", Permission.MONITORING_READ),
    Place("Incidents", "/incidents", Permission.MONITORING_READ),
    Place("Retirement", "/retirement", Permission.MODEL_READ),
    Place("Inventory", "/inventory", Permission.COVERAGE_READ),
    Place("Notifications", "/notifications", Permission.SUBSCRIPTION_READ),
    Place("Ledger", "/ledger", Permission.LEDGER_READ),
)
"""In the order of the work: what there is, what is known of it, who decides, what runs, what is proved."""


def places(project: str, allowed: Iterable[Permission]) -> list[Link]:
    """Give the pages of a project that somebody with these permissions may see."""
    held = frozenset(allowed)
    return [
        Link(place.text, f"/projects/{project}{place.path}") for place in PLACES if place.permission in held
    ]
