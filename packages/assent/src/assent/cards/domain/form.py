"""The declared part of a card: a closed form, read strictly, and printed with what is missing."""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assent.cards.domain.sections import named
from assent.kernel.errors import Invalid, Reason

MAX_TEXT = 4_000
MAX_ITEMS = 100
JOINERS = "\u200c\u200d"
"""Format characters that scripts and emoji need; the others hide or reorder text."""

Declared = dict[str, Any]
"""What people declared: texts, lists of texts, and `performance` rows, by the paths of FIELDS."""


@dataclass(frozen=True, slots=True)
class Field:
    """One question of the form. `path` is `key` or `group.key`."""

    section: int
    path: str
    asks: str
    is_list: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Give the path as keys."""
        return tuple(self.path.split("."))


PERFORMANCE = "performance"
FIELDS: tuple[Field, ...] = (
    Field(1, "title", "The name for people; without it, it is made of the model's name."),
    Field(2, "contact", "Whom to ask about it."),
    Field(3, "licence", "The licence, where the version's document names none."),
    Field(4, "intended_use.primary_use", "What it is for."),
    Field(4, "intended_use.users", "Who uses it.", is_list=True),
    Field(4, "intended_use.out_of_scope", "What it must not be used for.", is_list=True),
    Field(5, "input_output.inputs", "What it takes, in which form and language."),
    Field(5, "input_output.outputs", "What it gives."),
    Field(6, "training_data.sources", "Where the training and fine-tuning data come from.", is_list=True),
    Field(6, "training_data.volume", "How much data."),
    Field(6, "training_data.pii_handling", "What was done about personal data."),
    Field(6, "training_data.fine_tuning", "How it was fine-tuned, if it was."),
    Field(9, "safety.mitigations", "What is done against misuse and harm.", is_list=True),
    Field(9, "safety.fairness", "For which groups it was tested, with what result."),
    Field(9, "ethical_considerations", "What was considered, and what follows.", is_list=True),
    Field(10, "limitations", "What it does badly or cannot do.", is_list=True),
    Field(10, "risks", "What can go wrong, for whom.", is_list=True),
    Field(11, "operation.latency", "Expected latency, where no evaluation measured it."),
    Field(11, "operation.cost", "What a call or a month costs."),
    Field(11, "operation.fallbacks", "What happens when it does not answer."),
    Field(12, "environmental_impact.hardware", "On what hardware it runs and was trained."),
    Field(12, "environmental_impact.energy", "Energy or emissions, or that the provider publishes none."),
    Field(18, "changes", "What changed against the version before, and why.", is_list=True),
    Field(19, "citations", "Papers, model cards and documents it rests on.", is_list=True),
)
_ROW_KEYS = ("label", "suite", "metric", "value", "source")
_PERFORMANCE_HELP = (
    "Rows of the table of metrics: {label, metric, suite} shows a measured metric of a suite,",
    "{label, value, source} what somebody else measured. A measurement beats a declared value.",
)


def declared_at(declared: Mapping[str, Any], path: str) -> Any:
    """Give what was declared at a path, or None."""
    value: Any = declared
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def parse_form(raw: Any) -> Declared:
    """Read a form; what is empty counts as not given. Raises: Invalid with every mistake."""
    mistakes: list[Reason] = []
    found: Declared = {}
    if not isinstance(raw, Mapping):
        raise Invalid("The form of a card is a mapping of fields.", remedy="`assent card form` prints it.")
    _expect_known(raw, "", {f.keys[0] for f in FIELDS} | {PERFORMANCE}, mistakes)
    for group in sorted({f.keys[0] for f in FIELDS if len(f.keys) > 1}):
        inside = raw.get(group)
        if isinstance(inside, Mapping):
            _expect_known(inside, f"{group}.", {f.keys[1] for f in FIELDS if f.keys[0] == group}, mistakes)
        elif inside is not None:
            mistakes.append(Reason(group, f"`{group}` must be a mapping of fields."))
    for one in FIELDS:
        value = _value(declared_at(raw, one.path), one.path, mistakes, is_list=one.is_list)
        if value:
            _put(found, one.keys, value)
    rows = _rows(raw.get(PERFORMANCE), mistakes)
    if rows:
        found[PERFORMANCE] = rows
    if mistakes:
        message = mistakes[0].message if len(mistakes) == 1 else f"The form has {len(mistakes)} mistakes."
        raise Invalid(message, remedy="`assent card form` prints every field.", reasons=mistakes)
    return found


def _expect_known(
    given: Mapping[Any, Any], prefix: str, known: set[str] | Sequence[str], mistakes: list[Reason]
) -> None:
    mistakes += [
        Reason(f"{prefix}{key}", f"There is no field `{prefix}{key}`; there are {', '.join(sorted(known))}.")
        for key in given
        if key not in known
    ]


def _put(into: Declared, keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        into = into.setdefault(key, {})
    into[keys[-1]] = value


def _value(raw: Any, path: str, mistakes: list[Reason], *, is_list: bool) -> Any:
    if not is_list or raw is None:
        return _text(raw, path, mistakes)
    items = raw if isinstance(raw, list) else [raw]
    if len(items) > MAX_ITEMS:
        mistakes.append(Reason(path, f"`{path}` has {len(items)} items; {MAX_ITEMS} at most."))
        return None
    texts = [_text(item, path, mistakes) for item in items]
    return [text for text in texts if text]


def _text(raw: Any, path: str, mistakes: list[Reason]) -> str | None:
    if raw is None:
        return None
    if not isinstance(raw, str):
        mistakes.append(Reason(path, f"`{path}` must be text; put numbers and dates in quotes."))
        return None
    if len(raw) > MAX_TEXT:
        mistakes.append(Reason(path, f"`{path}` has {len(raw):,} characters; {MAX_TEXT:,} at most."))
        return None
    hidden = next((one for one in raw if not is_plain(one)), None)
    if hidden is not None:
        message = f"`{path}` holds U+{ord(hidden):04X}, a character that hides or reorders text."
        mistakes.append(Reason(path, message))
        return None
    return raw.strip()


def is_plain(character: str) -> bool:
    """Tell whether a character shows as itself wherever the card is read; line breaks and tabs do."""
    if character in "\n\t" or character in JOINERS:
        return True
    category = unicodedata.category(character)
    return category not in {"Cc", "Cf", "Cs", "Zl", "Zp"} and ord(character) & 0xFFFE != 0xFFFE  # noqa: PLR2004 -- the noncharacters at the end of each plane


def _rows(raw: Any, mistakes: list[Reason]) -> list[dict[str, str]]:
    if raw is None:
        return []
    if not isinstance(raw, list) or len(raw) > MAX_ITEMS:
        mistakes.append(Reason(PERFORMANCE, f"`performance` must be a list of at most {MAX_ITEMS} rows."))
        return []
    rows = [_row(one, f"performance.{index}", mistakes) for index, one in enumerate(raw)]
    labels = [row["label"] for row in rows if "label" in row]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    mistakes += [Reason(PERFORMANCE, f"Two rows of `performance` are labelled {label!r}.") for label in twice]
    return rows


def _row(raw: Any, path: str, mistakes: list[Reason]) -> dict[str, str]:
    if not isinstance(raw, Mapping):
        mistakes.append(Reason(path, f"`{path}` must be a mapping of {', '.join(_ROW_KEYS)}."))
        return {}
    _expect_known(raw, f"{path}.", _ROW_KEYS, mistakes)
    texts = {key: _text(raw.get(key), f"{path}.{key}", mistakes) for key in _ROW_KEYS}
    row = {key: text for key, text in texts.items() if text}
    measured, told = {"suite", "metric"} & row.keys(), {"value", "source"} & row.keys()
    if "label" not in row or bool(measured) == bool(told) or not {"metric", "value"} & row.keys():
        mistakes.append(Reason(path, f"`{path}` needs a label, and either metric (and suite) or value."))
    return row


@dataclass(frozen=True, slots=True)
class Blank:
    """What the printed form says beside the questions.

    `missing`: paths that the tier requires and that are empty; `start`: what the previous version's card
    said, offered where nothing is declared, and `start_ref` whose it is.
    """

    ref: str
    tier: str | None
    declared: Mapping[str, Any]
    missing: frozenset[str] = frozenset()
    start: Mapping[str, Any] | None = None
    start_ref: str = ""

    def filled(self, path: str) -> tuple[Any, bool]:
        """Give the value to print at a path, and whether it is the previous version's."""
        own = declared_at(self.declared, path)
        before = declared_at(self.start or {}, path)
        return (before, True) if own is None and before is not None else (own, False)


