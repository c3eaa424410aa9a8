"""What people type of a flag's values and conditions, on the command line and in forms."""

from __future__ import annotations

import json
from typing import Any, Final

from assent_client.errors import Invalid

LISTS: Final = frozenset({"in", "not_in"})
NUMERIC: Final = frozenset({"lt", "le", "gt", "ge", "equals", "not_equals"})


def read_value(text: str) -> Any:
    """Read JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_condition(text: str) -> dict[str, Any]:
    """Read `ATTRIBUTE OP VALUE`, `segment NAME`, `flag NAME VARIANT,…` and so on. Raises: Invalid."""
    words = text.split(None, 2)
    if len(words) == 2 and words[0] in {"segment", "not_segment"}:  # noqa: PLR2004 -- a word and its name
        return {words[0]: words[1]}
    if len(words) < 3:  # noqa: PLR2004 -- three words
        raise Invalid(
            f"{text!r} is no condition.",
            remedy="Write ATTRIBUTE OP VALUE, for example 'country in DE,AT'; or segment NAME.",
        )
    if words[0] == "flag":
        return {"flag": words[1], "variants": words[2].split(",")}
    attribute, operation, value = words
    if operation in LISTS:
        return {"attribute": attribute, "op": operation, "value": [one.strip() for one in value.split(",")]}
    return {
        "attribute": attribute,
        "op": operation,
        "value": read_value(value) if operation in NUMERIC else value,
    }
