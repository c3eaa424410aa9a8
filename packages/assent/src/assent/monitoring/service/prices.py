"""What the tokens of a version cost."""

from assent.kernel.tx import Reader
from assent.providers import service as providers
from assent.providers.service import Price
from assent.registry import service as registry


def price_of(reader: Reader, project: str, version: str) -> Price | None:
    """Find the price of a version's model; None where nobody said so, or for a version that calls none."""
    found = registry.find_by_digest(reader, project, version)
    if found is None:
        return None
    names = (found.document.get("upstream_model"), found.document.get("base_model"))
    return providers.price_for(reader, project, *names)
