"""Packs: datasets and suites that ship with Assent, registered in a project as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from assent.evaluation.service.versions import NewVersion, register_dataset, register_suite
from assent.evaluation.store import DatasetVersion, SuiteVersion
from assent.kernel.canonical import digest
from assent.kernel.errors import NotFound
from assent.kernel.tx import Tx

_FOLDER = "packs"


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as it ships; `digest` covers every row and every suite."""

    name: str
    version: str
    title: str
    licence: str
    origin: str
    languages: tuple[str, ...]
    datasets: dict[str, list[Any]]
    suites: dict[str, dict[str, Any]]
    digest: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What a pack is in a project; `created` says whether anything was new."""

    pack: Pack
    datasets: tuple[DatasetVersion, ...]
    suites: tuple[SuiteVersion, ...]
    created: bool


def list_packs() -> Sequence[Pack]:
    """List the packs that ship, by name."""
    return [
        get_pack(one.name) for one in sorted(files("assent.evaluation").joinpath(_FOLDER).iterdir(), key=str)
    ]


@lru_cache(maxsize=8)
def get_pack(name: str) -> Pack:
    """Read a pack. Raises: NotFound."""
    shelf = files("assent.evaluation").joinpath(_FOLDER)
    if name not in {one.name for one in shelf.iterdir()}:
        raise NotFound(f"There is no pack {name!r}.", remedy="See assent suite packs.")
    document = msgspec.json.decode(shelf.joinpath(name, "pack.json").read_bytes(), type=dict[str, Any])
    rows = {
        dataset: [msgspec.json.decode(line) for line in shelf.joinpath(name, file).read_bytes().splitlines()]
        for dataset, file in document["datasets"].items()
    }
    return Pack(
        name=name,
        version=document["version"],
        title=document["title"],
        licence=document["licence"],
        origin=document["origin"],
        languages=tuple(document["languages"]),
        datasets=rows,
        suites=document["suites"],
        digest=digest({**document, "datasets": rows}),
    )


def install_pack(tx: Tx, project: str, name: str) -> Installed:
    """Register a pack's datasets and suites under its version; what is there already stays.

    Raises: NotFound, Conflict (the names are taken by other content).
    """
    pack = get_pack(name)
    datasets = [
        register_dataset(tx, NewVersion(project, one, rows, pack.version))
        for one, rows in pack.datasets.items()
    ]
    refs = {version.name: version.ref for version, _ in datasets}
    suites = [
        register_suite(
            tx, NewVersion(project, one, {**document, "dataset": refs[document["dataset"]]}, pack.version)
        )
        for one, document in pack.suites.items()
    ]
    return Installed(
        pack,
        tuple(version for version, _ in datasets),
        tuple(version for version, _ in suites),
        any(created for _, created in (*datasets, *suites)),
    )
