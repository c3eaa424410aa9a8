import msgspec
import pytest

from assent.approvals import service as approvals
from assent.cards import jobs, service
from assent.evidence import service as evidence
from assent.identity import service as identity
from assent.kernel.canonical import digest, digest_bytes
from assent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Stale, TooLarge
from assent.kernel.tx import SYSTEM
from assent.ledger import replay
from tests.cards.conftest import FORM, NAME, PROJECT

REF = f"{NAME}@2.1.0"


def test_a_card_is_written_voted_on_and_published(anywhere):
    desk = anywhere
    desk.evaluate()
    desk.evaluate("safety")
    draft = desk.generate()
    assert (draft.state, draft.revision, draft.complete) == ("draft", 1, False)
    assert desk.complete().complete
    submitted = desk.submit()
    assert (submitted.state, submitted.revision) == ("submitted", 2)
    published = desk.vote(submitted)
    assert (published.state, published.published_at) == ("published", desk.installation.clock.now())
    assert desk.claim().value == {
        "name": NAME,
        "card": published.digest,
        "number": "2.1.0",
        "tier": "limited",
        "complete": True,
        "missing": [],
    }
    assert desk.read(service.find_published, PROJECT, NAME, "2.1.0") == published
    assert desk.read(replay.check).equal


def test_a_card_speaks_of_one_version_only(measured):
    measured.publish()
    assert measured.claim("2.0.0") is None
    with pytest.raises(NotFound, match="has no card"):
        measured.read(service.get, PROJECT, f"{NAME}@2.0.0")
    assert measured.read(service.find_published, PROJECT, NAME, "2.0.0") is None


def card_condition(desk, number="2.1.0"):
    asked = approvals.Question(project=PROJECT, environment="production", subject=f"{NAME}@{number}")
    results = desk.read(approvals.assess, asked).results
    return next(str(result.ok) for result in results if "Card" in result.title)


def test_the_policy_sees_the_published_card_of_the_same_version_only(measured):
    measured.complete()
    submitted = measured.submit()
    assert card_condition(measured) == "unknown"
    measured.vote(submitted)
    assert (card_condition(measured), card_condition(measured, "2.0.0")) == ("pass", "unknown")


def test_an_incomplete_card_may_be_published_and_says_what_it_lacks(desk):
    published = desk.publish({"contact": "me"})
    value = desk.claim().value
    assert (value["complete"], published.complete) == (False, False)
    assert value["missing"][:2] == ["4 Intended use", "5 Input and output"]
    assert card_condition(desk) == "fail"


def test_the_same_records_and_text_give_the_same_card(measured):
    first = measured.generate()
    measured.installation.clock.advance(86_400)
    assert measured.do(service.generate, PROJECT, REF) == (first, False)
    written = measured.complete()
    assert measured.do(service.complete, PROJECT, REF, FORM) == (written, False)
    shuffled = dict(reversed(list(FORM.items())))
    assert measured.do(service.complete, PROJECT, first.id, shuffled) == (written, False)


def test_a_card_s_digest_is_that_of_its_document(measured):
    card = measured.complete()
    document = measured.document(card)
    assert card.digest == digest(document)
    assert digest_bytes(measured.installation.runtime.blobs.get(card.digest)) == card.digest


def test_a_card_tells_when_the_records_say_something_newer(measured):
    card = measured.complete()
    assert measured.read(service.is_current, card)
    measured.evaluate(wrong=1)
    assert not measured.read(service.is_current, card)
    submitted = measured.submit()
    assert (submitted.revision, measured.read(service.is_current, submitted)) == (card.revision + 1, True)


def test_generating_again_keeps_what_was_declared(measured):
    measured.complete()
    measured.evaluate(wrong=1)
    newer = measured.generate()
    assert (newer.revision, measured.document(newer)["declared"]["contact"]) == (2, FORM["contact"])


def test_evaluations_are_those_of_this_digest_the_newest_of_each_suite(measured):
    measured.evaluate(wrong=1)
    document = measured.document(measured.generate())
    by_suite = {one["suite"]: one for one in document["evaluations"]}
    assert sorted(by_suite) == ["regression@1.0.0", "safety@1.0.0"]
    found = by_suite["regression@1.0.0"]
    assert (found["baseline"], found["n"], found["n_gained"]) == (f"{NAME}@2.0.0", "40", 5)
    assert (found["n_lost"], found["lost"]) == (1, ["q39"])
    assert found["levels"][0]["value"] == "0.975"
    assert found["latency"] == {"p50_ms": "2000", "p95_ms": "3800", "n": 40}
    assert measured.document(measured.generate("2.0.0"))["evaluations"] == []


