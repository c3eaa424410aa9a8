"""Take over what other tools measured: checked, computed anew, kept with its bytes, claimed as evidence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from assent.evaluation import imports, store, subjects
from assent.evaluation.domain.cases import Outcome
from assent.evaluation.domain.events import ResultImported
from assent.evaluation.domain.imported import Imported, ImportedRow, figures
from assent.evaluation.store import Import
from assent.kernel.canonical import canonical
from assent.kernel.errors import Invalid, NotFound, TooLarge
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.web.api import checked_name

MAX_SOURCES = 50
MAX_CLAIM = 30_000
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Measured:
    """A file that was read, and what is said of it."""

    read: imports.Read
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewImport:
    """What a file says, and of which version. `suite` names what was measured, in one's own words."""

    project: str
    subject: str
    suite: str
    measured: Measured


def measure(format_: str, name: str, content: bytes) -> Measured:
    """Read a file and compute its figures; nothing is recorded. Raises: Invalid, TooLarge, Refused."""
    read = imports.read(format_, name, content)
    if len(read.kept) > MAX_SOURCES:
        raise TooLarge(f"{name} holds more than {MAX_SOURCES} files.", remedy="Import task by task.")
    return Measured(read, _said(read))


def take_over(tx: Tx, new: NewImport) -> Import:
    """Record what a file says of a version: an event, and the evidence `eval.imported`.

    Raises: Invalid, NotFound.
    """
    checked_name(new.suite, "suite")
    subject = subjects.get(tx, new.project, new.subject)
    read, said = new.measured.read, new.measured.said
    result = tx.blobs.put(canonical(dict(said)))
    import_id = new_id("imp")
    tx.record(
        ResultImported(
            id=import_id,
            project=new.project,
            subject=subject.digest,
            subject_ref=subject.ref,
            suite=new.suite,
            format=read.imported.format,
            importer=read.importer,
            tool=read.imported.tool,
            sources={name: tx.blobs.put(content) for name, content in read.kept.items()},
            rows=tx.blobs.put(_lines(read.imported.rows)),
            result=result,
            n_rows=len(read.imported.rows),
            complete=read.imported.complete,
        )
    )
    claim = {
        "suite": new.suite,
        "import": import_id,
        "importer": read.importer,
        "tool": read.imported.tool,
        "complete": read.imported.complete,
        "figures": _foremost(said["figures"]),
        "n_figures": len(said["figures"]),
        "result": result,
        **({"oldest_answer_at": at} if (at := read.imported.measured_at) else {}),
    }
    subjects.testify(tx, new.project, subject.digest, claim, kind=subjects.IMPORTED)
    return get_import(tx, new.project, import_id)


def _foremost(computed: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give as many figures as a leaf has room for; the body holds all."""
    room, kept = MAX_CLAIM, []
    for one in computed:
        room -= len(canonical(dict(one)))
        if room < 0:
            break
        kept.append(one)
    return kept


def get_import(reader: Reader, project: str, import_id: str) -> Import:
    """Get an imported result. Raises: NotFound."""
    found = store.find_import(reader, project, import_id)
    if found is None:
        raise NotFound(f"There is no import {import_id} in {project}.")
    return found


def said_of(reader: Reader, found: Import) -> dict[str, Any]:
    """Read what was computed of it. Raises: NotFound, Invalid (the body was changed)."""
    said: dict[str, Any] = msgspec.json.decode(reader.blobs.get(found.result))
    return said


def list_imports(
    reader: Reader, project: str, filters: Mapping[str, str], *, before: str | None = None, limit: int = 50
) -> Sequence[Import]:
    """List imported results newest first; `filters`: subject, subject_ref, suite."""
    if unknown := filters.keys() - {"subject", "subject_ref", "suite"}:
        raise Invalid(f"Imports are not filtered by {', '.join(sorted(unknown))}.")
    return store.list_imports(reader, project, filters, (before, limit))


def verify_import(reader: Reader, project: str, import_id: str) -> list[tuple[str, str | None, str | None]]:
    """Compute every figure again from the rows that were kept; give (figure, published, computed)."""
    found = get_import(reader, project, import_id)
    said = said_of(reader, found)
    rows = _rows(reader.blobs.get(found.rows))
    again = Imported(found.format, found.tool, rows, n_expected=said["n_expected"])
    computed = {(one.task, one.metric): one.to_document() for one in figures(again)}
    checks: list[tuple[str, str | None, str | None]] = [("n_rows", str(found.n_rows), str(len(rows)))]
    for published in said["figures"]:
        other = computed.pop((published["task"], published["metric"]), {})
        for slot in ("value", "low", "high", "stderr", "n", "coverage"):
            name = f"{published['task']} {published['metric']} {slot}"
            checks.append((name, _text(published[slot]), _text(other.get(slot))))
    checks += [(f"{task} {metric}", None, "not published") for task, metric in computed]
    return checks


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _said(read: imports.Read) -> dict[str, Any]:
    imported = read.imported
    return {
        "format": imported.format,
        "importer": read.importer,
        "tool": imported.tool,
        "complete": imported.complete,
        "n_rows": len(imported.rows),
        "n_expected": dict(imported.n_expected),
        "n_totals": len(imported.totals),
        "unchecked": list(imported.unchecked)[:200],
        "notes": list(imported.notes),
        "measured_at": imported.measured_at,
        "arrived": dict(read.arrived),
        "figures": [one.to_document() for one in figures(imported)],
    }


def _lines(rows: Sequence[ImportedRow]) -> bytes:
    return b"".join(_encoder.encode(row) + b"\n" for row in rows)


def _rows(content: bytes) -> tuple[ImportedRow, ...]:
    decoder = msgspec.json.Decoder(ImportedRow)
    rows = tuple(decoder.decode(line) for line in content.splitlines())
    if any((row.value is None) is not (row.outcome in {Outcome.UNSCORABLE, Outcome.ERROR}) for row in rows):
        raise Invalid("The rows of this import were changed: a value stands where there was none.")
    return rows
