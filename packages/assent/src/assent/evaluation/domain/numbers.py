"""Version numbers of datasets and suites: as those of prompts and models."""

from assent.kernel.errors import Invalid
from assent.prompts.domain.numbers import FIRST, Bump, parse_number


def next_number(latest: str | None) -> str:
    """Give the number of a changed version whose author named none: the next minor one."""
    return str(FIRST if latest is None else parse_number(latest).raised(Bump.MINOR))


def split_ref(ref: str) -> tuple[str, str | None]:
    """Split `name@1.2.0` or `name` (its latest version). Raises: Invalid."""
    name, at, number = ref.partition("@")
    if not name or (at and not number):
        raise Invalid(f"{ref[:200]!r} names no version.", remedy="Write NAME@VERSION, as in support@1.2.0.")
    return name, number or None