def test_a_run_without_latencies_or_with_erased_bodies_says_less(desk):
    run = desk.evaluate(latency=None)
    (found,) = desk.document(desk.generate())["evaluations"]
    assert (found["latency"], found["n_gained"]) == (None, 5)
    desk.installation.runtime.blobs.erase(run.journal)
    (found,) = desk.document(desk.generate())["evaluations"]
    assert (found["levels"], found["verdict"], found["n"]) == ([], "pass", "40")


def test_a_verdict_from_elsewhere_is_shown_with_its_own_figures(desk):
    claim = {"suite": "theirs", "kind": "benchmark", "verdict": "pass", "estimate": "0.5"}
    subject = desk.version().digest
    desk.do(evidence.record, project=PROJECT, kind="suite.verdict", subject=subject, value=claim, who=SYSTEM)
    card = desk.generate()
    (found,) = desk.document(card)["evaluations"]
    assert (found["estimate"], found["levels"], found["run"]) == ("0.5", [], None)
    assert "theirs" in desk.view(card).markdown()


@pytest.mark.parametrize(
    ("more", "n"),
    [
        ({"rule": "threshold", "n": "114"}, 114),
        ({"rule": "threshold"}, 0),
        (
            {
                "levels": [
                    {"metric": "hallucination", "value": "0.021", "low": "0.01", "high": "0.04", "n": 9},
                    {},
                ]
            },
            9,
        ),
    ],
)
def test_a_hallucination_rate_from_elsewhere_is_the_card_s(desk, more, n):
    claim = {"suite": "grounding", "kind": "benchmark", "metric": "hallucination", "verdict": "pass"}
    claim |= {"estimate": "0.021", "low": "0.01", "high": "0.04", **more}
    subject = desk.version().digest
    desk.do(evidence.record, project=PROJECT, kind="suite.verdict", subject=subject, value=claim, who=SYSTEM)
    brief = desk.view(desk.generate()).brief()
    assert f"- Hallucination Rate: 2.1% on grounding (95 % interval 1.0% to 4.0%, n = {n})\n" in brief


def test_what_other_tools_measured_is_shown_as_imported(desk):
    figure = {
        "task": "support",
        "metric": "hallucination_rate",
        "value": "0.021",
        "low": "0.01",
        "high": "0.04",
    }
    figures = [{**figure, "n": 114, "counts": {}}, {"task": "support"}]
    older = {"tool": "inspect", "figures": [{**figure, "value": "0.5", "n": 3}]}
    for claim in (
        older,
        {"tool": "inspect", "figures": figures},
        {
            "tool": "lm-eval",
            "suite": "s@1.0.0",
            "figures": [{**figures[0], "task": "a"}, {**figures[0], "task": "b"}],
        },
        {"tool": "junit"},
    ):
        subject = desk.version().digest
        desk.installation.clock.advance(1)
        desk.do(
            evidence.record, project=PROJECT, kind="eval.imported", subject=subject, value=claim, who=SYSTEM
        )
    card = desk.generate()
    by_source = {one["suite"]: one for one in desk.document(card)["evaluations"]}
    assert sorted(by_source) == ["import by inspect", "import by junit", "import of s@1.0.0 by lm-eval"]
    assert [one["metric"] for one in by_source["import of s@1.0.0 by lm-eval"]["levels"]] == [
        "a: hallucination_rate",
        "b: hallucination_rate",
    ]
    view = desk.view(card)
    assert (
        "- Hallucination Rate: 2.1% on import by inspect (95 % interval 1.0% to 4.0%, n = 114)"
        in view.brief()
    )
    assert "- Verdict: not recorded" in view.markdown()


def test_prompt_and_changes_come_from_the_registries(desk):
    document = desk.document(desk.generate())
    assert document["prompt"]["ref"] == "answer@1.0.0"
    assert document["prompt"]["variables"] == [{"name": "shop", "required": True}]
    where = [change["where"] for change in document["predecessor"]["changes"]]
    assert where == ["parameters.temperature", "upstream_model"]
    first = desk.document(desk.generate("2.0.0"))
    assert first["predecessor"] is None


