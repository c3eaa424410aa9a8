"""What the routes of approvals share: strict bodies."""

from __future__ import annotations

import pydantic


class Wire(pydantic.BaseModel):
    """Bodies are strict: unknown fields are errors."""

    model_config = pydantic.ConfigDict(extra="forbid")
