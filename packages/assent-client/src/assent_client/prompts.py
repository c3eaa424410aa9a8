"""The prompts of an application: register them, vote on them, and use what production serves.

registry = PromptRegistry(RegistrySettings(url=…, token=…, project="support", data_dir=Path("/var/lib/app")))
draft = registry.register("greeting", "Hello {{name}}", author="ada")
registry.approve("greeting", draft.version, approver="rita")       # the vote of rita's own token
prompt = registry.get_production("greeting")                        # .template, .digest, .generation, .age_s

What production serves comes from the environment's signed snapshot, so it is what a decision admits, wherever
it was read: from the server, from memory or, when no server answers, from the disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import httpx
import msgspec

from assent_client import durable
from assent_client.api import Api
from assent_client.cache import Bounds, Cache
from assent_client.errors import AssentError, Conflict, Forbidden, NotFound, Unavailable
from assent_client.pinned import choose
from assent_client.snapshot import Scope, Snapshot
from assent_client.store import SnapshotStore, pin_root, read_root

__all__ = ["PromptRegistry", "PromptVersion", "RegistrySettings"]

log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SNAPSHOT: Final = ""
_NO_CONTEXT: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySettings:
    """Where the prompts are, whose production is meant, and where to keep what is needed without a server."""

    url: str
    token: str
    project: str
    data_dir: Path
    environment: str = "production"
    root_path: Path | None = None
    bounds: Bounds = field(default_factory=Bounds)
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """A prompt version. `template` is its text; of a chat prompt, its messages as JSON.

    `generation` counts the changes of the route that serves it and `age_s` says how long ago the server last
    confirmed that; both are None where no route was asked. `created_at`, `created_by` and `metrics` are None
    where no server has told them to this machine yet; `version` then may be the digest.
    """

    prompt_id: str
    version: str
    template: str
    created_at: datetime | None
    created_by: str | None
    status: str
    metrics: dict[str, Any] | None
    digest: str
    document: Mapping[str, Any]
    generation: int | None = None
    age_s: float | None = None


class PromptRegistry:
    """Prompts of one project, and what one environment serves of them; safe in threads and after forks."""

    def __init__(self, settings: RegistrySettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._api: Api | None = None
        self._store: SnapshotStore | None = None
        self._etag: str | None = None
        self._folder = settings.data_dir / "prompts"
        self._snapshots: Cache[Snapshot] = Cache(self._load_snapshot, settings.bounds)
        self._records: Cache[dict[str, Any]] = Cache(self._load_record, settings.bounds)
        self._take_up()
        _registries.add(self)

    def __enter__(self) -> Self:
        """Keep connections open for the length of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close connections."""
        self.close()

    def close(self) -> None:
        """Close connections; what is in memory stays good."""
        with self._lock:
            api, self._api = self._api, None
        if api is not None:
            api.close()

    # what the brief asks for

    def register(
        self, prompt_id: str, template: str | Mapping[str, Any], author: str, *, bump: str | None = None
    ) -> PromptVersion:
        """Register a version as a draft; its number follows from what changed for its callers.

        In a text each `{{name}}` is a required variable; a mapping is a whole prompt, as in a file for
        `assent prompt register`. `author` is the name of an account. The same content again gives the version
        that exists. Raises: Invalid, NotFound (author), Refused (the bump is too low).
        """
        content = dict(template) if isinstance(template, Mapping) else _simple(template)
        body = {**content, "name": prompt_id, "authors": [author]} | ({"bump": bump} if bump else {})
        api = self._connected()
        return _version(api.post(api.path("prompts"), body))

    def approve(
        self, prompt_id: str, version: str, approver: str, *, comment: str | None = None
    ) -> PromptVersion:
        """Vote for the open request to release a version, as the owner of the token.

        Raises: Forbidden (`approver` is somebody else), Conflict (nobody has asked for it), Refused with
        every reason why the vote would not count.
        """
        api = self._connected()
        me = api.get("/v1/me")["name"]
        if approver != me:
            raise Forbidden(
                f"This token is {me}'s, so it cannot approve for {approver}: a vote is cast by who gives it.",
                remedy=f"Let {approver} vote with a token of their own.",
            )
        ref = f"{prompt_id}@{version}"
        asked = api.pages(
            api.path("requests"), name=prompt_id, state="open", environment=self.settings.environment
        )
        request = next((one for one in asked if one["ref"] == ref), None)
        if request is None:
            raise Conflict(
                f"{ref} is not in review: there is no open request for {self.settings.environment}.",
                remedy=f"Ask: assent request create {ref} --env {self.settings.environment} --plan FILE",
            )
        body = {
            "verdict": "approve",
            "subject": request["subject"],
            "policy": request["policy"],
            "comment": comment,
        }
        api.post(api.path("requests", request["id"], "votes"), body)
        return self.get(prompt_id, version)

    def get_production(
        self, prompt_id: str, *, unit: str | None = None, context: Mapping[str, Any] = _NO_CONTEXT
    ) -> PromptVersion:
        """Give what the production route serves to a `unit`; without one, the stable version.

        `prompt_id` names a prompt with a route of its own; or a system, whose version pins a prompt; or a
        prompt that systems pin. Raises: NotFound, Gone (retired), Conflict (systems pin different versions of
        it), Unavailable (no snapshot yet, or only one that is too old).
        """
        snapshot, age_s = self._snapshots.get(_SNAPSHOT)
        served = choose(snapshot, prompt_id, unit, context)
        record = self._record(served.digest, str(served.document["name"]))
        return PromptVersion(
            prompt_id=prompt_id,
            version=served.number or record.get("version") or served.digest,
            template=_template(served.document),
            created_at=_time(record.get("registered_at")),
            created_by=record.get("created_by"),
            status=record.get("status") or "approved",  # a decision admits it, or it would not be served
            metrics=record.get("metrics"),
            digest=served.digest,
            document=served.document,
            generation=served.generation,
            age_s=age_s,
        )

    # reading

    def get(self, prompt_id: str, version: str) -> PromptVersion:
        """Give a version as the server knows it now. Raises: NotFound."""
        api = self._connected()
        found = api.get(api.path("prompts", prompt_id, version))
        return _version(found, self._metrics(api, found["digest"]))

    def get_latest(self, prompt_id: str) -> PromptVersion:
        """Give the version with the highest number, whatever its status. Raises: NotFound."""
        return self.get(prompt_id, "latest")

    # keeping current

    def _connected(self) -> Api:
        with self._lock:
            if self._api is None:
                settings = self.settings
                self._api = Api(settings.url, settings.token, settings.project, timeout_s=settings.timeout_s)
            return self._api

    def _take_up(self) -> None:
        """Begin with what is on disk."""
        root = read_root(self._root_path)
        if root is None:
            return
        snapshot = self._open(root).load()
        if snapshot is not None:
            age_s = max(0.0, (datetime.now(UTC) - snapshot.payload.issued_at).total_seconds())
            self._snapshots.put(_SNAPSHOT, snapshot, age_s)

    @property
    def _root_path(self) -> Path:
        return self.settings.root_path or self.settings.data_dir / "root.json"

    def _open(self, root: Any) -> SnapshotStore:
        settings = self.settings
        scope = Scope(settings.project, settings.environment, "sdk")
        self._store = SnapshotStore(settings.data_dir, root, scope)
        return self._store

    def _load_snapshot(self, _key: str, held: Snapshot | None) -> Snapshot:
        settings = self.settings
        path = Api.join("v1", "projects", settings.project, "environments", settings.environment, "snapshot")
        known = {"if-none-match": self._etag} if held is not None and self._etag else {}
        answer = self._fetch(path, known, audience="sdk")
        if answer.status_code == httpx.codes.NOT_MODIFIED and held is not None:
            return held
        store = self._store
        if store is None:
            store = self._open(pin_root(self._root_path, self._fetch("/ledger/root", {}).content))
        snapshot = store.offer(answer.content)
        self._etag = answer.headers.get("etag")
        return snapshot

    def _fetch(self, path: str, headers: Mapping[str, str], **query: str) -> httpx.Response:
        return self._connected().fetch(path, headers, **query)

    def _record(self, digest: str, name: str) -> dict[str, Any]:
        """Give what the registry says of a version; nothing where neither server nor disk know it."""
        try:
            return self._records.get(f"{name}/{digest}")[0]
        except AssentError as error:
            log.info("prompts: %s %s: %s", name, digest, error.message)
            return {}

    def _load_record(self, key: str, _held: dict[str, Any] | None) -> dict[str, Any]:
        name, _, digest = key.partition("/")
        path = self._folder / f"{hashlib.sha256(digest.encode()).hexdigest()}.json"
        try:
            api = self._connected()
            found: dict[str, Any] = api.get(api.path("prompts", name, digest))
            record = {k: found.get(k) for k in ("version", "registered_at", "created_by", "status")}
            record["metrics"] = self._metrics(api, digest)
        except Unavailable:
            kept = _read(path)
            if kept is None:
                raise
            return kept
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            durable.replace(path, msgspec.json.encode(record))
        except OSError as error:
            log.warning("prompts: %s cannot be written: %s", path, error.strerror)
        return record

    def _metrics(self, api: Api, digest: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = api.get(api.path("versions", digest, "metrics"))
        except (Forbidden, NotFound):
            return None
        return found

    def _after_fork(self) -> None:
        """Leave the parent's lock, flights and sockets to the parent; what is in memory stays good."""
        self._lock = threading.Lock()
        self._api = None
        self._snapshots.after_fork()
        self._records.after_fork()


def _simple(template: str) -> dict[str, Any]:
    """Make a prompt of a text whose `{{name}}` are its variables."""
    names = dict.fromkeys(_VARIABLE.findall(template))
    return {"text": template, "syntax": "simple", "variables": {name: {} for name in names}}


def _template(document: Mapping[str, Any]) -> str:
    messages = document["messages"]
    content = messages[0].get("content") if len(messages) == 1 else None
    if document["format"] == "text" and isinstance(content, str):
        return content
    return json.dumps(messages, ensure_ascii=False)


def _version(found: Mapping[str, Any], metrics: dict[str, Any] | None = None) -> PromptVersion:
    return PromptVersion(
        prompt_id=found["name"],
        version=found["version"],
        template=_template(found["document"]),
        created_at=_time(found["registered_at"]),
        created_by=found.get("created_by"),
        status=found["status"],
        metrics=metrics,
        digest=found["digest"],
        document=found["document"],
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return record if isinstance(record, dict) else None


_registries: weakref.WeakSet[PromptRegistry] = weakref.WeakSet()


def _renew_all() -> None:
    for registry in list(_registries):
        registry._after_fork()  # noqa: SLF001 -- the hook belongs to the class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
