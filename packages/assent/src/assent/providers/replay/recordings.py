"""Recorded completions: JSONL, one {"model", "prompt", "completion"} a line; a "label" is let pass.

The prompt is the last user message, exactly. A model's prompt has one completion: another one for the same
prompt is an error wherever it stands, so no file overrides another silently.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from assent.kernel.errors import Conflict, Invalid

MAX_LINE = 8_388_608


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One recorded completion; `label` is what its author says of it and is never answered."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    prompt: str
    completion: str
    label: str | None = None


Place: TypeAlias = tuple[Path, int]


@dataclass(slots=True)
class Recordings:
    """Completions by model and prompt."""

    by_model: dict[str, dict[str, str]] = field(default_factory=dict)
    places: dict[tuple[str, str], Place] = field(default_factory=dict, repr=False)

    @property
    def n_completions(self) -> int:
        """Count them."""
        return sum(map(len, self.by_model.values()))

    def add(self, line: Line, place: Place) -> None:
        """Take one; the same again changes nothing. Raises: Conflict."""
        prompts = self.by_model.setdefault(line.model, {})
        known = prompts.setdefault(line.prompt, line.completion)
        first = self.places.setdefault((line.model, line.prompt), place)
        if known != line.completion:
            raise Conflict(
                f"{_text(place)} has another completion than {_text(first)} for one prompt of {line.model}.",
                remedy="Keep one of them: which one would be answered must not depend on the order of files.",
            )


def read_recordings(paths: Iterable[Path]) -> Recordings:
    """Read files of recorded completions. Raises: Invalid, Conflict, each naming file and line."""
    recordings = Recordings()
    for path in paths:
        _read_file(path, recordings)
    if not recordings.by_model:
        raise Invalid("The files hold no completion.", remedy='A line: {"model", "prompt", "completion"}.')
    return recordings


def _read_file(path: Path, recordings: Recordings) -> None:
    decoder = msgspec.json.Decoder(Line)
    try:
        with path.open("rb") as file:
            number = 0
            while content := file.readline(MAX_LINE + 1):
                number += 1
                if len(content) > MAX_LINE:
                    raise Invalid(f"{path}:{number}: the line is longer than {MAX_LINE:,} bytes.")
                if number == 1:
                    content = content.removeprefix(b"\xef\xbb\xbf")  # the mark of some editors
                if content.strip():
                    recordings.add(_decoded(decoder, content, (path, number)), (path, number))
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.", remedy="Check the path.") from error


def _decoded(decoder: msgspec.json.Decoder[Line], content: bytes, place: Place) -> Line:
    try:
        return decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(
            f"{_text(place)}: {error}.",
            remedy='Write one line of JSON: {"model": "…", "prompt": "…", "completion": "…"}.',
        ) from error


def _text(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
