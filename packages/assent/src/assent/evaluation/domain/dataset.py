"""Dataset versions: rows whose identity is their content.

A row: {"id":"q17","input":"…"|{"messages":[…]}|{"text":"…","variables":{…}},"target":…,"choices":[…],
"cluster":"…","tags":["…"],"metadata":{…}}. sample_key = SHA-256 of the canonical content without the id;
the version's digest is the Merkle root (RFC 6962 hashing) of the sorted keys: order and ids do not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assent.evaluation.domain.fields import Fields, Mistakes
from assent.evaluation.domain.swaps import expand
from assent.kernel.canonical import digest
from assent.kernel.errors import Invalid, TooLarge
from assent_client.verify.merkle import leaf_hash, root_of_leaves

MAX_ROWS = 200_000
MAX_ROW_TEXT = 1_000_000
_ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Row:
    """One case to ask: the input, and what a scorer may compare the answer with."""

    id: str
    input: Any
    target: Any = None
    choices: tuple[str, ...] = ()
    cluster: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""

    def content(self) -> dict[str, Any]:
        """Give all but the id."""
        return {
            "input": self.input,
            "target": self.target,
            "choices": list(self.choices),
            "cluster": self.cluster,
            "tags": list(self.tags),
            "metadata": dict(self.metadata),
        }

    def to_document(self) -> dict[str, Any]:
        """Give the stored form."""
        return {"id": self.id, **self.content()}


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows, and the digest that names them."""

    rows: tuple[Row, ...]
    digest: str


def merkle_digest(digests: Iterable[str]) -> str:
    """Give the Merkle root over digests in their order, as a digest."""
    leaves = (leaf_hash(bytes.fromhex(one.removeprefix("sha256:"))) for one in digests)
    return "sha256:" + root_of_leaves(leaves).hex()


def parse_dataset(rows: Sequence[Any]) -> Dataset:
    """Read rows as people write them, swaps written out. Raises: Invalid (with every mistake), TooLarge."""
    rows = expand(rows)
    if len(rows) > MAX_ROWS:
        raise TooLarge(
            f"A dataset holds at most {MAX_ROWS:,} rows, not {len(rows):,}.",
            remedy="Split it into several datasets.",
        )
    if not rows:
        raise Invalid("A dataset needs at least one row.")
    mistakes = Mistakes()
    parsed = [_row(raw, f"row {number}", mistakes) for number, raw in enumerate(rows, start=1)]
    _refuse_twins(parsed, mistakes)
    mistakes.check("The dataset")
    return Dataset(tuple(parsed), merkle_digest(sorted(row.key for row in parsed)))


def _row(raw: Any, place: str, mistakes: Mistakes) -> Row:
    fields = Fields(raw, place, mistakes)
    identifier = fields.raw("id", place)
    if isinstance(identifier, int):
        identifier = str(identifier)
    if not isinstance(identifier, str) or not 0 < len(identifier) <= 200:  # noqa: PLR2004 -- said in the message
        fields.wrong("id", "must be text of 1 to 200 characters")
    row = Row(
        id=str(identifier),
        input=_input(fields),
        target=fields.raw("target"),
        choices=_words(fields, "choices"),
        cluster=fields.text("cluster", max_length=200) or None if fields.raw("cluster") is not None else None,
        tags=tuple(sorted(set(_words(fields, "tags")))),
        metadata=fields.take("metadata", {}, lambda v: isinstance(v, Mapping), "a mapping"),
    )
    fields.close()
    return _keyed(row, place, mistakes)


def _keyed(row: Row, place: str, mistakes: Mistakes) -> Row:
    try:
        key = digest(row.content())
    except Invalid as error:
        mistakes.add(place, error.message)
        key = digest(place)
    return Row(row.id, row.input, row.target, row.choices, row.cluster, row.tags, row.metadata, key)


def _input(fields: Fields) -> Any:
    value = fields.raw("input")
    if isinstance(value, str) and 0 < len(value) <= MAX_ROW_TEXT:
        return value
    if isinstance(value, Mapping) and _is_chat(value):
        return {"messages": [dict(message) for message in value["messages"]]}
    if isinstance(value, Mapping) and _is_filled(value):
        return {"text": value["text"], "variables": dict(value["variables"])}
    fields.wrong(
        "input",
        "must be text, {messages: [{role, content}]} ending with a user's, or {text, variables}",
    )
    return ""


def _is_chat(value: Mapping[str, Any]) -> bool:
    messages = value.get("messages")
    return (
        set(value) == {"messages"}
        and isinstance(messages, list)
        and 0 < len(messages) <= 1000  # noqa: PLR2004 -- longer talks are not cases
        and all(
            isinstance(m, Mapping)
            and set(m) == {"role", "content"}
            and m["role"] in _ROLES
            and isinstance(m["content"], str)
            for m in messages
        )
        and messages[-1]["role"] == "user"
    )


def _is_filled(value: Mapping[str, Any]) -> bool:
    return (
        set(value) == {"text", "variables"}
        and isinstance(value["text"], str)
        and isinstance(value["variables"], Mapping)
        and all(isinstance(name, str) for name in value["variables"])
    )


def _words(fields: Fields, name: str) -> tuple[str, ...]:
    words = fields.items(name)
    if not all(isinstance(word, str) for word in words):
        fields.wrong(name, "must be a list of texts")
        return ()
    return tuple(words)


def _refuse_twins(rows: Sequence[Row], mistakes: Mistakes) -> None:
    by_key: dict[str, int] = {}
    by_id: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if row.id in by_id:
            mistakes.add(f"row {number}", f"has the id of row {by_id[row.id]}, {row.id!r}")
        elif row.key in by_key:
            mistakes.add(
                f"row {number}",
                f"says the same as row {by_key[row.key]}",
                "Remove one: it counts once. To repeat every case, set the suite's `repeats`.",
            )
        by_id.setdefault(row.id, number)
        by_key.setdefault(row.key, number)
