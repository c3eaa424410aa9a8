"""Routes of samplings: which share of a name's live calls a judge grades."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter

from assent.delivery import service
from assent.delivery.domain.sampling import Wanted, read_wanted
from assent.delivery.http.environments import NeededReason
from assent.delivery.http.wire import Wire, changing
from assent.identity import service as identity
from assent.identity.domain import Permission
from assent.kernel.tx import Reader
from assent.web.api import Call, requires

router = APIRouter(prefix="/environments/{environment}/samplings/{name}")

Changes = Annotated[Call, requires(Permission.SAMPLING_CHANGE)]
Why = Annotated[str, pydantic.Field(min_length=1, max_length=2000)]


class WantedSampling(Wire):
    """Which judge grades which share of the units, how often a day at most, and how long texts are kept."""

    judge: Annotated[str, pydantic.Field(min_length=1, max_length=63)]
    share: Annotated[float, pydantic.Field(allow_inf_nan=False)]
    per_day: int
    keep_days: int = 7

    def read(self) -> Wanted:
        """Read it. Raises: Invalid with every mistake."""
        return read_wanted(self.judge, self.share, self.per_day, self.keep_days)


class NewSampling(WantedSampling):
    """The same, and why."""

    reason: Why


@router.put("")
def set_sampling(environment: str, name: str, body: NewSampling, call: Changes) -> dict[str, Any]:
    """Have a judge with a usable passport grade a share of a name's live calls, or change how."""
    wanted = body.read()
    with changing(call) as tx:
        place = service.Place(project=call.project, environment=environment, name=name)
        return _wire(tx, service.set_sampling(tx, place, wanted, call.runtime.signers.secret, body.reason))


@router.post("/comparisons")
def compare_sampling(environment: str, name: str, body: WantedSampling, call: Changes) -> dict[str, Any]:
    """Say what setting it would change, and what has to come first; nothing is changed."""
    wanted = body.read()
    with call.read() as reader:
        place = service.Place(project=call.project, environment=environment, name=name)
        found = service.compare_sampling(reader, place, wanted)
    waits = [one.to_wire() for one in found.waits]
    return {"is_new": found.is_new, "differs": found.differs, "waits": waits}


@router.post("/stops", status_code=201)
def stop_sampling(environment: str, name: str, body: NeededReason, call: Changes) -> dict[str, Any]:
    """Sample a name no more; contents that are kept are erased when their days are over."""
    with changing(call) as tx:
        place = service.Place(project=call.project, environment=environment, name=name)
        return _wire(tx, service.stop_sampling(tx, place, body.reason))


def _wire(reader: Reader, found: service.Sampling) -> dict[str, Any]:
    wanted = found.wanted
    return {
        "environment": found.environment,
        "name": found.name,
        "enabled": wanted.enabled,
        "judge": wanted.judge,
        "share": float(wanted.share),
        "per_day": wanted.per_day,
        "keep_days": wanted.keep_days,
        "set_at": found.set_at,
        "set_by": identity.name_of(reader, found.set_by),
    }
