"""Register datasets and suites, and read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from assent.evaluation import store
from assent.evaluation.domain.dataset import Dataset, Row, parse_dataset
from assent.evaluation.domain.events import (
    DatasetRegistered,
    SuiteRegistered,
)
from assent.evaluation.domain.gate import Gate
from assent.evaluation.domain.numbers import next_number, parse_number, split_ref
from assent.evaluation.domain.result import figure
from assent.evaluation.domain.suite import Suite, from_document, gate_document, parse_suite, suite_digest
from assent.evaluation.scorers import compile_suite
from assent.evaluation.store import DatasetVersion, SuiteVersion
from assent.kernel.canonical import canonical, is_digest
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx

Version = TypeVar("Version", DatasetVersion, SuiteVersion)


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A dataset (`content`: rows) or suite (`content`: its document); without a number it gets the next."""

    project: str
    name: str
    content: Any
    number: str | None = None


def register_dataset(tx: Tx, new: NewVersion) -> tuple[DatasetVersion, bool]:
    """Register rows; the same rows under the same name give the version that exists.

    Gives the version and whether it is new. Raises: Invalid, Conflict.
    """
    parsed = parse_dataset(new.content)
    twin = store.twin_of_dataset(tx, new.project, new.name, parsed.digest)
    if twin is not None:
        return _same(twin, new), False
    latest = store.find_dataset(tx, new.project, new.name, None)
    number = _free_number(new, latest, store.find_dataset(tx, new.project, new.name, new.number))
    body = tx.blobs.put(canonical([row.to_document() for row in parsed.rows]))
    tx.record(
        DatasetRegistered(
            id=new_id("ds"),
            project=new.project,
            name=new.name,
            number=number,
            position=_position(number),
            digest=parsed.digest,
            body=body,
            n_rows=len(parsed.rows),
        )
    )
    return get_dataset(tx, new.project, new.name, number), True


def register_suite(tx: Tx, new: NewVersion) -> tuple[SuiteVersion, bool]:
    """Register a suite; its `dataset` may be `name`, `name@number` or a digest.

    Gives the version and whether it is new. Raises: Invalid with every mistake, Conflict.
    """
    suite = _read_suite(tx, new)
    digest = suite_digest(suite)
    twin = store.suite_by_digest(tx, new.project, digest)
    if twin is not None:
        return _same(twin, new), False
    latest = store.find_suite(tx, new.project, new.name, None)
    number = _free_number(new, latest, store.find_suite(tx, new.project, new.name, new.number))
    tx.record(
        SuiteRegistered(
            id=new_id("su"),
            project=new.project,
            name=new.name,
            number=number,
            position=_position(number),
            digest=digest,
            body=tx.blobs.put(canonical(suite.document)),
            kind=suite.kind,
            dataset=suite.dataset,
            gate=_gate_in_words(suite.gate),
        )
    )
    return get_suite(tx, new.project, new.name, number), True


def preview_dataset(reader: Reader, new: NewVersion) -> dict[str, Any]:
    """Say what registering would do: the digest, and the version that has it already. Raises: Invalid."""
    parsed = parse_dataset(new.content)
    return _preview(parsed.digest, store.twin_of_dataset(reader, new.project, new.name, parsed.digest), new)


def preview_suite(reader: Reader, new: NewVersion) -> dict[str, Any]:
    """Say what registering would do: the digest, and the version that has it already. Raises: Invalid."""
    suite = _read_suite(reader, new)
    digest = suite_digest(suite)
    return _preview(digest, store.suite_by_digest(reader, new.project, digest), new)


def _preview(digest: str, twin: DatasetVersion | SuiteVersion | None, new: NewVersion) -> dict[str, Any]:
    ref = None if twin is None else _checked_twin(twin, new)
    return {"name": new.name, "digest": digest, "ref": ref, "created": False, "exists": twin is not None}


def _read_suite(reader: Reader, new: NewVersion) -> Suite:
    content = new.content
    if isinstance(content, Mapping) and isinstance(content.get("dataset"), str):
        content = {**content, "dataset": _dataset_digest(reader, new.project, content["dataset"])}
    suite = parse_suite(content, project=new.project, name=new.name)
    compile_suite(suite)
    return suite


