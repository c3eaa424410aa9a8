"""What a gateway does with a request: who asks, which version, which upstream."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import count
from time import monotonic
from typing import Any, Final

import msgspec

from assent.gateway.call import Call
from assent.gateway.inbound import ClientConnection
from assent.gateway.mirroring import mirror
from assent.gateway.money import Budget, Hold, Tariff
from assent.gateway.recorder import Chosen, Recorder
from assent.gateway.request import Request
from assent.gateway.served import Served
from assent.gateway.settings import GatewaySettings
from assent.gateway.shared import Shared
from assent.gateway.targets import Upstream
from assent_client.calls.choosing import Caller, choose, next_hop, prepare
from assent_client.calls.dialects import DIALECTS, EMBEDDINGS, MESSAGES, Dialect
from assent_client.calls.edit import Ask
from assent_client.calls.feedback import read_thumb
from assent_client.calls.places import ANTHROPIC_VERSION
from assent_client.calls.refusals import Refusal
from assent_client.calls.served import ServedVersion, model_entry, models_body
from assent_client.decide import Decision, is_mirrored
from assent_client.observe import SHADOW
from assent_client.snapshot import ApplicationKey

log = logging.getLogger(__name__)

_MODELS: Final = b"/v1/models"
_FEEDBACK: Final = b"/v1/feedback"
_METHODS: Final = {
    **dict.fromkeys(DIALECTS, b"POST"),
    _FEEDBACK: b"POST",
    _MODELS: b"GET",
    b"/healthz": b"GET",
    b"/readyz": b"GET",
}
_OPEN: Final = frozenset({b"/healthz", b"/readyz"})


class Core:
    """One gateway: the snapshot in use, and what it makes of requests."""

    def __init__(self, shared: Shared, recorder: Recorder, settings: GatewaySettings) -> None:
        self.served: Served | None = None
        self._shared = shared
        self._recorder = recorder
        self._max_staleness_s = settings.max_staleness_s
        self._now = settings.now
        self._fresh_units = count()
        self._process = secrets.token_hex(8)

    def swap(self, served: Served) -> None:
        """Use a snapshot for all requests that start from now on, and cut the calls that a kill names."""
        self.served = served
        self._shared.heads.clear()  # they were admitted by the one before
        cut = {name for name, gone in served.payload.gone.items() if gone.cut}
        for call in [call for call in self._shared.active if call.name in cut]:
            call.cut(served.missing(call.name))

    def close(self) -> None:
        """Give back what is not used of leases."""
        self._recorder.quotas.close()

    def stale_s(self) -> float:
        """Give the seconds since the snapshot expired."""
        if self.served is None:
            return 0.0
        return max(0.0, (self._now() - self.served.expires_at).total_seconds())

    # requests

    def admit(self, request: Request) -> None:
        """Judge a request by its head, before its body is read.

        Raises: Refusal.
        """
        if request.admitted_by is not None and request.admitted_by is self._ready():
            return  # its head was admitted before
        path = request.path
        method = _METHODS.get(path, b"GET" if path.startswith(_MODELS + b"/") else None)
        if method is None:
            raise Refusal(
                404, "unknown_path", "This gateway serves " + ", ".join(p.decode() for p in _METHODS) + "."
            )
        if request.method != method:
            raise Refusal(405, "method_not_allowed", f"Use {method.decode()} for {path.decode('latin-1')}.")
        if path not in _OPEN:
            served = self._ready()
            request.key, request.admitted_by = served.authenticate(request.authorization), served

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
            dialect = DIALECTS.get(request.path)
            if dialect is not None:
                self._call(client, request, dialect)
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

    def _call(self, client: ClientConnection, request: Request, dialect: Dialect) -> None:
        chosen = self._choose(request, dialect)
        try:
            prepare(chosen, self._now)
        except Refusal as refusal:
            self._recorder.refused(chosen, refusal, monotonic() - request.started_at)
            client.refuse(request, refusal, chosen.headers)
            return
        if chosen.limits is not None and chosen.limits.currency is not None:
            self._hold(chosen)
        if chosen.version.fallback:
            chosen.next = partial(self._hop, request, chosen, iter(chosen.version.fallback))
        if chosen.route.shadow is not None and is_mirrored(chosen.route.shadow, chosen.unit):
            chosen.mirror = partial(self._mirror, request, chosen)
        call = client.active = Call(self._shared, self._recorder, client, request, chosen)
        call.start()

    def _hold(self, chosen: Chosen) -> None:
        """Hold what the call may cost. Raises: Refusal (403 where its price is unknown, 429)."""
        budget = chosen.served.budgets[chosen.application]
        tariff = _tariff(chosen.served, chosen.version, budget)
        amount = tariff.most(chosen.body, gives_text=chosen.dialect is not EMBEDDINGS)
        leases = self._recorder.quotas.hold(chosen.application, budget, amount)
        chosen.hold = Hold(leases, amount, tariff)

    def _mirror(self, request: Request, chosen: Chosen) -> None:
        """Ask the version that is a shadow of the one that was chosen."""
        served, shadow = chosen.served, chosen.route.shadow
        digest = shadow["variants"][shadow["shadow"]["variant"]] if shadow is not None else ""
        version = served.versions[digest]
        try:
            upstream, start = self._target(served, version, chosen.dialect, request)
        except Refusal as refusal:
            log.warning("gateway: the shadow %s cannot be asked: %s", version.ref, refusal)
            return
        ask = copy(chosen.ask)
        ask.fields = dict(ask.fields)  # guardrails may put other texts in
        decision = Decision(SHADOW, digest, None, SHADOW, None)
        mirrored = replace(
            chosen, ask=ask, version=version, decision=decision, upstream=upstream, start=start, limits=None,
            hold=None, mirror=None, next=None, guardrails=None, hop=0, sampling=None,
        )  # fmt: skip
        mirror(self._shared, self._recorder, mirrored, request.lines)

    def _choose(self, request: Request, dialect: Dialect) -> Chosen:
        served, key = self._ready(), _key_of(request)
        limits = served.payload.limits.get(key.id)
        if limits is not None:
            self._recorder.quotas.admit(key.id, limits)
        ask = Ask(b"".join(request.body))
        route = served.allowed(ask.model, key)
        caller = Caller(key.id, request.conversation, request.preview)
        chosen = choose(Chosen, ask, dialect, served, route, caller, new_unit=self._new_unit, limits=limits)
        try:
            chosen.upstream, chosen.start = self._target(served, chosen.version, dialect, request)
        except Refusal as refusal:  # a canary that cannot be asked fails its users: its guards must see it
            self._recorder.refused(chosen, refusal, monotonic() - request.started_at)
            raise
        return chosen

    def _new_unit(self) -> str:
        return f"{self._process}-{next(self._fresh_units)}"

    def _target(
        self, served: Served, version: ServedVersion, dialect: Dialect, request: Request
    ) -> tuple[Upstream, bytes]:
        """Give where a version is asked, and how its request begins. Raises: Refusal (503)."""
        upstream = served.upstreams.get(version.provider)
        if upstream is None or isinstance(upstream, str):
            why = upstream or f"the provider {version.provider} is not configured"
            raise Refusal(503, "provider_unusable", f"{version.ref} cannot be called: {why}.")
        start = upstream.start(dialect, version.model)
        if dialect is MESSAGES and ANTHROPIC_VERSION[0] + b":" not in request.lines.lower():
            start += b"%b: %b\r\n" % ANTHROPIC_VERSION
        return upstream, start

    def _hop(self, request: Request, before: Chosen, hops: Iterator[str]) -> Chosen | None:
        """Choose the next version of the chain, and how the one after it is chosen."""

        def place(version: ServedVersion) -> Mapping[str, Any]:
            upstream, start = self._target(before.served, version, before.dialect, request)
            hold = before.hold
            if hold is not None:
                budget = before.served.budgets[before.application]
                hold = replace(hold, tariff=_tariff(before.served, version, budget))
            return {"upstream": upstream, "start": start, "hold": hold}

        hop = next_hop(before, hops, place)
        if hop is not None:
            before.hold = None  # what was held for the attempt that failed is held for this one
            hop.next = partial(self._hop, request, hop, hops)
        return hop

    def _models(self, request: Request) -> bytes:
        served, key = self._ready(), _key_of(request)
        if request.path == _MODELS:
            return models_body(served.names(key))
        name = request.path[len(_MODELS) + 1 :].decode("latin-1")
        served.allowed(name, key)
        return msgspec.json.encode(model_entry(name))

    def _readiness(self) -> bytes:
        served = self.served
        state = {
            "ready": served is not None,
            "serial": None if served is None else served.serial,
            "stale_s": self.stale_s(),
            "calls": len(self._shared.active),
            "mirrored_left_out": self._shared.n_not_mirrored,
            "guardrails_down": self._shared.hooks.n_broken,
            "guardrails_passed_by": self._shared.hooks.n_passed_by,
            **self._recorder.state,
        }
        return msgspec.json.encode(state)

    def _feedback(self, request: Request) -> bytes:
        served, key = self._ready(), _key_of(request)
        thumb = read_thumb(b"".join(request.body))
        is_matched = self._recorder.feedback(thumb, served.environment, key.id)
        return b'{"accepted":true,"matched":%b}' % (b"true" if is_matched else b"false")


def _tariff(served: Served, version: ServedVersion, budget: Budget) -> Tariff:
    """Give what a version's tokens cost in the currency of a budget. Raises: Refusal (403)."""
    tariff = served.tariffs.get(version.digest)
    if tariff is None or tariff.currency != budget.currency:
        message = (
            f"This application's key has a budget in {budget.currency}, and what {version.ref} costs in it "
            "is unknown, so the call cannot be counted. Have its price set: assent provider price."
        )
        raise Refusal(403, "price_unknown", message, "model")
    return tariff


def _key_of(request: Request) -> ApplicationKey:
    if request.key is None:
        raise Refusal(401, "invalid_api_key", "The API key is missing.")
    return request.key
