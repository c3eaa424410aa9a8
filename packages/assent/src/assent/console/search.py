"""Search: the versions of a project that pass a filter and hold some words."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from assent.console.refs import version_link
from assent.console.visit import PageRoute, Visit, visits
from assent.identity.domain import Permission
from assent.kernel.errors import Invalid
from assent.kernel.filters import MAX_LENGTH
from assent.registry import service as registry
from assent.registry.service import Search

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/projects/{project}")
N_ROWS = 50
EXAMPLES = (
    "label = production",
    "tier >= high AND stage = evaluation",
    "tag = support AND NOT status = approved",
    "registered_at >= 2026-03-01 AND metrics.correct < 0.9",
)


@router.get("/search")
def search(
    visit: Annotated[Visit, visits(Permission.MODEL_READ)],
    filter: Annotated[str, Query(max_length=MAX_LENGTH)] = "",  # noqa: A002 -- the name of the field
    q: Annotated[str, Query(max_length=1000)] = "",
    before: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Show what is found; a filter that does not parse is shown with the place of the mistake."""
    asked, refusal, found = filter.strip(), None, []
    labels: dict[str, list[str]] = {}
    with visit.read() as reader:
        try:
            wanted = Search({}, asked or None, q.strip() or None)
            found = registry.search(reader, visit.project, wanted, before=before, limit=N_ROWS)
        except Invalid as error:
            refusal = error
        else:
            labels = registry.labels_of(reader, [one.digest for one in found])
    here = f"/projects/{visit.project}/search"
    following = {"filter": filter, "q": q, "before": found[-1].id} if len(found) == N_ROWS else None
    return visit.page(
        "search/page.html",
        status=refusal.status if refusal else 200,
        project=visit.project,
        here=here,
        filter=filter,
        q=q,
        refusal=refusal,
        examples=[(one, f"{here}?{urlencode({'filter': one})}") for one in EXAMPLES],
        rows=[
            (one, version_link(visit.project, one.name, one.number), labels.get(one.digest, []))
            for one in found
        ],
        older=f"{here}?{urlencode(following)}" if following else "",
    )
