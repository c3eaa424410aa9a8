"""Cards as files: read strictly what others wrote, write what the server answers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from assent_client.cli.strict_yaml import parse
from assent_client.errors import Invalid, TooLarge

__all__ = ["read_card", "write"]

MAX_BYTES = 4_000_000
FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)


def read_card(file: Path, form: str) -> Any:
    """Read a card from a file: JSON, the front matter of a README, or text. Raises: Invalid, TooLarge."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.", remedy="Check the path.") from error
    if len(content) > MAX_BYTES:
        raise TooLarge(f"{file} is larger than {MAX_BYTES:,} bytes.", remedy="A card is text, not data.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not UTF-8 at byte {error.start}.", remedy="Save it as UTF-8.") from error
    if form == "brief":
        return text
    return _front_matter(text, file) if form == "huggingface" else _json(text, file)


def _front_matter(text: str, file: Path) -> Any:
    found = FRONT_MATTER.match(text)
    if found is None:
        raise Invalid(
            f"{file} has no front matter.",
            remedy="A README of the Hub begins with a block between two lines ---.",
        )
    return parse(found[1].encode(), file).value


def _json(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"{file} is not JSON: {error}.", remedy="Check that this is the file you meant."
        ) from error


def write(file: Path, content: bytes) -> None:
    """Write a file, and the folder that it stands in. Raises: Invalid."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise Invalid(
            f"{file} cannot be written: {error.strerror}.", remedy="Name another with --out."
        ) from error
