"""What a gateway does with a request: who asks, which version, which upstream."""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Final

import msgspec

from assent.gateway.call import Call, Ending
from assent.gateway.edit import Ask
from assent.gateway.feedback import Completions, Known, now, read_thumb
from assent.gateway.inbound import ClientConnection, Request
from assent.gateway.problems import Refusal
from assent.gateway.served import Endpoint, Served, ServedRoute, ServedVersion, Upstream, models_body
from assent.gateway.settings import Limits
from assent.gateway.stream import Outcome
from assent.gateway.upstream import Pool
from assent_client import observe
from assent_client.decide import Decision

log = logging.getLogger(__name__)

_CHAT: Final = b"/v1/chat/completions"
_MODELS: Final = b"/v1/models"
_FEEDBACK: Final = b"/v1/feedback"
_METHODS: Final = {
    _CHAT: b"POST",
    _FEEDBACK: b"POST",
    _MODELS: b"GET",
    b"/healthz": b"GET",
    b"/readyz": b"GET",
}
_OPEN: Final = frozenset({b"/healthz", b"/readyz"})
_MAX_UNIT: Final = 512


@dataclass(slots=True)
class Chosen:
    """A request with the version that answers it."""

    ask: Ask
    served: Served
    route: ServedRoute
    decision: Decision
    version: ServedVersion
    upstream: Upstream
    body: bytes
    headers: bytes
    unit: str
    sticky: bool
    application: str


@dataclass(frozen=True, slots=True)
class Recorder:
    """Where calls are written down."""

    observations: observe.Observations
    completions: Completions
    unit_key: bytes


