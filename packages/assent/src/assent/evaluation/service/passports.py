"""Calibrate judges against people's labels, and tell whether a judge may decide."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from assent.evaluation import store, subjects
from assent.evaluation.domain import passport as domain
from assent.evaluation.domain.events import JudgeCalibrated
from assent.evaluation.store import PassportRecord
from assent.identity import service as identity
from assent.kernel.canonical import canonical
from assent.kernel.errors import NotFound, Reason, Refused
from assent.kernel.ids import new_id
from assent.kernel.tx import Reader, Tx
from assent.web.api import checked_name

ENDED = "ended"
USABLE = "usable"
NOT_USABLE = "not usable"


@dataclass(frozen=True, slots=True)
class NewCalibration:
    """A judge's document, the version whose answers it judged, and people's labels beside its replies."""

    project: str
    name: str
    judge: Any
    subject: str
    cases: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Passport:
    """A passport as it stands now: `state` is usable, not usable, or ended."""

    record: PassportRecord
    state: str
    judge: Mapping[str, Any]
    figures: Mapping[str, Any]


def calibrate(tx: Tx, new: NewCalibration) -> Passport:
    """Measure a judge and record its passport. Raises: Invalid with every mistake, NotFound."""
    checked_name(new.name, "judge")
    identity.get_project(tx, new.project)
    judge = domain.parse_judge(new.judge)
    cases = domain.parse_cases(new.cases, judge)
    subject = subjects.get(tx, new.project, new.subject)
    measured = domain.calibrate(judge, cases)
    document = domain.to_document(measured)
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
            labels=tx.blobs.put(canonical([{"id": c.id, "human": c.human, "reply": c.reply} for c in cases])),
            n_labels=len(cases),
            usable=measured.usable,
            figures={key: canonical(value).decode() for key, value in document.items()},
        )
    )
    return get_passport(tx, new.project, passport_id)


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
    judge = domain.parse_judge(raw)
    version = subjects.get(reader, project, subject)
    wanted = {"name": name, "subject": version.digest}
    found = list_passports(reader, project, wanted, limit=1)
    remedy = f"Calibrate it: assent judge calibrate {name} JUDGE --subject {version.ref} --labels LABELS"
    if not found:
        raise _refused(f"{name} has no passport for {version.ref}", remedy)
    passport = found[0]
    if passport.record.judge != judge.digest:
        passport = replace(passport, state=ENDED)
    if passport.state == ENDED:
        raise _refused(f"{name} was changed since its passport {passport.record.id}", remedy)
    if passport.state == NOT_USABLE:
        text = f"the passport {passport.record.id} of {name} says not usable"
        raise _refused(text, "Have people decide, or calibrate a better judge.")
    return passport


def _refused(why: str, remedy: str) -> Refused:
    reason = Reason("judge_passport", f"{why[:1].upper()}{why[1:]}.", remedy)
    return Refused(f"The judge may not decide: {why}.", reasons=[reason])


def _standing(reader: Reader, record: PassportRecord) -> Passport:
    """Say how a passport stands: it ends when the judge of its name was calibrated with another digest."""
    newest = store.list_passports(reader, record.project, {"name": record.name}, (None, 1))[0]
    state = USABLE if record.usable else NOT_USABLE
    same = {"name": record.name, "subject": record.subject}
    latest = store.list_passports(reader, record.project, same, (None, 1))[0]
    if newest.judge != record.judge or latest.id != record.id:
        state = ENDED
    figures = {key: msgspec.json.decode(value) for key, value in record.figures.items()}
    judge = msgspec.json.decode(reader.blobs.get(record.document))
    return Passport(record, state, judge, figures)
