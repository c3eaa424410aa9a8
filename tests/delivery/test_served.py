"""Whatever people and automatic actors do: what is served was admitted, and the ledger gives the same tables."""

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assent.delivery import service
from assent.delivery.domain import Judgement, Verdict
from assent.kernel.errors import Conflict, NotFound, Refused
from assent.ledger import replay
from tests.delivery.releases import PROJECT, approve

VERSIONS = ["support@2.0.0", "support@2.1.0", "support@2.2.0"]
ENVIRONMENTS = ["production", "staging"]
ACTIONS = ["start", "pause", "resume", "promote", "abort", "roll_back"]

versions, environments = st.sampled_from(VERSIONS), st.sampled_from(ENVIRONMENTS)
moves = st.one_of(
    st.tuples(st.just("adopt"), versions, environments),
    st.tuples(st.just("file"), versions, environments),
    st.tuples(st.just("approve"), st.integers(0, 3)),
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3)),
    st.tuples(st.sampled_from(["start", "promote", "approve"]), st.integers(0, 3)),
    st.tuples(st.just("step"), st.integers(0, 3), st.sampled_from(Verdict), st.sampled_from([0, 100])),
    st.tuples(st.just("wait"), st.sampled_from([9, 10, 2000])),
    st.tuples(st.sampled_from(["kill", "restore"]), environments),
)


class Story:
    """The desk, and what was allowed so far: (environment, digest)."""

    def __init__(self, desk) -> None:
        self.desk = desk
        self.rollouts = []
        self.admissible = set()

    def digest(self, ref):
        return self.desk.read(service.find_subject, PROJECT, ref).digest

    def do(self, verb, *words):
        if verb == "wait":
            self.desk.clock.advance(words[0])
        elif verb == "adopt":
            self.desk.adopt(*words)
            self.admissible.add((words[1], self.digest(words[0])))
        elif verb == "file":
            self.rollouts.append(self.desk.file(*words))
            if words[1] == "staging":  # not protected: no vote is asked for
                self.admissible.add((words[1], self.digest(words[0])))
        elif verb in {"kill", "restore"}:
            place = service.Place(project=PROJECT, environment=words[0], name="support")
            self.desk.do(getattr(service, verb), place, "a drill")
        elif self.rollouts:
            self.move(self.rollouts[words[0] % len(self.rollouts)], verb, *words[1:])

    def move(self, rollout, verb, *words):
        if verb == "approve":
            approve(self.desk, rollout)
            self.admissible.add((rollout.environment, rollout.subject))
        elif verb == "step":
            self.desk.step(rollout, Judgement(verdict=words[0], n_canary_units=words[1], guard="thumbs_down"))
        else:
            self.desk.act(getattr(service, verb), rollout)

    def check(self):
        for environment in ENVIRONMENTS:
            issue, snapshot = self.desk.snapshot(environment)
            assert issue.omitted == ()
            served = {(environment, digest) for digest in snapshot.payload.versions}
            assert served <= self.admissible


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(moves, min_size=5, max_size=30))
def test_nothing_is_served_that_no_decision_admits_and_the_replay_agrees(open_desk, story):
    with open_desk() as desk:
        told = Story(desk)
        told.do("adopt", VERSIONS[0], "production")
        told.do("file", VERSIONS[1], "production")
        for verb, *words in story:
            with suppress(Conflict, Refused, NotFound):
                told.do(verb, *words)
            told.check()
        replayed = desk.read(replay.check)
        assert replayed.differences == []
