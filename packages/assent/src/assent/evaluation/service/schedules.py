"""Evaluating what is live again and again: models drift behind their names, and worlds around them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from assent.evaluation import store, subjects
from assent.evaluation.domain.numbers import split_ref
from assent.evaluation.domain.schedules import LEAST_S, MOST_S, ScheduleRemoved, ScheduleSet
from assent.evaluation.service.runs import NewRun
from assent.evaluation.service.versions import get_suite, suite_of
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.errors import Invalid, NotFound, Reason
from assent.kernel.tx import Reader, Tx
from assent.registry import service as registry


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """`suite` may leave out its number; `name` is the model whose live version is evaluated."""

    project: str
    suite: str
    name: str
    environment: str
    every_s: int


def schedule(tx: Tx, new: NewSchedule) -> sa.Row[Any]:
    """Have what is live evaluated every so often; the same again records nothing.

    Raises: NotFound (suite, model, environment), Invalid with every mistake.
    """
    identity.get_environment(tx, new.project, new.environment)
    suite = get_suite(tx, new.project, *split_ref(new.suite))
    if new.name not in registry.list_models(tx, new.project):
        raise NotFound(
            f"There is no model {new.name!r} in {new.project}.",
            remedy="A prompt is evaluated through a model: schedule the model that pins it.",
        )
    mistakes = []
    if suite_of(tx, suite).gate.baseline == subjects.LIVE:
        text = f"The gate of {suite.ref} compares with what is live, which would be the version itself."
        mistakes.append(Reason("suite", text, "Use a suite whose gate has a threshold or a named baseline."))
    if not LEAST_S <= new.every_s <= MOST_S:
        mistakes.append(Reason("every_s", "A schedule repeats within 1 hour and 366 days.", "--every 24h"))
    if mistakes:
        raise Invalid(" ".join(one.message for one in mistakes), reasons=mistakes)
    present = _find(tx, new.project, suite.name, new.name, new.environment)
    if present is None or (present.suite_ref, present.every_s) != (suite.ref, new.every_s):
        tx.record(
            ScheduleSet(
                project=new.project,
                suite=suite.name,
                suite_ref=suite.ref,
                name=new.name,
                environment=new.environment,
                every_s=new.every_s,
            )
        )
    return next(
        one
        for one in store.list_schedules(tx, new.project)
        if _is(one, suite.name, new.name, new.environment)
    )


def unschedule(tx: Tx, project: str, suite: str, name: str, environment: str) -> None:
    """Evaluate it by itself no longer. Raises: NotFound."""
    if _find(tx, project, suite, name, environment) is None:
        raise NotFound(
            f"{suite} is not scheduled for {name} in {environment}.",
            remedy="`assent eval schedules` lists all.",
        )
    tx.record(ScheduleRemoved(project=project, suite=suite, name=name, environment=environment))


def list_schedules(reader: Reader, project: str) -> list[sa.Row[Any]]:
    """List the schedules of a project."""
    return store.list_schedules(reader, project)


def list_scheduled(reader: Reader) -> list[NewRun]:
    """List the runs that schedules of all projects ask for now: nothing of the kind runs, or ran lately."""
    due = []
    for one in store.list_schedules(reader):
        live = evidence.live(reader, one.project, one.environment, one.name)
        version = None if live is None else registry.find_by_digest(reader, one.project, live)
        if version is None:
            continue
        asked = {"subject": version.digest, "suite_ref": one.suite_ref}
        last = store.list_runs(reader, one.project, asked, (None, 1))
        recent = last and reader.now() - last[0].submitted_at < timedelta(seconds=one.every_s)
        if not recent and not (last and last[0].state == "submitted"):
            due.append(NewRun(one.project, one.suite_ref, version.ref, one.environment, fresh=True))
    return due


def _find(reader: Reader, project: str, suite: str, name: str, environment: str) -> sa.Row[Any] | None:
    found = store.list_schedules(reader, project)
    return next((one for one in found if _is(one, suite, name, environment)), None)


def _is(one: sa.Row[Any], suite: str, name: str, environment: str) -> bool:
    return (one.suite, one.name, one.environment) == (suite, name, environment)
