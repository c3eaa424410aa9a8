"""Routes of approvals."""

from fastapi import APIRouter

from assent.approvals.http import break_glass, policies, requests, review

router = APIRouter()
for part in (policies.router, requests.router, review.router, break_glass.router):
    router.include_router(part)

__all__ = ["router"]
