"""Requests from filing to execution, on real databases with a real ledger."""

import json

import pytest

from assent.approvals import jobs, service
from assent.approvals.domain.facts import Ok
from assent.evaluation import service as evaluation
from assent.identity import service as identity
from assent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Stale
from assent.kernel.tx import SYSTEM, Actor
from assent.ledger import service as ledger
from assent.prompts import service as prompts
from tests.approvals.shop import GROUND, PROJECT, refusal


def ready(shop):
    """Everything holds but the vote."""
    shop.adopt()
    shop.pass_suite()
    shop.publish_card()
    return shop.file()


def leaves(shop, prefix="approvals."):
    with shop.desk.read() as reader:
        found = [json.loads(leaf.entry) for leaf in ledger.leaves(reader, 0, 10_000)]
    return [leaf for leaf in found if leaf["type"].startswith(prefix)]


def test_a_release_is_refused_with_every_reason_then_approved_and_admitted_once(shop_on_each):
    shop = shop_on_each
    request, rollout = shop.file()
    reasons = refusal(shop.start, rollout)
    assert {
        "regression_suite",
        "card_published",
        "approvals",
        "rollback_target_exists",
    } <= set(reasons)
    assert all(reasons[name].remedy for name in ("regression_suite", "card_published", "approvals"))
    assert "2.1.0" in reasons["regression_suite"].remedy
    shop.adopt()
    shop.pass_suite()
    shop.publish_card()
    assert shop.answers(request)["approvals"] == "fail"
    cast = shop.vote("rita", request, comment="read it all")
    assert (cast.decision.effect, cast.vote.counts, cast.vote.comment) == ("approved", True, "read it all")
    started = shop.start(rollout)
    assert started.state.value == "running"
    assert shop.get(request).state is service.State.EXECUTED
    assert set(refusal(shop.do, "otto", service.admit, request.id)) == {"closed"}
    (decision,) = leaves(shop, "approvals.decision.made")
    data = decision["data"]
    assert (data["effect"], data["project"], data["environment"]) == ("approved", PROJECT, "production")
    assert (data["subject"], data["plan"]) == (request.subject, request.plan)
    assert data["voters"] == [shop.people["rita"].id]
    assert "read it all" not in json.dumps(leaves(shop))


def test_a_version_is_assessed_without_any_request(shop):
    question = service.Question(project=PROJECT, environment="production", subject="support@2.1.0")
    found = shop.read(service.assess, question)
    assert found.in_force.ref == "assent-default"
    assert {r.id: r.ok.value for r in found.results} == {
        "regression_suite": "unknown",
        "safety_suite": "pass",
        "card_published": "unknown",
        "approvals": "fail",
        "contributors_excluded": "pass",
        "first_step_at_most": "unknown",
        "rollback_target_exists": "unknown",
        "base_model_not_ending_within": "pass",
        "no_freeze_window": "pass",
    }
    assert [r.remedy for r in found.results if r.ok.value != "pass" and not r.remedy] == []
    shop.do(
        "root", service.register_policy, service.NewPolicy(project=PROJECT, name="ground", content=GROUND)
    )
    other = service.Question(
        project=PROJECT, environment="production", subject="support@2.1.0", policy="ground@1.0.0"
    )
    assert [r.id for r in shop.read(service.assess, other).results] == ["regression_suite", "approvals"]


def test_nobody_approves_what_they_asked_for_or_worked_on(shop):
    shop.join("reviewers", "ada")
    shop.join("reviewers", "bob")
    shop.clock.advance(1)
    shop.sign_in()
    shop.adopt()
    request, _ = shop.file(who="bob")
    assert set(refusal(shop.vote, "bob", request)) == {"self_approval"}
    assert set(refusal(shop.vote, "ada", request)) == {"contributor"}
    assert shop.read(service.list_votes, request.id) == []
    assert [r.id for r in shop.read(service.vote_reasons, request.id, shop.people["ada"].id)] == [
        "contributor"
    ]
    assert shop.read(service.vote_reasons, request.id, shop.people["rita"].id) == []


