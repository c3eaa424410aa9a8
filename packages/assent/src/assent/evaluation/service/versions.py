"""Register datasets and suites, and read them."""

from collections.abc import Callable, Mapping, Sequence
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
from assent.evaluation.domain.figures import figure
from assent.evaluation.domain.gate import Gate
from assent.evaluation.domain.numbers import next_number, split_ref
from assent.evaluation.domain.suite import Suite, from_document, gate_document, parse_suite, suite_digest
from assent.evaluation.scorers import compile_suite
from assent.evaluation.store import DatasetVersion, SuiteVersion
from assent.identity import service as identity
from assent.kernel.canonical import canonical, is_digest
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.kernel.ids import new_id
from assent.kernel.locks import lock_name
from assent.kernel.tx import Reader, Tx
from assent.prompts.domain.numbers import parse_number
from assent.web.api import checked_name

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
    _check_place(tx, new, "dataset")
    parsed = parse_dataset(new.content)
    lock_name(tx, "dataset", new.project, new.name)
    twin = store.twin_of_dataset(tx, new.project, new.name, parsed.digest)
    if twin is not None:
        return _same(twin, new), False
    number = _free_number(tx, new, store.find_dataset)
    body = tx.blobs.put(canonical([row.to_document() for row in parsed.rows]))
    tx.record(
        DatasetRegistered(
            id=new_id("ds"),
            project=new.project,
            name=new.name,
            number=number,
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
    _check_place(tx, new, "suite")
    suite = _read_suite(tx, new)
    digest = suite_digest(suite)
    lock_name(tx, "suite", new.project, new.name)
    twin = store.suite_by_digest(tx, new.project, digest)
    if twin is not None:
        return _same(twin, new), False
    number = _free_number(tx, new, store.find_suite)
    tx.record(
        SuiteRegistered(
            id=new_id("su"),
            project=new.project,
            name=new.name,
            number=number,
            digest=digest,
            body=tx.blobs.put(canonical(suite.document)),
            kind=suite.kind,
            dataset=suite.dataset,
            gate=_gate_in_words(suite.gate),
        )
    )
    return get_suite(tx, new.project, new.name, number), True


def _check_place(reader: Reader, new: NewVersion, noun: str) -> None:
    checked_name(new.name, noun)
    identity.get_project(reader, new.project)


def preview_dataset(reader: Reader, new: NewVersion) -> dict[str, Any]:
    """Say what registering would do: number, digest, and the version that exists. Raises: as registering."""
    _check_place(reader, new, "dataset")
    digest = parse_dataset(new.content).digest
    twin = store.twin_of_dataset(reader, new.project, new.name, digest)
    if twin is None:
        return _preview(new.name, digest, _free_number(reader, new, store.find_dataset), None)
    return _preview(new.name, digest, twin.number, _same(twin, new).ref)


def preview_suite(reader: Reader, new: NewVersion) -> dict[str, Any]:
    """Say what registering would do: number, digest, and the version that exists. Raises: as registering."""
    _check_place(reader, new, "suite")
    digest = suite_digest(_read_suite(reader, new))
    twin = store.suite_by_digest(reader, new.project, digest)
    if twin is None:
        return _preview(new.name, digest, _free_number(reader, new, store.find_suite), None)
    return _preview(new.name, digest, twin.number, _same(twin, new).ref)


def _preview(name: str, digest: str, number: str, ref: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "version": number,
        "digest": digest,
        "ref": ref,
        "created": False,
        "exists": ref is not None,
    }


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
        return get_dataset_by_digest(reader, project, ref).digest
    return get_dataset(reader, project, *split_ref(ref)).digest


def _same(twin: Version, new: NewVersion) -> Version:
    if new.number is not None and new.number != twin.number:
        raise Conflict(
            f"{new.name} has this content already, as {twin.number}.", remedy=f"Use {twin.ref}, or change it."
        )
    return twin


def _free_number(
    reader: Reader,
    new: NewVersion,
    find: Callable[[Reader, str, str, str | None], DatasetVersion | SuiteVersion | None],
) -> str:
    """Choose the number of a new version. Raises: Invalid, Conflict (it is taken)."""
    latest = find(reader, new.project, new.name, None)
    following = next_number(None if latest is None else latest.number)
    if new.number is None:
        return following
    parse_number(new.number)
    taken = find(reader, new.project, new.name, new.number)
    if taken is not None:
        raise Conflict(
            f"{taken.ref} exists with other content, and versions never change.",
            remedy=f"Register it as {following}.",
        )
    return new.number


def get_dataset(reader: Reader, project: str, name: str, number: str | None = None) -> DatasetVersion:
    """Get a version, or the latest. Raises: NotFound."""
    found = store.find_dataset(reader, project, name, number)
    if found is None:
        raise NotFound(f"There is no dataset {name}{f'@{number}' if number else ''} in {project}.")
    return found


def get_dataset_by_digest(reader: Reader, project: str, digest: str) -> DatasetVersion:
    """Get the first version with these rows. Raises: NotFound."""
    found = store.dataset_by_digest(reader, project, digest)
    if found is None:
        raise NotFound(f"The dataset {digest} is not registered in {project}.", remedy="Register it first.")
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
