"""Calibrate judges against people's labels, and tell whether a judge may decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from assent.evaluation import store, subjects
from assent.evaluation.domain import passport as domain
from assent.evaluation.domain.events import JudgeCalibrated
from assent.evaluation.domain.judge import Judge, parse_judge
from assent.evaluation.domain.numbers import split_ref
from assent.evaluation.store import PassportRecord
from assent.identity import service as identity
from assent.kernel.canonical import canonical
from assent.kernel.clock import from_text, to_text
from assent.kernel.errors import Invalid, NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.web.api import checked_name

ENDED = "ended"
USABLE = "usable"
NOT_USABLE = "not usable"
EXPIRED = "expired"
MAX_DAYS = 3650


@dataclass(frozen=True, slots=True)
class NewCalibration:
    """A judge's document, the version whose answers it judged, and people's labels beside its replies.

    The passport ends after `valid_days`, 1 to 3,650.
    """

    project: str
    name: str
    judge: Any
    subject: str
    cases: Sequence[Any]
    valid_days: int = 180


@dataclass(frozen=True, slots=True)
class Passport:
    """A passport as it stands now: `state` is usable, not usable, expired, or ended."""

    record: PassportRecord
    state: str
    judge: Mapping[str, Any]
    figures: Mapping[str, Any]


def calibrate(tx: Tx, new: NewCalibration) -> Passport:
    """Measure a judge and record its passport. Raises: Invalid with every mistake, NotFound."""
    checked_name(new.name, "judge")
    identity.get_project(tx, new.project)
    if not 1 <= new.valid_days <= MAX_DAYS:
        raise Invalid(f"A passport holds for 1 to {MAX_DAYS:,} days, not {new.valid_days:,}.")
    judge = parse_judge(new.judge)
    cases = domain.parse_cases(new.cases, judge)
    subject = subjects.get(tx, new.project, new.subject)
    measured = domain.calibrate(judge, cases)
    ends_at = to_text(tx.now() + timedelta(days=new.valid_days))
    document = {**domain.to_document(measured), "ends_at": ends_at}
    passport_id = new_id("pass")
    tx.record(
        JudgeCalibrated(
            id=passport_id,
            project=new.project,
            name=new.name,
            judge=judge.digest,
            document=tx.blobs.put(canonical(judge.document)),
            subject=subject.digest,
            subject_ref=subject.ref,
            labels=tx.blobs.put(canonical([_case(one) for one in cases])),
            n_labels=len(cases),
            usable=measured.usable,
            figures={key: canonical(value).decode() for key, value in document.items()},
        )
    )
    return get_passport(tx, new.project, passport_id)


def _case(case: domain.Labelled) -> dict[str, Any]:
    again = {"again": list(case.again)} if case.again else {}
    swapped = {} if case.swapped is None else {"swapped": case.swapped}
    return {"id": case.id, "human": case.human, "reply": case.reply, **again, **swapped}


def get_passport(reader: Reader, project: str, passport: str) -> Passport:
    """Get a passport. Raises: NotFound."""
    found = store.list_passports(reader, project, {"id": passport}, (None, 1))
    if not found:
        raise NotFound(f"There is no passport {passport}.")
    return _standing(reader, found[0])


def list_passports(
    reader: Reader, project: str, filters: Mapping[str, str], *, before: str | None = None, limit: int = 50
) -> list[Passport]:
    """List passports newest first; `filters`: name, judge, subject, subject_ref."""
    found = store.list_passports(reader, project, filters, (before, limit))
    return [_standing(reader, record) for record in found]


def check_judge(reader: Reader, project: str, name: str, raw: Any, subject: str) -> Passport:
    """Give the passport by which this very judge may decide on a subject.

    Raises: Refused (none, ended, not usable), Invalid, NotFound.
    """
    judge = parse_judge(raw)
    version = subjects.get(reader, project, subject)
    wanted = {"name": name, "system": version.name}
    found = list_passports(reader, project, wanted, limit=1)
    remedy = f"Calibrate it: assent judge calibrate {name} JUDGE --subject {version.ref} --labels LABELS"
    if not found:
        raise _refused(f"the judge {name} has no passport for {version.name}", remedy)
    passport = found[0]
    if passport.record.judge != judge.digest or passport.state == ENDED:
        raise _refused(f"the judge {name} was changed since its passport {passport.record.id}", remedy)
    if passport.state == EXPIRED:
        raise _refused(f"the passport {passport.record.id} of {name} ended", remedy)
    if passport.state == NOT_USABLE:
        text = f"the passport {passport.record.id} of {name} says not usable"
        raise _refused(text, "Have people decide, or calibrate a better judge.")
    return passport


def standing_of(
    reader: Reader, project: str, judge: Judge, subject_ref: str, at: datetime
) -> tuple[str, Passport | None]:
    """Say how exactly this judge stands for a system at a time: usable, or why it may not decide."""
    wanted = {"judge": judge.digest, "system": split_ref(subject_ref)[0], "until": at}
    found = store.list_passports(reader, project, wanted, (None, 1))
    if not found:
        return "it has no passport", None
    passport = _standing(reader, found[0], at)
    said = {
        ENDED: f"its passport {found[0].id} ended when the judge was changed",
        EXPIRED: f"its passport {found[0].id} ended at {passport.figures.get('ends_at')}",
        NOT_USABLE: f"its passport {found[0].id} says not usable",
    }
    return said.get(passport.state, passport.state), passport


def _refused(why: str, remedy: str) -> Refused:
    reason = Reason("judge_passport", f"{why[:1].upper()}{why[1:]}.", remedy)
    return Refused(f"The judge may not decide: {why}.", reasons=[reason])


def _standing(reader: Reader, record: PassportRecord, at: datetime | None = None) -> Passport:
    """Say how a passport stands at a time: it ends with its days, or as its judge is calibrated changed."""
    at = at or reader.now()
    named = {"name": record.name, "until": at}
    system = split_ref(record.subject_ref)[0]
    newest = store.list_passports(reader, record.project, named, (None, 1))[0]
    latest = store.list_passports(reader, record.project, {**named, "system": system}, (None, 1))[0]
    figures = {key: msgspec.json.decode(value) for key, value in record.figures.items()}
    state = USABLE if record.usable else NOT_USABLE
    if "ends_at" in figures and from_text(figures["ends_at"]) <= at:
        state = EXPIRED
    if newest.judge != record.judge or latest.id != record.id:
        state = ENDED
    judge = msgspec.json.decode(reader.blobs.get(record.document))
    return Passport(record, state, judge, figures)