def test_the_author_of_the_prompt_is_a_contributor(shop):
    text = {"messages": [{"role": "system", "content": "Be brief."}]}
    new = prompts.NewPrompt(PROJECT, "answer", text)
    prompt, _ = shop.do("rita", prompts.register, new)
    shop.register("2.2.0", prompt=prompt.digest)
    shop.adopt()
    request, _ = shop.file("2.2.0")
    assert request.manifest["prompt"] == prompt.digest
    assert set(refusal(shop.vote, "rita", request)) == {"contributor"}


def test_a_service_account_is_refused_with_every_reason(shop):
    account = shop.do("root", identity.add_service, "ci")
    robot = Actor(account.id, "service")
    request, _ = ready(shop)
    assert set(refusal(shop.vote, robot, request)) == {"service_account", "group"}


def test_membership_gained_after_filing_or_lost_before_execution_does_not_count(shop):
    request, rollout = ready(shop)
    shop.clock.advance(5)
    shop.join("reviewers", "otto")
    shop.sign_in()
    late = refusal(shop.vote, "otto", request)["group"]
    assert "after the request was filed" in late.message
    shop.vote("rita", request)
    shop.leave("reviewers", "rita")
    reasons = refusal(shop.start, rollout)
    assert set(reasons) == {"approvals"}
    assert shop.get(request).state is service.State.APPROVED
    shop.vote("ron", request)
    assert shop.start(rollout).state.value == "running"


def test_a_vote_needs_a_recent_sign_in(shop):
    request, _ = ready(shop)
    shop.clock.advance(700)
    reason = refusal(shop.vote, "rita", request)["sign_in"]
    assert "assent login --link" in reason.remedy
    assert shop.vote("rita", request, step_up_s=3600).decision is not None
    forgetful = Actor(shop.people["ron"].id, "person")
    assert refusal(shop.vote, forgetful, request)["sign_in"].have == "no sign-in"


def test_a_vote_on_other_digests_than_the_requests_is_stale_and_names_both(shop):
    request, _ = ready(shop)
    with pytest.raises(Stale) as error:
        shop.vote("rita", request, subject="sha256:" + "0" * 64, policy="sha256:" + "1" * 64)
    assert {(r.id, r.have, r.need) for r in error.value.reasons} == {
        ("subject", "sha256:" + "0" * 64, request.subject),
        ("policy", "sha256:" + "1" * 64, request.policy),
    }
    with pytest.raises(Invalid):
        shop.vote("rita", request, verdict="maybe")
    with pytest.raises(NotFound):
        shop.vote("rita", request, project="elsewhere")


def test_a_rejection_ends_the_request(shop):
    request, rollout = ready(shop)
    assert shop.vote("rita", request, "reject", comment="it lies").decision.effect == "rejected"
    assert shop.get(request).state is service.State.REJECTED
    assert set(refusal(shop.vote, "ron", request)) == {"closed"}
    reasons = refusal(shop.start, rollout)
    assert {"closed", "approvals"} <= set(reasons)
    assert "rejected by rita" in reasons["approvals"].have
    assert leaves(shop, "approvals.decision.made")[0]["data"]["voters"] == [shop.people["rita"].id]


def test_an_approved_request_can_still_be_rejected_before_it_is_done(shop):
    request, rollout = ready(shop)
    shop.vote("rita", request)
    assert shop.vote("ron", request, "reject").decision.effect == "rejected"
    assert "closed" in refusal(shop.start, rollout)


def test_a_later_vote_takes_the_place_of_the_earlier_and_a_withdrawn_one_counts_no_longer(shop):
    shop.adopt()
    request, _ = shop.file()
    shop.vote("rita", request)
    shop.vote("rita", request, "abstain")
    assert [v.counts for v in shop.read(service.list_votes, request.id)] == [False, True]
    shop.vote("rita", request)
    shop.do("rita", service.withdraw_vote, request.id, PROJECT)
    votes = shop.read(service.list_votes, request.id)
    assert [v.verdict for v in votes] == ["approve", "abstain", "approve", "withdrawn"]
    assert not any(v.counts for v in votes)
    assert shop.answers(request)["approvals"] == "fail"
    with pytest.raises(NotFound):
        shop.do("rita", service.withdraw_vote, request.id, PROJECT)


