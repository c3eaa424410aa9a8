"""What changed since somebody voted: on this request, and against the one that it took the place of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from assent.approvals import store
from assent.approvals.domain.requests import Request
from assent.approvals.service import requests as asked
from assent.approvals.service.comments import Comment, list_comments
from assent.approvals.service.votes import Vote, list_votes
from assent.evidence import service as evidence
from assent.evidence.domain import Evidence
from assent.kernel.tx import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """What is new since a person's last vote.

    `manifest`: what the request decides on, before and now, where it differs (None: was not there).
    `policy`: the policies before and now, where they differ.
    """

    vote: Vote
    manifest: Mapping[str, tuple[str | None, str | None]]
    policy: tuple[str, str] | None
    evidence: tuple[Evidence, ...]
    votes: tuple[Vote, ...]
    comments: tuple[Comment, ...]

    @property
    def nothing(self) -> bool:
        """Tell whether all is as it was."""
        return not (self.manifest or self.policy or self.evidence or self.votes or self.comments)


def since_vote(reader: Reader, request: str, person: str) -> Since | None:
    """Say what changed since a person's last vote here or on an earlier request; None if they have none.

    Raises: NotFound.
    """
    now = asked.get(reader, request)
    votes = list_votes(reader, now.id)
    own = [one for one in votes if one.voter == person and one.verdict != store.WITHDRAWN]
    if not own:
        return None
    last = max(own, key=lambda one: one.at)
    then = asked.get(reader, last.request)
    return Since(
        vote=last,
        manifest=_differing(then.manifest, now.manifest),
        policy=None if then.policy == now.policy else (then.policy_ref, now.policy_ref),
        evidence=tuple(_issued_after(reader, now, last.at)),
        votes=tuple(one for one in votes if one.at > last.at and one.voter != person),
        comments=tuple(one for one in list_comments(reader, now.id) if one.at > last.at and one.by != person),
    )


def _differing(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    names = sorted(then.keys() | now.keys())
    return {name: (then.get(name), now.get(name)) for name in names if then.get(name) != now.get(name)}


def _issued_after(reader: Reader, request: Request, moment: datetime) -> list[Evidence]:
    claims = evidence.list_(reader, request.project, request.subject)
    return [claim for claim in claims if claim.issued_at > moment]
