"""The tables follow from the ledger alone."""

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from assent.approvals import jobs, service, store
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


@pytest.mark.parametrize("table", [t.name for t in tables_of("governed") if t.name.startswith("approvals_")])
def test_every_table_of_approvals_is_governed(table):
    assert table in {t.name for t in (store.policies, store.bindings, store.requests, store.votes)}


VOTERS = ("ada", "bob", "rita", "ron", "otto")


@dataclass
class Expected:
    """What must hold for an admission, kept apart from the product's own tables."""

    filed: int = 0
    votes: dict = field(default_factory=dict)


class Governance(RuleBasedStateMachine):
    """Random people do random things; `open_shop` is set by the test."""

    open_shop = None
    n_admitted = 0

    @initialize()
    def open(self):
        self.context = type(self).open_shop()
        self.shop = self.context.__enter__()
        self.shop.adopt()
        self.shop.publish_card()
        self.shop.pass_suite()
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

    def newest(self):
        return next(reversed(self.requests), None)

    @rule(who=st.sampled_from(["ada", "bob"]))
    def file(self, who):
        subject = self.shop.version("2.1.0").digest
        plan = self.shop.claim(
            "2.1.0",
            "rollout.plan",
            environment="production",
            plan="sha256:" + "f" * 64,
            first_share="0.05",
        ).value["plan"]
        new = service.NewRequest(project=PROJECT, environment="production", subject=subject, plan=plan)
        request = self.tried(self.shop.do, who, service.submit, new)
        self.requests[request.id] = (request, Expected(filed=self.at, votes={}))

    @rule(who=st.sampled_from(VOTERS), verdict=st.sampled_from(["approve", "approve", "reject", "abstain"]))
    def vote(self, who, verdict):
        if self.newest():
            request, expected = self.requests[self.newest()]
            cast = self.tried(self.shop.vote, who, request, verdict)
            if isinstance(cast, service.Cast):
                expected.votes[who] = verdict

    @rule(who=st.sampled_from(VOTERS))
    def take_back(self, who):
        if self.newest():
            request, expected = self.requests[self.newest()]
            done = self.tried(self.shop.do, who, service.withdraw_vote, request.id, PROJECT)
            if not isinstance(done, AssentError):
                expected.votes.pop(who)

    @rule(verdict=st.sampled_from(["pass", "pass", "fail", "inconclusive"]))
    def evaluate(self, verdict):
        self.tried(self.shop.pass_suite, verdict=verdict)
        self.suite = verdict

    @rule(who=st.sampled_from(VOTERS))
    def join(self, who):
        self.tried(self.shop.join, "reviewers", who)
        self.members.setdefault(who, self.at)

    @rule(who=st.sampled_from(["rita", "ron", "otto"]))
    def leave(self, who):
        self.tried(self.shop.leave, "reviewers", who)
        self.members.pop(who, None)

    @rule()
    def look(self):
        jobs.settle(self.shop.desk.runtime)

    @rule()
    def admit(self):
        for request, expected in list(self.requests.values()):
            done = self.tried(self.shop.do, "otto", service.admit, request.id)
            if isinstance(done, service.Decision):
                assert request.id not in self.admitted
                self.admitted.add(request.id)
                Governance.n_admitted += 1
                self.must_hold(request, expected)
            else:
                assert isinstance(done, Refused)
                assert done.reasons

    def must_hold(self, request, expected):
        assert self.suite == "pass"
        assert request.id == self.newest()
        approving = {who for who, verdict in expected.votes.items() if verdict == "approve"}
        counted = {who for who in approving if self.members.get(who, 10**9) <= expected.filed}
        assert counted - {"ada"} - {name for name in VOTERS if self.shop.people[name].id == request.requester}
        rejecting = {who for who, verdict in expected.votes.items() if verdict == "reject"}
        assert not {who for who in rejecting if self.members.get(who, 10**9) <= expected.filed}

    @invariant()
    def only_the_newest_is_pending(self):
        for request in list(self.requests)[:-1] if hasattr(self, "requests") else ():
            assert self.shop.get(request).state not in PENDING

    def teardown(self):
        if hasattr(self, "shop"):
            assert differences(self.shop) == []
            self.context.__exit__(None, None, None)


def test_nothing_is_admitted_that_was_not_agreed_on_and_the_rows_follow_from_the_ledger(open_copy):
    Governance.open_shop = staticmethod(open_copy)
    run_state_machine_as_test(
        Governance,
        settings=settings(
            max_examples=5,
            stateful_step_count=16,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