def test_a_vote_stays_once_the_request_is_over(shop):
    request, rollout = ready(shop)
    shop.vote("rita", request)
    shop.start(rollout)
    assert set(refusal(shop.do, "rita", service.withdraw_vote, request.id, PROJECT)) == {"closed"}


def test_a_newer_request_supersedes_and_the_votes_of_the_older_are_stale(shop):
    shop.adopt()
    request, _ = shop.file()
    shop.vote("rita", request)
    new = service.NewRequest(
        project=PROJECT, environment="production", subject=request.subject, plan="sha256:" + "a" * 64
    )
    newer = shop.do("ada", service.submit, new)
    older = shop.get(request)
    assert (older.state, older.successor) == (service.State.SUPERSEDED, newer.id)
    (vote,) = shop.read(service.list_votes, newer.id)
    assert (vote.stale, vote.counts, vote.request) == (True, False, request.id)
    assert shop.answers(newer)["approvals"] == "fail"
    assert set(refusal(shop.vote, "rita", older)) == {"closed"}
    newest = shop.do("ada", service.submit, new)
    assert [v.stale for v in shop.read(service.list_votes, newest.id)] == [True]


def test_a_request_keeps_the_policy_that_it_was_filed_under_and_is_told_of_a_newer_one(shop):
    request, _ = ready(shop)
    assert request.policy_ref == "assent-default@1.0.0"
    assert shop.read(service.newer_policy, request) is None
    shop.bind()
    assert shop.read(service.newer_policy, request) == "ground@1.0.0"
    assert "card_published" in shop.answers(request)
    shop.vote("rita", request)
    assert shop.read(service.newer_policy, shop.get(request)) == "ground@1.0.0"


def test_an_environment_that_is_not_protected_asks_nothing(shop):
    request, _ = shop.file(environment="staging")
    assert (request.state, request.policy_ref) == (service.State.APPROVED, "assent-none@1.0.0")
    assert set(refusal(shop.vote, "rita", request)) == {"group"}


def test_evidence_that_comes_last_lets_the_request_be_decided_by_the_tick(shop):
    shop.adopt()
    shop.publish_card()
    request, _ = shop.file()
    assert shop.vote("rita", request).decision is None
    jobs.settle(shop.desk.runtime)
    assert shop.get(request).state is service.State.OPEN
    shop.pass_suite()
    jobs.settle(shop.desk.runtime)
    assert shop.get(request).state is service.State.APPROVED
    assert leaves(shop, "approvals.decision.made")[0]["actor"] == SYSTEM.id
    jobs.settle(shop.desk.runtime)
    assert len(leaves(shop, "approvals.decision.made")) == 1


def test_evidence_that_comes_last_lets_it_be_decided_at_execution(shop):
    shop.adopt()
    shop.publish_card()
    request, rollout = shop.file()
    shop.vote("rita", request)
    shop.pass_suite()
    assert shop.start(rollout).state.value == "running"
    assert [leaf["type"] for leaf in leaves(shop)][-2:] == [
        "approvals.decision.made",
        "approvals.request.executed",
    ]
    assert shop.get(request).state is service.State.EXECUTED


def test_silence_never_approves_a_request_expires(shop):
    request, rollout = ready(shop)
    shop.vote("rita", request)
    shop.clock.advance(15 * 86_400)
    shop.sign_in()
    assert "expired" in refusal(shop.vote, "ron", request)
    assert "expired" in refusal(shop.start, rollout)
    jobs.settle(shop.desk.runtime)
    assert shop.get(request).state is service.State.EXPIRED
    jobs.settle(shop.desk.runtime)
    assert len(leaves(shop, "approvals.request.expired")) == 1
    assert shop.do("ada", service.expire, request.id) is False


def test_a_request_is_withdrawn_by_who_filed_it_or_worked_on_it(shop):
    request, rollout = shop.file(who="bob")
    with pytest.raises(Forbidden):
        shop.do("rita", service.withdraw, request.id, PROJECT)
    assert shop.do("ada", service.withdraw, request.id, PROJECT).state is service.State.WITHDRAWN
    assert set(refusal(shop.do, "bob", service.withdraw, request.id, PROJECT)) == {"closed"}
    assert "closed" in refusal(shop.start, rollout)