def test_a_version_without_prompt_owner_or_licence_has_a_card_too(desk):
    desk.register("10.0.0", prompt=None, owner=None, licence=None, base_model=None)
    card = desk.generate("10.0.0")
    document = desk.document(card)
    assert (document["prompt"], document["predecessor"]["ref"]) == (None, REF)
    assert "licence" not in document["version"]


def test_the_form_starts_from_the_previous_version_s_text(desk):
    empty = desk.read(service.form_of, PROJECT, REF)
    assert (empty.declared, "contact" in empty.missing, "From" in empty.text) == ({}, True, False)
    desk.complete({"contact": "old team", "limitations": ["old"]}, "2.0.0")
    offered = desk.read(service.form_of, PROJECT, REF)
    assert (offered.declared, "contact" in offered.missing) == ({}, True)
    assert 'contact: "old team"' in offered.text
    assert f"From {NAME}@2.0.0." in offered.text
    card = desk.complete({"contact": "new team"})
    filled = desk.read(service.form_of, PROJECT, card.id)
    assert (filled.declared, "contact" in filled.missing) == ({"contact": "new team"}, False)
    assert (filled.ref, filled.tier) == (REF, "limited")


def test_nobody_who_wrote_a_revision_approves_the_card(desk):
    desk.complete()
    desk.do(service.complete, PROJECT, REF, {**FORM, "contact": "rita"}, who="rita")
    submitted = desk.submit()
    for who in ("ada", "rita"):
        with pytest.raises(Refused) as caught:
            desk.vote(submitted, who=who)
        assert "contributor" in {reason.id for reason in caught.value.reasons}
    assert desk.claim() is None


def test_a_vote_on_another_text_is_refused(measured):
    draft = measured.complete()
    measured.evaluate(wrong=1)
    submitted = measured.submit()
    with pytest.raises(Stale, match="under review"):
        measured.vote(submitted, digest=draft.digest)
    with pytest.raises(Stale):
        measured.vote(submitted, policy="sha256:" + "0" * 64)
    with pytest.raises(Conflict, match="under review"):
        measured.vote(draft)
    assert measured.claim() is None
    assert measured.vote(submitted, card=REF).state == "published"


def test_an_old_sign_in_votes_not(measured):
    measured.complete()
    submitted = measured.submit()
    with pytest.raises(Refused) as caught:
        measured.vote(submitted, step_up_s=-1)
    assert [reason.id for reason in caught.value.reasons] == ["sign_in"]


def test_a_rejected_card_can_be_submitted_again(measured):
    measured.complete()
    rejected = measured.vote(measured.submit(), "reject", comment="too vague")
    assert (rejected.state, measured.claim()) == ("rejected", None)
    again = measured.submit()
    assert (again.id, again.state) == (rejected.id, "submitted")
    assert measured.vote(again).state == "published"


def test_an_abstention_decides_nothing(measured):
    measured.complete()
    assert measured.vote(measured.submit(), "abstain").state == "submitted"


def test_one_card_of_a_version_is_under_review_at_a_time(measured):
    measured.complete()
    submitted = measured.submit()
    with pytest.raises(Conflict, match="revision 1"):
        measured.submit()
    measured.complete({**FORM, "contact": "b"})
    with pytest.raises(Conflict, match="revision 1"):
        measured.submit()
    assert measured.do(service.withdraw, PROJECT, REF).state == "draft"
    assert measured.read(service.get, PROJECT, submitted.id).state == "draft"
    assert measured.submit().revision == 2


def test_only_what_is_under_review_is_withdrawn_and_by_its_writers(measured):
    card = measured.complete()
    for which in (REF, card.id):
        with pytest.raises(Conflict, match="No card"):
            measured.do(service.withdraw, PROJECT, which)
    measured.submit()
    with pytest.raises(Forbidden):
        measured.do(service.withdraw, PROJECT, REF, who="root")


def test_a_newer_card_takes_the_place_of_the_published_one(measured):
    first = measured.publish()
    with pytest.raises(Conflict, match="is published"):
        measured.submit()
    second = measured.publish({**FORM, "contact": "b"})
    assert measured.read(service.get, PROJECT, first.id).state == "superseded"
    assert measured.read(service.find_published, PROJECT, NAME, "2.1.0") == second
    assert measured.claim().value["card"] == second.digest
    assert measured.read(replay.check).equal


