"""What another engine is to do: the default split of one route, as backends and millionths.

Settings are a document (YAML on disk):

    kind: envoy                              # or httproute
    route: assistant                         # the governed name
    folder: /etc/envoy/assent                # where documents and receipts go
    backends:
      assistant@2.0.0: {host: 10.0.0.1, port: 8000}
      assistant@2.1.0: {host: 10.0.0.2, port: 8000}
    bucket_header: x-assent-bucket           # envoy: the unit's bucket, where the caller knows it
    admin: http://127.0.0.1:9901             # envoy: where to see what is in force
    parent: public                           # httproute: the Gateway; and `hostnames`, `namespace`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from assent_client.decide import BUCKETS
from assent_client.errors import Conflict, Invalid, NotFound, Reason
from assent_client.snapshot import Snapshot, digest_of

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Header = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,64}\Z")]


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a version answers: a host, or in Kubernetes a Service."""

    host: Name
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which route goes to which engine, and where its versions answer."""

    kind: Literal["envoy", "httproute"]
    route: Name
    folder: Annotated[str, msgspec.Meta(min_length=1)]
    backends: dict[str, Backend]
    bucket_header: Header = "x-assent-bucket"
    admin: str | None = None
    parent: str | None = None
    namespace: str = "default"
    hostnames: list[Name] = []


class Slice(msgspec.Struct, frozen=True):
    """Buckets from `start` up to, not including, `end`, of 1,000,000, and the version that they get."""

    ref: str
    start: int
    end: int


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """The state that an engine is to have; `slices` is empty where the name answers nobody.

    `left_out` says which rules the engine cannot follow: whom they name gets the default split.
    """

    route: str
    generation: tuple[int, int]
    slices: list[Slice]
    left_out: list[str] = []

    @property
    def digest(self) -> str:
        """Give the digest of what is to be done; the generation is not part of it."""
        return digest_of(
            {"route": self.route, "slices": [msgspec.structs.asdict(one) for one in self.slices]}
        )


def read_settings(document: Any) -> Settings:
    """Read settings. Raises: Invalid."""
    try:
        found = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise Invalid(f"The target's settings are not valid: {error}.") from None
    if found.kind == "httproute" and not found.parent:
        raise Invalid("An httproute needs `parent`: the name of its Gateway.")
    return found


def desired_of(snapshot: Snapshot, settings: Settings) -> Desired:
    """Read from a snapshot what the engine is to do.

    Raises: NotFound (no such route), Conflict (a version has no backend), Invalid (a flag's route).
    """
    payload, name = snapshot.payload, settings.route
    if name in payload.gone:
        return Desired(route=name, generation=payload.position, slices=[])
    route = payload.routes.get(name)
    if route is None:
        raise NotFound(f"{payload.environment} has no route {name}.", remedy="See assent env show.")
    if route["kind"] == "flag":
        raise Invalid(f"{name} is a flag.", remedy="A target follows the route of a model or prompt.")
    refs = {variant: payload.versions[digest].ref for variant, digest in route["variants"].items()}
    slices = _slices(route, refs)
    _check_backends(slices, settings)
    left_out = [f"rule {rule['id']}" for rule in route["rules"]] + [
        f"prerequisite {one['flag']}" for one in route.get("prerequisites", ())
    ]
    return Desired(route=name, generation=payload.position, slices=slices, left_out=left_out)


def _slices(route: Mapping[str, Any], refs: Mapping[str, str]) -> list[Slice]:
    """List the ranges in the order of their buckets; a route that is switched off gives its off variant."""
    if not route["enabled"]:
        return [Slice(refs[route["off"]], 0, BUCKETS)] if route["off"] else []
    ranges = sorted((one["start"], one["end"], one["variant"]) for one in route["split"])
    return [Slice(refs[variant], start, end) for start, end, variant in ranges if end > start]


def _check_backends(slices: list[Slice], settings: Settings) -> None:
    missing = sorted({one.ref for one in slices} - settings.backends.keys())
    if missing:
        raise Conflict(
            f"The settings of the target name no backend for {', '.join(missing)}.",
            remedy="Add where it answers under `backends`; until then the engine keeps what it has.",
            reasons=[Reason("backend", f"{ref} has no backend.") for ref in missing],
        )