def dataset_ref(reader: Reader, suite: SuiteVersion) -> str | None:
    """Find the name and number of a suite's dataset."""
    found = store.dataset_by_digest(reader, suite.project, suite.dataset)
    return None if found is None else found.ref


def _gate_in_words(gate: Gate) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else (figure(value) or "")
        for name, value in gate_document(gate).items()
    }


def _dataset_digest(reader: Reader, project: str, ref: str) -> str:
    if is_digest(ref):
        if store.dataset_by_digest(reader, project, ref) is None:
            raise NotFound(f"No dataset of this project has the digest {ref}.", remedy="Register it first.")
        return ref
    return get_dataset(reader, project, *split_ref(ref)).digest


def _same(twin: Version, new: NewVersion) -> Version:
    _checked_twin(twin, new)
    return twin


def _checked_twin(twin: DatasetVersion | SuiteVersion, new: NewVersion) -> str:
    if new.number is not None and new.number != twin.number:
        raise Conflict(
            f"{new.name} has this content already, as {twin.number}.", remedy=f"Use {twin.ref}, or change it."
        )
    return twin.ref


def _free_number(
    new: NewVersion,
    latest: DatasetVersion | SuiteVersion | None,
    taken: DatasetVersion | SuiteVersion | None,
) -> str:
    if new.number is None:
        return next_number(None if latest is None else latest.number)
    parse_number(new.number)
    if taken is not None:
        raise Conflict(
            f"{taken.ref} exists with other content, and versions never change.",
            remedy=f"Register it as {next_number(latest.number if latest else None)}.",
        )
    return new.number


def _position(number: str) -> int:
    """Give one integer that sorts as the number does; each part is below 10^6 here."""
    major, minor, patch = parse_number(number)
    if max(major, minor, patch) >= 1_000_000:  # noqa: PLR2004 -- 10^18 fits a 64-bit column
        raise Invalid(f"{number} has a part above 999999.")
    return (major * 1_000_000 + minor) * 1_000_000 + patch


def get_dataset(reader: Reader, project: str, name: str, number: str | None = None) -> DatasetVersion:
    """Get a version, or the latest. Raises: NotFound."""
    found = store.find_dataset(reader, project, name, number)
    if found is None:
        raise NotFound(f"There is no dataset {name}{f'@{number}' if number else ''} in {project}.")
    return found


def get_suite(reader: Reader, project: str, name: str, number: str | None = None) -> SuiteVersion:
    """Get a version, or the latest. Raises: NotFound."""
    found = store.find_suite(reader, project, name, number)
    if found is None:
        raise NotFound(f"There is no suite {name}{f'@{number}' if number else ''} in {project}.")
    return found


def list_datasets(
    reader: Reader, project: str, name: str | None = None, *, before: str | None = None, limit: int = 50
) -> Sequence[DatasetVersion]:
    """List versions, newest first."""
    found = store.list_versions(reader, project, "datasets", name, (before, limit))
    return [version for version in found if isinstance(version, DatasetVersion)]


def list_suites(
    reader: Reader, project: str, name: str | None = None, *, before: str | None = None, limit: int = 50
) -> Sequence[SuiteVersion]:
    """List versions, newest first."""
    found = store.list_versions(reader, project, "suites", name, (before, limit))
    return [version for version in found if isinstance(version, SuiteVersion)]


def rows_of(reader: Reader, version: DatasetVersion) -> tuple[Row, ...]:
    """Read a dataset's rows. Raises: NotFound (erased), Invalid (changed on disk)."""
    return _parsed(version.digest, reader.blobs.get(version.body)).rows


@lru_cache(maxsize=8)
def _parsed(digest: str, content: bytes) -> Dataset:
    dataset = parse_dataset(msgspec.json.decode(content))
    if dataset.digest != digest:
        raise Invalid(f"The rows stored for {digest} have the digest {dataset.digest}.")
    return dataset


def suite_of(reader: Reader, version: SuiteVersion) -> Suite:
    """Read a suite's document."""
    return from_document(msgspec.json.decode(reader.blobs.get(version.body)))