def vote_elsewhere(desk, card, verdict="approve"):
    request = desk.read(service.request_of, card)
    new = approvals.NewVote(
        request=request.id, project=PROJECT, subject=card.digest, policy=request.policy, verdict=verdict
    )
    desk.do(approvals.vote, new, who="rita")


def state_of(desk, card):
    return desk.read(service.get, PROJECT, card.id).state


def test_a_vote_on_the_request_itself_publishes_too(measured):
    measured.complete()
    submitted = measured.submit()
    jobs.settle(measured.installation.runtime)
    assert state_of(measured, submitted) == "submitted"
    vote_elsewhere(measured, submitted)
    jobs.settle(measured.installation.runtime)
    assert state_of(measured, submitted) == "published"
    jobs.settle(measured.installation.runtime)
    assert measured.claim().value["card"] == submitted.digest


def test_a_card_whose_request_was_carried_out_already_is_published(measured):
    measured.complete()
    submitted = measured.submit()
    vote_elsewhere(measured, submitted)
    measured.do(approvals.admit, submitted.request, who=SYSTEM)
    jobs.settle(measured.installation.runtime)
    assert state_of(measured, submitted) == "published"


def test_an_approval_that_no_longer_holds_publishes_nothing(measured):
    measured.complete()
    submitted = measured.submit()
    vote_elsewhere(measured, submitted)
    leaving = measured.do(identity.ask_change, PROJECT, "reviewers", "rita", "remove", who="root")
    measured.do(identity.confirm_change, PROJECT, leaving.id, who="rita")
    jobs.settle(measured.installation.runtime)
    assert (state_of(measured, submitted), measured.claim()) == ("submitted", None)


def test_a_card_whose_request_expired_is_a_draft_again(measured):
    measured.complete()
    submitted = measured.submit()
    measured.installation.clock.advance(30 * 86_400)
    measured.do(approvals.expire, submitted.request, who=SYSTEM)
    jobs.settle(measured.installation.runtime)
    assert state_of(measured, submitted) == "draft"


def test_settling_what_is_not_under_review_does_nothing(measured):
    card = measured.complete()
    assert not measured.do(service.settle, card.id)
    assert not measured.do(service.settle, "card_unknown")
    with pytest.raises(NotFound, match="No vote was asked for"):
        measured.read(service.request_of, card)


@pytest.mark.parametrize("which", ["card_unknown", f"{NAME}@9.9.9", "nobody@1.0.0"])
def test_what_is_not_there_is_not_found(desk, which):
    with pytest.raises(NotFound):
        desk.read(service.get, PROJECT, which)


@pytest.mark.parametrize("which", [NAME, "@", f"{NAME}@", "@1.0.0", ""])
def test_a_card_is_named_by_a_version(desk, which):
    with pytest.raises(Invalid, match="names no version"):
        desk.read(service.get, PROJECT, which)


def test_a_card_belongs_to_its_project(desk):
    card = desk.complete()
    desk.do(identity.create_project, "other", who="root")
    with pytest.raises(NotFound):
        desk.read(service.get, "other", card.id)
    assert desk.read(service.list_, "other", {}) == []


def test_cards_are_listed_newest_first_in_pages(desk):
    cards = [desk.complete({"contact": f"team {n}"}) for n in range(3)]
    listed = desk.read(service.list_, PROJECT, {"name": NAME}, limit=2)
    assert [card.id for card in listed] == [cards[2].id, cards[1].id]
    rest = desk.read(service.list_, PROJECT, {}, before=listed[-1].id)
    assert [card.id for card in rest] == [cards[0].id]


def test_an_overlong_card_is_refused(desk):
    texts = ["\N{GRINNING FACE}" * 4000] * 100
    form = dict.fromkeys(("ethical_considerations", "limitations", "risks", "changes", "citations"), texts)
    with pytest.raises(TooLarge):
        desk.complete(form)


def test_an_erased_card_cannot_be_read_and_the_ledger_still_replays(measured):
    published = measured.publish()
    measured.installation.runtime.blobs.erase(published.digest)
    with pytest.raises(NotFound, match="erased"):
        measured.view(published)
    assert measured.read(replay.check).equal


def test_leaves_hold_no_text(measured):
    measured.publish()
    from assent.ledger import service as ledger  # noqa: PLC0415 -- only here

    leaves = b"".join(leaf.entry for leaf in measured.read(ledger.leaves, 0, 1000))
    assert FORM["contact"].encode() not in leaves
    assert msgspec.json.encode("Support tickets")[1:-1] not in leaves
