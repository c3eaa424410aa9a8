"""Bring an engine to a state, keep receipts, and go back by a receipt.

`apply` is idempotent; generations never go backwards; a rollback puts the documents of the receipt before
there again and computes nothing. Receipts stand in `receipts.json` beside the documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from assent_client import durable
from assent_client.errors import Conflict, Invalid, NotFound, Stale, Unavailable
from assent_client.targets.desired import Desired, Settings
from assent_client.targets.documents import Document, render

MOST_RECEIPTS: Final = 20


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine was given: the documents, for which snapshot, and when.

    `desired` is the digest of what was asked for: after a rollback, of what was taken back, so that it is
    not applied again before something else is asked for.
    """

    number: int
    generation: tuple[int, int]
    desired: str
    applied_at: datetime
    documents: dict[str, Document]
    left_out: list[str] = []
    restores: int | None = None


class Actual(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force: weights by backend in millionths; `source` is `engine` or `file`."""

    source: str
    generation: str
    weights: dict[str, int]


class Target:
    """One engine; one process at a time may write to it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = Path(settings.folder)
        self._path = self.folder / "receipts.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.receipts = msgspec.json.decode(self._path.read_bytes(), type=list[Receipt])
        except FileNotFoundError:
            self.receipts = []
        except OSError as error:
            raise Unavailable(f"{settings.folder} cannot be used: {error.strerror}.") from None
        except msgspec.MsgspecError as error:
            raise Invalid(
                f"{self._path} cannot be read: {error}.", remedy="Move it away; it holds past states only."
            ) from None

    def apply(self, desired: Desired) -> Receipt:
        """Bring the engine to a state. Raises: Stale (an older generation), Unavailable."""
        last = self.receipts[-1] if self.receipts else None
        if last is not None and desired.generation < last.generation:
            raise Stale(f"Generation {desired.generation} lies behind {last.generation}, which was applied.")
        documents = render(desired, self.settings)
        is_known = last is not None and desired.digest == last.desired
        if last is not None and is_known and (last.restores or _same(documents, last.documents)):
            return last
        return self._put(
            Receipt(
                number=1 if last is None else last.number + 1,
                generation=desired.generation,
                desired=desired.digest,
                applied_at=datetime.now(UTC),
                documents=documents,
                left_out=desired.left_out,
            )
        )

    def roll_back(self) -> Receipt:
        """Apply the receipt before the present one again. Raises: Conflict (there is none), Unavailable."""
        if not self.receipts:
            raise Conflict("Nothing was applied yet.")
        last = self.receipts[-1]
        shown = last.restores or last.number
        before = [one for one in self.receipts if one.number < shown and one.restores is None]
        if not before:
            raise Conflict("There is no receipt before this one.")
        return self._put(
            Receipt(
                number=last.number + 1,
                generation=last.generation,
                desired=last.desired,
                applied_at=datetime.now(UTC),
                documents=before[-1].documents,
                left_out=before[-1].left_out,
                restores=before[-1].number,
            )
        )

    def observe(self) -> Actual:
        """Read what is in force, from the engine itself where possible. Raises: NotFound, Unavailable."""
        if self.settings.kind == "envoy" and self.settings.admin is not None:
            return _in_force(self.settings.admin)
        path = self.folder / ("routes.json" if self.settings.kind == "envoy" else "httproute.json")
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise NotFound(f"There is no {path} yet.", remedy="Apply something first.") from None
        if self.settings.kind == "envoy":
            return _actual("file", document["version_info"], document["resources"][0])
        backends = document["spec"]["rules"][0]["backendRefs"]
        generation = document["metadata"]["annotations"]["assent/generation"]
        return Actual(source="file", generation=generation, weights=_sums(backends))

    def _put(self, receipt: Receipt) -> Receipt:
        """Write what differs from what is there, and the receipt last."""
        try:
            for name, document in receipt.documents.items():
                _replace(self.folder / name, json.dumps(document, indent=1).encode())
            receipts = [*self.receipts, receipt][-MOST_RECEIPTS:]
            durable.replace(self._path, msgspec.json.encode(receipts))
        except OSError as error:
            raise Unavailable(f"{self.folder} cannot be written: {error.strerror}.") from error
        self.receipts = receipts
        return receipt


def _same(one: dict[str, Document], other: dict[str, Document]) -> bool:
    """Compare documents but for the generation that they name."""

    def bare(documents: dict[str, Document]) -> Any:
        return [
            {key: part for key, part in one.items() if key != "version_info"} for one in documents.values()
        ]

    return bool(bare(one) == bare(other))


def _replace(path: Path, content: bytes) -> None:
    """Put a file there in one step, readable by the engine's account; leave one that holds the same."""
    if not path.exists() or path.read_bytes() != content:
        durable.replace(path, content, 0o644)


def _in_force(admin: str) -> Actual:
    try:
        answer = httpx.get(
            f"{admin.rstrip('/')}/config_dump", params={"resource": "dynamic_route_configs"}, timeout=5
        )
        answer.raise_for_status()
        found = answer.json()["configs"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise Unavailable(f"Envoy at {admin} does not say what is in force: {error!r}.") from error
    for one in found:
        if one["route_config"]["name"] == "assent":
            return _actual("engine", one.get("version_info", ""), one["route_config"])
    raise NotFound(f"Envoy at {admin} has no route configuration named assent yet.")


def _actual(source: str, generation: str, configuration: Document) -> Actual:
    action = configuration["virtual_hosts"][0]["routes"][0].get("route", {})
    weights = _sums(action.get("weighted_clusters", {}).get("clusters", ()))
    return Actual(source=source, generation=generation, weights=weights)


def _sums(backends: Iterable[Document]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in backends:
        found[one["name"]] = found.get(one["name"], 0) + one.get("weight", 0)
    return found