def test_what_was_answered_at_the_decision_stays_readable(shop):
    request, rollout = ready(shop)
    shop.vote("rita", request)
    shop.start(rollout)
    shop.clock.advance(400 * 86_400)
    answers = shop.read(service.check_conditions, request.id)
    assert {r.ok.value for r in answers} == {"pass"}


def test_everything_is_checked_again_at_execution(shop):
    request, rollout = ready(shop)
    shop.vote("rita", request)
    shop.pass_suite(verdict="fail")
    assert set(refusal(shop.start, rollout)) == {"regression_suite"}
    with pytest.raises(Refused):
        shop.read(service.check, request.id)
    shop.pass_suite()
    shop.read(service.check, request.id)
    assert shop.get(request).state is service.State.APPROVED
    shop.start(rollout)


def test_a_plan_that_the_request_does_not_name_never_counts(shop):
    request, _ = ready(shop)
    plan = {"environment": "production", "plan": "sha256:" + "b" * 64, "first_share": "0.01"}
    shop.claim("2.1.0", "rollout.plan", **plan)
    assert shop.answers(request)["first_step_at_most"] == "pass"
    new = service.NewRequest(
        project=PROJECT, environment="production", subject=request.subject, plan="sha256:" + "c" * 64
    )
    assert shop.answers(shop.do("ada", service.submit, new))["first_step_at_most"] == "unknown"


def test_a_big_bang_is_refused(shop):
    shop.adopt()
    request, _ = shop.file(steps=[{"share": 1, "min_time_s": 0}], guards=[], detect=None)
    assert shop.answers(request)["first_step_at_most"] == "fail"


def test_high_tier_asks_for_risk_too_and_one_person_fills_one_factor(shop):
    shop.register("3.0.0", tier="high")
    shop.adopt()
    shop.pass_suite("3.0.0")
    shop.pass_suite("3.0.0", kind="safety")
    shop.publish_card("3.0.0", tier="high")
    request, _ = shop.file("3.0.0")
    assert shop.vote("ron", request).decision is None
    (approvals,) = [r for r in shop.read(service.check_conditions, request.id) if r.id == "approvals"]
    assert approvals.have in {"0 of reviewers; 1 of risk (ron)", "1 of reviewers (ron); 0 of risk"}
    assert shop.vote("rita", request).decision.effect == "approved"


def test_a_prohibited_use_is_never_released(shop):
    shop.register("6.6.6", tier="prohibited")
    shop.adopt()
    request, _ = shop.file("6.6.6", environment="staging")
    assert request.state is service.State.OPEN
    assert shop.answers(request) == {"tier": "fail"}


def test_a_version_that_soaked_elsewhere_may_go_on(shop):
    soak = {"kind": "minimum_soak", "environment": "staging", "hours": 2}
    shop.bind("soaked", {"conditions": [soak]})
    request, _ = shop.file()
    assert shop.answers(request) == {"minimum_soak": "unknown"}
    shop.adopt("2.1.0", "staging")
    assert shop.answers(request) == {"minimum_soak": "fail"}
    shop.clock.advance(7200)
    assert shop.answers(request) == {"minimum_soak": "pass"}


def test_who_ran_the_evaluation_can_be_left_out(shop):
    factors = [{"group": "reviewers", "exclude": ["requester", "contributors", "evaluators"]}]
    shop.bind("apart", {"conditions": [{"kind": "approvals", "factors": factors}]})
    shop.pass_suite(run="run_of_another_installation")
    request, _ = shop.file()
    assert shop.vote("rita", request).decision.effect == "approved"


def test_a_card_is_decided_by_the_shipped_rule(shop):
    about = shop.version("2.1.0").digest
    card = service.NewRequest(
        project=PROJECT,
        subject="sha256:" + "d" * 64,
        kind=service.Kind.CARD,
        about=about,
        contributors=(shop.people["rita"].id,),
    )
    request = shop.do("ada", service.submit, card)
    assert (request.policy_ref, request.environment, request.ref) == (
        "assent-card@1.0.0",
        None,
        "support@2.1.0",
    )
    assert set(refusal(shop.vote, "rita", request)) == {"contributor"}
    assert {"approvals"} == set(refusal(shop.do, "ada", service.admit, request.id))
    assert shop.vote("ron", request).decision.effect == "approved"
    assert shop.do("ada", service.admit, request.id).effect == "approved"
    assert shop.read(service.newer_policy, request) is None


