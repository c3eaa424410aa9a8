"""Addresses of the pages that say so."""

import re
from urllib.parse import urlsplit

from assent.kernel.errors import Invalid

VISIBLE = re.compile(r"[\x21-\x7e]+\Z")


def checked_source(source: str) -> str:
    """Check that a source is the address of a page. Raises: Invalid."""
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise Invalid(f"The source is not the address of a page: {error}.") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not VISIBLE.match(source):
        raise Invalid("The source must be the address of a page.", remedy="Give the https://… that says so.")
    return source