def print_form(blank: Blank) -> str:
    """Print the form as YAML that `parse_form` reads back."""
    return "\n".join(_lines(blank)) + "\n"


def _lines(blank: Blank) -> Iterator[str]:
    yield f"# Card of {blank.ref}, tier {blank.tier or 'not recorded (as much as high is asked)'}."
    yield f"# Fill it in, then: assent card complete {blank.ref} -f FILE"
    if blank.start_ref:
        yield f"# What is marked with {blank.start_ref} comes from its card: check it before you send it."
    section, group = 0, ""
    for one in FIELDS:
        if one.section != section:
            if section < 7 < one.section:  # noqa: PLR2004 -- section 7 holds the rows
                yield from _performance(blank)
            section = one.section
            yield f"\n# {named(section)}"
        if len(one.keys) > 1 and one.keys[0] != group:
            group = one.keys[0]
            yield f"{group}:"
        yield from _question(blank, one, "  " if len(one.keys) > 1 else "")


def _question(blank: Blank, one: Field, indent: str) -> Iterator[str]:
    value, is_older = blank.filled(one.path)
    notes = [one.asks]
    if one.path in blank.missing:
        notes.append("MISSING: required.")
    if is_older:
        notes.append(f"From {blank.start_ref}.")
    yield f"{indent}# {' '.join(notes)}"
    if isinstance(value, list):
        yield f"{indent}{one.keys[-1]}:"
        yield from (f"{indent}- {_scalar(item)}" for item in value)
    else:
        yield f"{indent}{one.keys[-1]}:{'' if value is None else f' {_scalar(value)}'}"


def _performance(blank: Blank) -> Iterator[str]:
    rows, is_older = blank.filled(PERFORMANCE)
    yield f"\n# {named(7)}"
    yield from (f"# {line}" for line in _PERFORMANCE_HELP)
    if is_older:
        yield f"# From {blank.start_ref}."
    yield "performance:"
    for row in rows or ():
        pairs = [f"{key}: {_scalar(row[key])}" for key in _ROW_KEYS if key in row]
        yield f"- {{{', '.join(pairs)}}}"


def _scalar(text: str) -> str:
    """Write text as a JSON string, which is a YAML scalar whatever it holds."""
    return json.dumps(text, ensure_ascii=False)