def test_a_release_names_an_environment_and_a_card_names_none(shop):
    digest = shop.version("2.1.0").digest
    for new in (
        service.NewRequest(project=PROJECT, subject=digest),
        service.NewRequest(
            project=PROJECT,
            subject=digest,
            environment="production",
            kind=service.Kind.CARD,
            about=digest,
        ),
        service.NewRequest(
            project=PROJECT, subject=digest, environment="production", expires_at=shop.clock.now()
        ),
        service.NewRequest(project=PROJECT, subject="support", environment="production"),
    ):
        with pytest.raises(Invalid):
            shop.do("ada", service.submit, new)


def test_a_prompt_is_a_subject_too(shop):
    text = {"messages": [{"role": "system", "content": "Be brief."}]}
    prompt, _ = shop.do("ada", prompts.register, prompts.NewPrompt(PROJECT, "answer", text))
    question = service.Question(project=PROJECT, environment="production", subject=prompt.ref)
    found = shop.read(service.assess, question)
    by_id = {r.id: r for r in found.results}
    assert (found.facts.tier, by_id["base_model_not_ending_within"].ok.value) == ("high", "pass")
    again = service.Question(project=PROJECT, environment="production", subject=prompt.digest)
    assert shop.read(service.assess, again).facts.contributors == (shop.people["ada"].id,)
    with pytest.raises(NotFound):
        shop.read(
            service.assess, service.Question(project=PROJECT, environment="production", subject="none@1.0.0")
        )


def test_requests_are_listed_a_page_at_a_time(shop):
    first, _ = shop.file()
    second, _ = shop.file("2.0.0")
    newest, cursor = shop.read(service.list_, PROJECT, {"environment": "production"}, limit=1)
    rest, end = shop.read(service.list_, PROJECT, {"state": ["open"], "name": None}, cursor, limit=5)
    assert ([r.id for r in newest], [r.id for r in rest], end) == ([second.id], [first.id], None)


def test_the_stage_of_a_version_follows_its_request(shop):
    shop.adopt()
    shop.pass_suite()
    shop.publish_card()
    request, _ = shop.file()
    assert (shop.version("2.1.0").stage, shop.version("2.1.0").status) == ("approval", "review")
    shop.vote("rita", request)
    assert (shop.version("2.1.0").stage, shop.version("2.1.0").status) == ("approval", "approved")
    shop.vote("ron", request, "reject")
    assert (shop.version("2.1.0").stage, shop.version("2.1.0").status) == ("evaluation", "draft")


def test_a_comment_can_be_erased_and_an_endless_one_is_refused(shop):
    request, _ = ready(shop)
    with pytest.raises(Invalid):
        shop.vote("rita", request, comment="x" * 10_001)
    shop.vote("rita", request, "abstain", comment="mine")
    (leaf,) = leaves(shop, "approvals.vote.cast")
    shop.desk.runtime.blobs.erase(leaf["data"]["comment"])
    assert shop.read(service.list_votes, request.id)[0].comment is None


