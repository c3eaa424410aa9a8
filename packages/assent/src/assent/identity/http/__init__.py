"""Routes of identity."""

from fastapi import APIRouter

from assent.identity.http import accounts, memberships, own, sign_ins
from assent.identity.http.calling import authenticator

router = APIRouter(prefix="/v1", tags=["identity"])
for part in (sign_ins.router, own.router, accounts.router, memberships.router):
    router.include_router(part)

__all__ = ["authenticator", "router"]
