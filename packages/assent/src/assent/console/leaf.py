"""One leaf of the ledger with what proves it."""

import base64
import json
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from assent.console.timeline import told
from assent.console.visit import PageRoute, Visit, visits
from assent.identity.domain import Permission
from assent.ledger import service as ledger
from assent.web.diff import document_diff

router = APIRouter(route_class=PageRoute, include_in_schema=False)
LARGEST = 2**53


@router.get("/leaves/{index}")
def show(
    visit: Annotated[Visit, visits(Permission.LEDGER_READ)], index: Annotated[int, Path(ge=0, le=LARGEST)]
) -> Response:
    """Show what the leaf says, its hash, and the path from it to the signed root."""
    with visit.read() as reader:
        leaf = ledger.leaf_at(reader, index)
        proof = ledger.prove(reader, leaf)
        (entry,) = told(reader, [leaf])
    return visit.page(
        "leaf/page.html",
        entry=entry,
        content=document_diff(None, json.loads(leaf.entry)),
        hash="sha256:" + leaf.hash.hex(),
        path=[base64.b64encode(node).decode() for node in proof.path],
        checkpoint=proof.checkpoint,
    )
