"""What the routes of approvals share: strict bodies, and people by the names that they go by."""

from __future__ import annotations

import pydantic

from assent.identity import service as identity
from assent.kernel.errors import NotFound
from assent.kernel.tx import Reader


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")


def person_name(reader: Reader, account: str) -> str:
    """Give the name of an account; its id where it is gone."""
    try:
        return identity.get_account(reader, account).name
    except NotFound:
        return account