def test_policies_are_versions_that_never_change(shop):
    first = service.NewPolicy(project=PROJECT, name="ground", content=GROUND)
    version, created = shop.do("root", service.register_policy, first)
    assert (version.ref, created) == ("ground@1.0.0", True)
    assert shop.do("root", service.register_policy, first) == (version, False)
    assert shop.read(service.preview_policy, first)["exists"] is True
    other = {**GROUND, "title": "Another"}
    with pytest.raises(Conflict):
        shop.do(
            "root",
            service.register_policy,
            service.NewPolicy(project=PROJECT, name="ground", content=other, number="1.0.0"),
        )
    with pytest.raises(Conflict):
        shop.do(
            "root",
            service.register_policy,
            service.NewPolicy(project=PROJECT, name="ground", content=GROUND, number="2.0.0"),
        )
    for number in ("1.10.0", "1.9.0"):
        content = {**GROUND, "title": number}
        new = service.NewPolicy(project=PROJECT, name="ground", content=content, number=number)
        assert shop.read(service.preview_policy, new)["exists"] is False
        shop.do("root", service.register_policy, new)
    assert shop.read(service.get_policy, PROJECT, "ground").number == "1.10.0"
    again = service.NewPolicy(project=PROJECT, name="ground", content=other)
    assert shop.do("root", service.register_policy, again)[0].number == "1.11.0"
    newest = shop.read(service.list_policies, PROJECT, "ground", limit=2)
    assert [v.number for v in newest] == ["1.11.0", "1.9.0"]
    assert [v.number for v in shop.read(service.list_policies, PROJECT, before=newest[-1].id)] == [
        "1.10.0",
        "1.0.0",
    ]
    with pytest.raises(NotFound):
        shop.read(service.get_policy, PROJECT, "ground@9.9.9")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("assent-mine", GROUND),
        ("ground", {"conditions": []}),
        ("Ground!", GROUND),
        ("ground", {"conditions": [{"kind": "magic"}]}),
    ],
)
def test_a_policy_that_breaks_the_form_is_refused(shop, name, content):
    with pytest.raises(Invalid):
        shop.read(service.preview_policy, service.NewPolicy(project=PROJECT, name=name, content=content))


def test_a_policy_whose_document_was_changed_on_disk_is_not_believed(shop):
    version = shop.bind()
    blobs = shop.desk.runtime.blobs
    assert shop.read(service.document_of, version)["name"] == "ground"
    wrong = version.__class__(
        **{**{f: getattr(version, f) for f in version.__slots__}, "body": blobs.put(b'{"conditions":[]}')}
    )
    with pytest.raises(Invalid):
        shop.read(service.document_of, wrong)


def test_a_policy_is_bound_by_an_event_and_binding_again_records_nothing(shop):
    shop.bind()
    shop.do("root", service.bind_policy, PROJECT, "production", "ground")
    assert len(leaves(shop, "approvals.policy.bound")) == 1
    assert shop.read(service.in_force, PROJECT, "production").ref == "ground@1.0.0"
    with pytest.raises(NotFound):
        shop.read(service.get_binding, PROJECT, "staging")
    with pytest.raises(NotFound):
        shop.do("root", service.bind_policy, PROJECT, "nowhere", "ground")
    shop.bind("other", {**GROUND, "title": "Other"})
    assert shop.read(service.get_binding, PROJECT, "production").policy_ref == "other@1.0.0"


def test_the_grounds_policy_lets_a_release_out_by_suite_and_one_vote(shop):
    shop.adopt()
    shop.bind()
    request, rollout = shop.file()
    assert set(refusal(shop.start, rollout)) == {"regression_suite", "approvals"}
    shop.pass_suite()
    shop.vote("rita", request)
    shop.start(rollout)


PROBES = {"kind": "safety_suite", "tiers": ["minimal"], "suite": "probes"}
ALLOWED = {"imported": "allowed", "bars": [{"metric": "pass", "at_least": 0.8}]}


def test_imported_results_count_only_where_the_policy_says_so(shop):
    rows = [{"sample": f"q{n}", "metric": "pass", "value": 1} for n in range(40)]
    measured = evaluation.measure("jsonl", "rows.jsonl", "\n".join(map(json.dumps, rows)).encode())
    shop.do("ada", evaluation.take_over, evaluation.NewImport(PROJECT, "support@2.1.0", "probes", measured))
    for name, extra in (("strict", {}), ("open", ALLOWED)):
        new = service.NewPolicy(project=PROJECT, name=name, content={"conditions": [{**PROBES, **extra}]})
        shop.do("root", service.register_policy, new)

    def asked(policy):
        question = service.Question(
            project=PROJECT, environment="production", subject="support@2.1.0", policy=policy
        )
        (answer,) = shop.read(service.assess, question).results
        return answer

    refused = asked("strict")
    assert refused.ok is Ok.UNKNOWN
    assert "imported, which this policy does not count" in refused.have
    assert "`imported: allowed` with `bars`" in refused.remedy
    counted = asked("open")
    assert counted.ok is Ok.PASS
    assert "imported from jsonl; task pass: 1 [0.91" in counted.have
