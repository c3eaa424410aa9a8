"""The tables follow from the ledger alone."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import HealthCheck, event, given, settings

from assent.approvals import jobs, service
from assent.approvals.domain.requests import PENDING
from assent.kernel.db import tables_of
from assent.kernel.errors import AssentError, Refused
from assent.ledger import replay
from tests.approvals.shop import PROJECT


def test_replaying_the_ledger_gives_the_same_rows(shop_on_each):
    shop = shop_on_each
    shop.adopt()
    shop.bind()
    shop.pass_suite()
    request, rollout = shop.file()
    shop.vote("rita", request, comment="yes")
    shop.start(rollout)
    other, _ = shop.file("2.0.0", environment="staging")
    shop.do("ada", service.withdraw, other.id, PROJECT)
    assert differences(shop) == []


def differences(shop):
    """Replay the ledger beside the database and compare."""
    found = shop.read(replay.check)
    assert found.n_rows > 0
    return list(found.differences)


def test_every_table_of_approvals_is_governed():
    nouns = ("bindings", "break_glass", "comments", "policies", "proposals", "requests", "votes")
    named = [t.name for t in tables_of("governed") if t.name.startswith("approvals_")]
    assert named == [f"approvals_{noun}" for noun in nouns]


VOTERS = ("ada", "bob", "rita", "ron", "otto")
VERDICTS = ["approve"] * 5 + ["reject", "abstain"]


@dataclass
class Expected:
    """What must hold for an admission, kept apart from the product's own tables."""

    filed: int
    votes: dict = field(default_factory=dict)


class Governance:
    """Random people do random things in a shop where only votes are missing at first."""

    def __init__(self, shop):
        self.shop = shop
        shop.adopt()
        shop.publish_card()
        shop.pass_suite()
        self.at, self.suite, self.requests, self.admitted = 1, "pass", {}, set()
        self.members = {"rita": 0, "ron": 0}

    def tried(self, call, *arguments, **named):
        self.at += 1
        self.shop.clock.advance(1)
        self.shop.sign_in()
        try:
            return call(*arguments, **named)
        except AssentError as error:
            return error

    @property
    def newest(self):
        return next(reversed(self.requests.values()), (None, None))

    def file(self, who):
        plan = "sha256:" + "f" * 64
        self.shop.claim("2.1.0", "rollout.plan", environment="production", plan=plan, first_share="0.05")
        subject = self.shop.version("2.1.0").digest
        new = service.NewRequest(project=PROJECT, environment="production", subject=subject, plan=plan)
        request = self.tried(self.shop.do, who, service.submit, new)
        self.requests[request.id] = (request, Expected(filed=self.at))

    def vote(self, who, verdict):
        request, expected = self.newest
        if request and isinstance(self.tried(self.shop.vote, who, request, verdict), service.Cast):
            expected.votes[who] = verdict

    def take_back(self, who):
        request, expected = self.newest
        if request:
            done = self.tried(self.shop.do, who, service.withdraw_vote, request.id, PROJECT)
            if not isinstance(done, AssentError):
                expected.votes.pop(who)

    def evaluate(self, verdict):
        self.tried(self.shop.pass_suite, verdict=verdict)
        self.suite = verdict

    def join(self, who):
        self.tried(self.shop.join, "reviewers", who)
        self.members.setdefault(who, self.at)

    def leave(self, who):
        self.tried(self.shop.leave, "reviewers", who)
        self.members.pop(who, None)

    def look(self):
        jobs.settle(self.shop.desk.runtime)

    def admit(self):
        for request, expected in list(self.requests.values())[-2:]:
            done = self.tried(self.shop.do, "otto", service.admit, request.id)
            if isinstance(done, service.Decision):
                self.must_hold(request, expected)
            else:
                assert isinstance(done, Refused)
                assert done.reasons

    def must_hold(self, request, expected):
        """The newest request, once, with a passing suite, agreed on by those who may, rejected by none of them."""
        assert request.id not in self.admitted
        self.admitted.add(request.id)
        assert request.id == self.newest[0].id
        assert self.suite == "pass"
        may = {who for who, since in self.members.items() if since <= expected.filed} - {"ada"}
        may -= {who for who in VOTERS if self.shop.people[who].id == request.requester}
        said = {expected.votes.get(who) for who in may}
        assert "approve" in said
        assert "reject" not in said

    def only_the_newest_is_pending(self):
        for request in list(self.requests)[:-1]:
            assert self.shop.get(request).state not in PENDING


people = st.sampled_from(VOTERS)
an_action = st.one_of(
    st.tuples(st.just("file"), st.sampled_from(["ada", "bob"])),
    st.tuples(st.just("vote"), st.sampled_from((*VOTERS, "rita", "ron")), st.sampled_from(VERDICTS)),
    st.tuples(st.just("vote"), st.sampled_from(["rita", "ron"]), st.just("approve")),
    st.tuples(st.just("admit")),
    st.tuples(st.just("take_back"), people),
    st.tuples(st.just("evaluate"), st.sampled_from(["pass", "pass", "pass", "fail", "inconclusive"])),
    st.tuples(st.sampled_from(["join", "leave"]), people),
    st.tuples(st.just("look")),
)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(actions=st.lists(an_action, min_size=28, max_size=28))
def test_nothing_is_admitted_that_was_not_agreed_on_and_the_rows_follow_from_the_ledger(open_copy, actions):
    with open_copy() as shop:
        desk = Governance(shop)
        for name, *arguments in [("file", "bob"), ("vote", "rita", "approve"), *actions]:
            getattr(desk, name)(*arguments)
            desk.only_the_newest_is_pending()
        event(f"admitted {len(desk.admitted)}")
        assert differences(shop) == []
