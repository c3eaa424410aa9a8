"""Version numbers of datasets and suites: three numbers, compared as numbers."""

import re

from assent.kernel.errors import Invalid

_NUMBER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\Z")
FIRST = "1.0.0"


def parse_number(text: str) -> tuple[int, int, int]:
    """Read `1.2.3`. Raises: Invalid."""
    match = _NUMBER.match(text)
    if match is None:
        raise Invalid(f"{text!r} is not a version number.", remedy="Write three numbers, as in 1.2.0.")
    major, minor, patch = (int(part) for part in match.groups())
    return major, minor, patch


def next_number(latest: str | None) -> str:
    """Give the number of a changed version whose author named none: the next minor one."""
    if latest is None:
        return FIRST
    major, minor, _ = parse_number(latest)
    return f"{major}.{minor + 1}.0"


def split_ref(ref: str) -> tuple[str, str | None]:
    """Split `name@1.2.0` or `name` (its latest version). Raises: Invalid."""
    name, at, number = ref.partition("@")
    if not name or (at and not number):
        raise Invalid(f"{ref!r} names no version.", remedy="Write NAME@VERSION, as in support@1.2.0.")
    return name, number or None
