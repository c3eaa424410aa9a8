"""Grading answers of live calls: which judge may, and what it says. Nothing of the answers is kept here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from assent.evaluation import subjects
from assent.evaluation.domain.judge import Judge, parse_judge
from assent.evaluation.domain.target import Target
from assent.evaluation.service.passports import (
    ENDED,
    EXPIRED,
    USABLE,
    Passport,
    list_passports,
)
from assent.evaluation.upstream import Failure, Upstream
from assent.kernel.errors import Invalid, Reason, Refused
from assent.kernel.tx import Reader
from assent.providers import service as providers

TIMEOUT_S = 30.0
IN_FLIGHT = 4
REPLY_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Grader:
    """A judge that may grade a system's live calls, how it is asked, and the passport by which it may."""

    judge: Judge
    target: Target
    passport: Passport


class Graded(StrEnum):
    """What came of a question to a judge."""

    JUDGED = "judged"
    UNREADABLE = "unreadable"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Grade:
    """A score in [0, 1], 1 is good; None where the judge gave none, and why (without a word of the texts)."""

    state: Graded
    score: float | None = None
    why: str = ""


def judge_of(reader: Reader, project: str, name: str, system: str) -> tuple[Judge, Passport]:
    """Give the judge that may grade a system's live calls now, and the passport by which it may.

    Raises: Refused (no passport, or one by which it may not), Invalid (it cannot grade live calls), NotFound
    (no such provider).
    """
    found = list_passports(reader, project, {"name": name, "system": system}, limit=1)
    remedy = f"assent judge calibrate {name} JUDGE --subject {system}@VERSION --labels LABELS"
    if not found:
        others = {one.record.name for one in list_passports(reader, project, {"system": system})}
        known = f"; those that have one: {', '.join(sorted(others))}" if others else ""
        raise _refused(f"the judge {name} has no passport for {system}{known}", remedy)
    passport = found[0]
    if passport.state != USABLE:
        said = {ENDED: "ended, as the judge was changed", EXPIRED: "is over its days"}
        how = said.get(passport.state, f"says {passport.state}")
        raise _refused(f"the passport {passport.record.id} of {name} {how}", remedy)
    judge = parse_judge({key: value for key, value in passport.judge.items() if key != "kind"})
    if judge.reference or judge.pairwise:
        raise Invalid(
            f"The judge {name} compares answers with a reference, and live calls have none.",
            remedy="Calibrate a judge that reads question and answer alone.",
        )
    if not judge.provider:
        raise Invalid(
            f"The judge {name} names no provider, so nobody knows where it is asked.",
            remedy=f"Put `provider:` into its document, then {remedy}",
        )
    providers.get_provider(reader, project, judge.provider)
    return judge, passport


def grader_of(reader: Reader, project: str, name: str, system: str) -> Grader:
    """Give the same, ready to be asked. Raises: as `judge_of`; Invalid (its key cannot be read)."""
    judge, passport = judge_of(reader, project, name, system)
    return Grader(judge, subjects.judge_target(reader, project, judge), passport)


def _refused(why: str, remedy: str) -> Refused:
    reason = Reason("judge_passport", f"{why[:1].upper()}{why[1:]}.", f"Calibrate it: {remedy}")
    return Refused(f"The judge may not grade live calls: {why}.", reasons=[reason])


def grade(grader: Grader, texts: Sequence[tuple[str, str]]) -> list[Grade]:
    """Ask a judge about questions and their answers, each once; whoever calls asks again, later."""
    return asyncio.run(_grade(grader, texts))


async def _grade(grader: Grader, texts: Sequence[tuple[str, str]]) -> list[Grade]:
    upstream = Upstream(grader.target, timeout_s=TIMEOUT_S, answer_bytes=REPLY_BYTES)
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(question: str, answer: str) -> Grade:
        messages = grader.judge.messages({"question": question, "answer": answer})
        async with room:
            try:
                reply = await upstream.ask(upstream.body_of(messages))
            except Failure as failure:
                # What follows a colon may be the upstream's own words, and it may have repeated ours.
                return Grade(Graded.UNANSWERED, why=str(failure).partition(":")[0][:100])
        return read(grader.judge, reply.text)

    try:
        return list(await asyncio.gather(*(one(*pair) for pair in texts)))
    finally:
        await upstream.close()


def read(judge: Judge, reply: str) -> Grade:
    """Read a judge's reply as a score."""
    label = judge.parse(reply)
    score = None if label is None else judge.decided([label])
    if score is None:
        return Grade(Graded.UNREADABLE, why="its reply is off-format")
    return Grade(Graded.JUDGED, score)