class Core:
    """The state of one gateway process; one event loop owns it."""

    def __init__(
        self, limits: Limits, recorder: Recorder, tls: ssl.SSLContext, max_staleness_s: float | None = None
    ) -> None:
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.served: Served | None = None
        self.clients: set[ClientConnection] = set()
        self.active: set[Call] = set()
        self.is_draining = False
        self.quiet = asyncio.Event()
        """Set while no call is under way."""
        self.quiet.set()
        self._recorder = recorder
        self.tls = tls
        self._max_staleness_s = max_staleness_s
        self._pools: dict[Endpoint, Pool] = {}
        self._fresh_units = count()
        self._process = secrets.token_hex(8)

    def pool(self, endpoint: Endpoint) -> Pool:
        """Give the connections to an endpoint."""
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = self._pools[endpoint] = Pool(endpoint, self.limits, self.tls)
        return pool

    def close_pools(self) -> None:
        """Close idle upstream connections."""
        for pool in self._pools.values():
            pool.close()

    def stale_s(self) -> float:
        """Give the seconds since the snapshot expired."""
        return 0.0 if self.served is None else max(0.0, (now() - self.served.expires_at).total_seconds())

    # requests

    def admit(self, request: Request) -> None:
        """Judge a request by its head, before its body is read.

        Raises: Refusal.
        """
        path = request.path
        method = _METHODS.get(path, b"GET" if path.startswith(_MODELS + b"/") else None)
        if method is None:
            raise Refusal(
                404, "unknown_path", "This gateway serves " + ", ".join(p.decode() for p in _METHODS) + "."
            )
        if request.method != method:
            raise Refusal(405, "method_not_allowed", f"Use {method.decode()} for {path.decode('latin-1')}.")
        if path not in _OPEN:
            request.key = self._ready().authenticate(request.authorization)

    def _ready(self) -> Served:
        served = self.served
        if served is None:
            raise Refusal(
                503, "no_snapshot", "This gateway has no signed snapshot yet. Retry in a few seconds."
            )
        if self._max_staleness_s is not None and self.stale_s() > self._max_staleness_s:
            raise Refusal(
                503, "snapshot_stale", f"The snapshot expired {self.stale_s():.0f} s ago; calls are refused."
            )
        return served

    def serve(self, client: ClientConnection, request: Request) -> None:
        """Answer a complete request."""
        try:
            if request.path == _CHAT:
                self._chat(client, request)
            elif request.path == _FEEDBACK:
                client.respond(request, 202, self._feedback(request))
            elif request.path == b"/healthz":
                client.respond(request, 200, b'{"status":"ok"}')
            elif request.path == b"/readyz":
                client.respond(request, 200 if self.served is not None else 503, self._readiness())
            else:
                client.respond(request, 200, self._models(request))
        except Refusal as refusal:
            client.refuse(request, refusal)
        except Exception:
            reference = secrets.token_hex(6)
            log.exception("gateway: defect %s", reference)
            message = f"The gateway failed; its log has the detail under {reference}."
            client.refuse(request, Refusal(500, "internal", message))

    def _chat(self, client: ClientConnection, request: Request) -> None:
        chosen = self._choose(request)
        try:
            chosen.body = chosen.version.usable().edit(chosen.ask)
        except Refusal as refusal:
            latency_s = monotonic() - request.started_at
            self.observe(chosen, Outcome(), Ending(refusal.status, refusal.code, latency_s, None))
            client.refuse(request, refusal, chosen.headers)
            return
        call = client.active = Call(self, client, request, chosen)
        self.active.add(call)
        self.quiet.clear()
        call.start()

    def forget(self, call: Call) -> None:
        """Take notice that a call has ended."""
        self.active.discard(call)
        if not self.active:
            self.quiet.set()

    def _choose(self, request: Request) -> Chosen:
        served, key = self._ready(), request.key
        if key is None:
            raise Refusal(401, "invalid_api_key", "The API key is missing.")
        ask = Ask(b"".join(request.body))
        route = served.route(ask.model, key)
        unit, sticky = self._unit(ask, request.conversation)
        decision = route.decide(unit, ask.extras.context)
        if decision.variant is None:
            raise Refusal(404, "model_not_found", f"{route.key} is switched off.", "model")
        version = served.versions[decision.value]
        upstream = served.upstreams.get(
            version.provider, f"the provider {version.provider} is not configured"
        )
        if isinstance(upstream, str):
            raise Refusal(503, "provider_unusable", f"{version.ref} cannot be called: {upstream}.")
        headers = route.headers[decision.variant]
        return Chosen(ask, served, route, decision, version, upstream, b"", headers, unit, sticky, key.id)

    def _unit(self, ask: Ask, conversation: bytes | None) -> tuple[str, bool]:
        """Give what sticks, and whether the caller named it."""
        unit = ask.extras.unit or ask.text("safety_identifier") or ask.text("user")
        if unit is None and conversation:
            unit = conversation.decode("latin-1")
        if unit is None:
            return f"{self._process}-{next(self._fresh_units)}", False
        if len(unit) > _MAX_UNIT:
            raise Refusal(
                400, "invalid_request", f"A unit's id has at most {_MAX_UNIT} characters.", "assent.unit"
            )
        return unit, True

    def _models(self, request: Request) -> bytes:
        served, key = self._ready(), request.key
        names = served.names(key) if key is not None else []
        if request.path == _MODELS:
            return models_body(names)
        name = request.path[len(_MODELS) + 1 :].decode("latin-1")
        if key is not None:
            served.route(name, key)
        return msgspec.json.encode({"id": name, "object": "model", "created": 0, "owned_by": "assent"})

    def _readiness(self) -> bytes:
        served = self.served
        state = {
            "ready": served is not None,
            "serial": None if served is None else served.serial,
            "stale_s": self.stale_s(),
            "calls": len(self.active),
            "batches_waiting": self._recorder.observations.n_waiting,
            "observations_dropped": self._recorder.observations.n_dropped,
        }
        return msgspec.json.encode(state)

    # observations

    def _feedback(self, request: Request) -> bytes:
        served, key = self._ready(), request.key
        thumb = read_thumb(b"".join(request.body))
        known = self._recorder.completions.find(thumb.completion_id)
        if key is None or (known is not None and known.application != key.id):
            raise Refusal(403, "not_your_completion", "This completion was given to another application.")
        self._recorder.observations.add(
            observe.Feedback(
                at=now(),
                environment=served.environment,
                completion_id=thumb.completion_id,
                value=thumb.score,
                comment=thumb.comment,
                matched=known is not None,
                route=known.route if known else None,
                variant=known.variant if known else None,
                version=known.version if known else None,
                unit=known.unit if known else None,
                called_at=known.at if known else None,
                application=key.id,
            )
        )
        return b'{"accepted":true,"matched":%s}' % (b"true" if known else b"false")

    def observe(self, chosen: Chosen, outcome: Outcome, ending: Ending) -> None:
        """Write a call down."""
        decision, version = chosen.decision, chosen.version
        unit = observe.hash_unit(self._recorder.unit_key, chosen.unit)
        at, model = now(), outcome.model
        row = observe.Call(
            at=at,
            environment=chosen.served.environment,
            route=chosen.route.key,
            variant=decision.variant or "",
            version=version.digest,
            serial=chosen.served.serial,
            rule=decision.rule,
            reason=decision.reason,
            rollout=chosen.route.rollout,
            unit=unit,
            sticky=chosen.sticky,
            stream=chosen.ask.stream,
            completion_id=outcome.completion_id,
            status=ending.status,
            error_class=ending.error_class,
            latency_s=ending.latency_s,
            ttft_s=ending.ttft_s,
            tokens_in=outcome.tokens_in,
            tokens_out=outcome.tokens_out,
            finish_reason=outcome.finish_reason,
            response_model=model,
            as_approved=None if model is None else model in version.allowed_models,
            application=chosen.application,
        )
        self._recorder.observations.add(row)
        if outcome.completion_id is not None:
            known = Known(at, row.route, row.variant, row.version, unit, chosen.application)
            self._recorder.completions.remember(outcome.completion_id, known)

    # time

    def sweep(self) -> None:
        """End what is over its time; called several times a second, so that no request needs a timer."""
        time = monotonic()  # not the loop's time: uvloop's moves in steps of a millisecond
        for call in [call for call in self.active if call.deadline < time]:
            call.on_deadline()
        for client in [client for client in self.clients if client.deadline < time]:
            client.on_deadline()
