"""Who would get what: a route's decision for many contexts, as gateways and applications make it."""

from __future__ import annotations

from collections.abc import Sequence

from assent.delivery.domain import compile_route
from assent.delivery.service.routes import Place, get_route
from assent.flags.service import MAX_CONTEXTS, Subject
from assent.kernel.errors import Invalid
from assent.kernel.tx import Reader
from assent_client import decide
from assent_client.decide import Decision
from assent_client.rules import Scope


def preview(reader: Reader, place: Place, subjects: Sequence[Subject]) -> list[Decision]:
    """Decide for each subject by the route as it stands. Raises: NotFound, Invalid (too many)."""
    if len(subjects) > MAX_CONTEXTS:
        raise Invalid(f"{len(subjects):,} contexts are too many; {MAX_CONTEXTS:,} at a time.")
    route = get_route(reader, place)
    decided = decide.compile_route(compile_route(route), Scope(unit=route.unit))
    return [decided(one.unit, one.context) for one in subjects]
