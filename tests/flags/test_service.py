"""Flags in the ledger: who may change what, undo, and what travels to applications; on both databases."""

from datetime import timedelta

import pytest

from assent.delivery import service as delivery
from assent.flags import service
from assent.flags.domain import published_route
from assent.flags.service import confirming
from assent.kernel.errors import Conflict, Invalid, NotFound, Refused, Stale
from assent.kernel.tx import SYSTEM, Actor
from assent.monitoring.service import ingestion
from assent.monitoring.service.batch import Batch, Exposure
from assent.registry import service as registry
from tests.delivery.releases import PROJECT
from tests.delivery.test_two_people import at_once, errors_of


def has(attribute, op, value):
    return {"attribute": attribute, "op": op, "value": value}


def test_in_an_open_environment_one_person_changes_a_flag(flags):
    flags.create(split={"on": 0.05}, owner="web")
    grown = flags.change(split={"on": 0.2})
    assert (grown.row.generation, grown.proposal) == (2, None)
    assert flags.desk.events("flags.") == ["flags.flag.created", "flags.flag.changed"]
    past = flags.desk.read(service.history, flags.place())
    assert [(one.generation, one.how) for one in past] == [(2, "change"), (1, "create")]
    assert flags.change(split={"on": 0.2}).row.generation == 2  # nothing differs, nothing happens


def test_in_a_protected_environment_growth_takes_a_second_person(flags):
    made = flags.create(environment="production", split={"on": 0.05})
    assert (made.flag.enabled, made.proposal.how) == (False, "create")
    live = flags.confirm()
    assert (live.flag.enabled, live.row.generation, live.proposal) == (True, 2, None)
    assert (
        flags.change(environment="production", split={"on": 0.2}).proposal.proposed_by
        == flags.people["ada"].id
    )
    assert (
        flags.change(environment="production", split={"on": 0.2}).row.generation == 2
    )  # proposing twice is once
    with pytest.raises(Refused, match="not confirmed"):
        flags.confirm(by="ada")
    flags.desk.clock.advance(2 * 3600)
    with pytest.raises(Refused) as refusal:
        flags.confirm(by="rita")
    assert [reason.id for reason in refusal.value.reasons] == ["sign_in"]
    assert flags.get(environment="production").flag.split == live.flag.split


def test_what_shrinks_is_done_at_once_and_so_is_the_switch(flags):
    flags.create(environment="production", split={"on": 0.2})
    flags.confirm()
    assert flags.change(environment="production", split={"on": 0.05}).proposal is None
    assert flags.change(environment="production", description="words").proposal is None
    off = flags.do(service.switch_off, flags.place(environment="production"), "it is broken")
    assert (off.flag.enabled, off.proposal) == (False, None)
    waits = flags.do(service.switch_on, flags.place(environment="production"), "mended")
    assert (waits.flag.enabled, waits.proposal.how) == (False, "on")
    assert flags.confirm(by="rita").flag.enabled
    with pytest.raises(Conflict):
        flags.do(service.switch_on, flags.place(environment="production"), "again")


def test_the_switch_asks_for_a_reason_and_works_once(flags):
    flags.create()
    with pytest.raises(Invalid, match="needs a reason"):
        flags.do(service.switch_off, flags.place(), " ")
    flags.do(service.switch_off, flags.place(), "broken")
    with pytest.raises(Conflict, match="already"):
        flags.do(service.switch_off, flags.place(), "broken")
    assert flags.do(service.switch_on, flags.place(), None).flag.enabled


def test_a_proposal_is_confirmed_as_it_was_seen_or_not_at_all(flags):
    flags.create(environment="production", split={"on": 0.1})
    place = flags.place(environment="production")
    with pytest.raises(Stale, match="Something else"):
        flags.do(service.confirm, service.Confirmation(place=place, body="sha256:0"), by="olga")
    flags.change(environment="production", by="rita", enabled=True, split={"on": 0.3})
    assert flags.confirm(by="ada").flag.split[0].end == 300_000
    with pytest.raises(NotFound, match="Nothing is proposed"):
        flags.do(service.withdraw, place)


def test_a_switch_ends_what_was_proposed_on_what_is_no_more(flags):
    flags.create(environment="production", split={"on": 0.1})
    flags.confirm()
    flags.change(environment="production", split={"on": 0.5})
    flags.do(service.switch_off, flags.place(environment="production"), "broken")
    assert flags.get(environment="production").proposal is None


def test_a_proposal_is_taken_back_and_machines_confirm_nothing(flags):
    flags.create(environment="production", split={"on": 0.1})
    held = flags.get(environment="production").proposal
    with flags.desk.begin(Actor("svc_ci", "service")) as tx:
        assert [one.id for one in confirming.confirming_reasons(tx, held)] == ["service_account"]
    assert flags.do(service.withdraw, flags.place(environment="production")).proposal is None
    assert flags.desk.read(service.list_proposals, PROJECT) == []


def test_a_change_to_what_was_not_seen_is_refused(flags):
    flags.create(split={"on": 0.1})
    flags.change(split={"on": 0.2})
    stale = service.Change(place=flags.place(generation=1), form={"split": {"on": 0.9}})
    with pytest.raises(Stale, match="generation 1, it is at 2"):
        flags.do(service.change, stale)


def test_two_changes_at_the_same_moment_are_one_change_and_one_refusal(flags):
    flags.create(split={"on": 0.1})
    changes = [service.Change(place=flags.place(generation=1), form={"split": {"on": n}}) for n in (0.2, 0.3)]
    outcomes = at_once(*(lambda one=one: flags.do(service.change, one) for one in changes))
    assert len(errors_of(outcomes)) == 1
    assert flags.get().row.generation == 2


def test_a_flag_goes_back_to_what_it_was_as_a_new_generation(flags):
    flags.create(split={"on": 0.1})
    flags.change(split={"on": 0.9})
    back = flags.do(service.restore, flags.place(), 1, "too much")
    assert (back.row.generation, back.flag.split[0].end) == (3, 100_000)
    for wrong in (3, 9):
        with pytest.raises(NotFound, match="no generation"):
            flags.do(service.restore, flags.place(), wrong, None)


def test_a_name_belongs_to_one_kind_only(flags):
    with pytest.raises(Conflict, match="name of a model"):
        flags.create("support")
    flags.create("search")
    with pytest.raises(Conflict, match="has a flag search already"):
        flags.create("search")
    document = {
        "kind": "model",
        "tier": "minimal",
        "provider": "acme",
        "upstream_model": "search-1",
        "prompt": None,
        "parameters": {},
    }
    flags.desk.do(registry.register, PROJECT, "search", "1.0.0", document)
    with pytest.raises(Conflict, match="has a flag search"):
        flags.desk.adopt("search@1.0.0", environment="staging")
    with pytest.raises(Conflict, match="has a flag search"):
        flags.desk.file("search@1.0.0", environment="staging")


def test_a_flag_that_others_need_is_not_archived_and_one_that_is_not_is_gone(flags):
    flags.create("base", split="on")
    flags.create("top", prerequisites=[{"flag": "base", "variants": ["on"]}], split="on")
    with pytest.raises(Refused) as refusal:
        flags.do(service.archive, flags.place("base"), "done")
    assert [reason.id for reason in refusal.value.reasons] == ["exposing", "needed"]
    flags.do(service.switch_off, flags.place("top"), "done")
    flags.do(service.archive, flags.place("top"), "done")
    assert [one.row.name for one in flags.desk.read(service.list_, PROJECT, "staging")] == ["base"]
    with pytest.raises(NotFound):
        flags.get("top")
    again = flags.create("top", split={"on": 0.5})
    assert (again.row.generation, again.flag.enabled) == (4, True)
    assert flags.desk.read(service.history, flags.place("top"))[1].how == "archive"


def test_less_of_a_flag_that_a_rule_asks_for_may_be_more_elsewhere(flags):
    flags.create("base", environment="production", split={"on": 0.5})
    flags.confirm("base")
    flags.create("top", environment="production", rules=[
        {"id": "r", "when": [{"flag": "base", "variants": ["on"]}], "variant": "off"}], split="on")  # fmt: skip
    flags.confirm("top")
    assert flags.change("base", environment="production", split={"on": 0.1}).proposal is not None
    assert flags.change("base", environment="production", owner="web").row.generation == 3
    assert flags.do(service.switch_off, flags.place("base", "production"), "broken").proposal is None


def test_a_change_that_breaks_the_environment_is_refused(flags):
    flags.create("base")
    with pytest.raises(Invalid, match="circle"):
        flags.change("base", prerequisites=[{"flag": "base", "variants": ["on"]}])
    with pytest.raises(Invalid, match="no segment 'beta'"):
        flags.change("base", rules=[{"id": "r", "when": [{"segment": "beta"}], "variant": "on"}])
    with pytest.raises(Invalid, match="not a name for a flag"):
        flags.create("Not A Name")


BETA = [[has("organisation", "in", ["acme"])]]


def test_a_segment_that_a_protected_environment_uses_takes_two_people(flags):
    made = flags.segment(environment="production", any=BETA)
    assert (made.row.generation, made.proposal) == (1, None)
    assert flags.segment(environment="production", any=BETA).row.generation == 1
    assert flags.segment(environment="production", any=[*BETA, *BETA]).row.generation == 2
    rules = [{"id": "r", "when": [{"segment": "beta"}], "variant": "on"}]
    flags.create(environment="production", rules=rules)
    assert flags.segment(environment="production", any=BETA).proposal is not None
    kept = flags.confirm("beta", kind=service.SEGMENT)
    assert (kept.row.generation, kept.document["any"], kept.proposal) == (3, BETA, None)
    with pytest.raises(Stale):
        flags.do(
            service.set_segment, flags.place("beta", kind=service.SEGMENT, generation=4), {"any": BETA}, None
        )


def test_the_history_of_what_never_was_is_not_found(flags):
    with pytest.raises(NotFound, match="no flag 'nothing'"):
        flags.desk.read(service.history, flags.place("nothing"))
    with pytest.raises(NotFound, match="no segment 'nothing'"):
        flags.desk.read(service.get, flags.place("nothing", kind=service.SEGMENT))
    assert flags.desk.read(service.document_at, "sha256:" + "0" * 64) is None


# looking


def test_who_would_get_what_is_counted_now_and_then(flags):
    flags.create(
        split={"on": 0.1},
        rules=[{"id": "acme", "when": [has("organisation", "in", ["acme"])], "variant": "on"}],
    )
    subjects = [
        service.Subject(unit=str(n), context={"organisation": "acme" if n < 5 else "zeta"})
        for n in range(300)
    ]
    now = flags.desk.read(service.preview, flags.place(), subjects)
    then = flags.desk.read(service.preview, flags.place(), subjects, {"split": {"on": 0.3}})
    assert (now.then, now.n_changed, now.counts_then) == (None, 0, {})
    assert then.counts == now.counts
    assert then.n_changed == then.counts_then["on"] - then.counts["on"] > 30
    with pytest.raises(Invalid, match="too many"):
        flags.desk.read(service.preview, flags.place(), subjects * 40)
    bad = {"rules": [{"id": "r", "when": [{"segment": "gone"}], "variant": "on"}]}
    with pytest.raises(Invalid, match="no segment"):
        flags.desk.read(service.preview, flags.place(), subjects, bad)


def test_a_change_is_looked_at_without_being_made(flags):
    flags.create(split={"on": 0.1})
    wanted, is_more = flags.desk.read(service.compare, flags.place(), {"split": {"on": 0.2}})
    assert (wanted.split[0].end, is_more) == (200_000, True)
    assert flags.get().row.generation == 1
    why = flags.desk.read(service.explained, flags.place(), service.Subject(unit="u", context={}))
    assert why.steps[-1].holds


def test_flags_that_nobody_needs_are_listed_with_why(flags):
    for name in ("busy", "idle", "young"):
        flags.create(name, split={"on": 0.5})
    flags.desk.clock.advance(40 * 86_400)
    flags.change("young", split={"on": 0.6})
    now = flags.desk.clock.now()
    seen = {("staging", "busy", "on"): 3, ("staging", "busy", "off"): 2, ("staging", "support", "stable"): 9}
    for at in (now - timedelta(days=1), now):
        flags.desk.do(service.see, PROJECT, seen, at, actor=SYSTEM)
    found = flags.desk.read(service.stale, PROJECT, "staging", 30)
    assert [(one.row.name, [reason.id for reason in reasons]) for one, reasons in found] == [
        ("idle", ["unseen"])
    ]
    uses = flags.desk.read(service.uses, PROJECT, "staging", 30)
    assert (uses["busy"].counts, uses["busy"].last_at) == ({"on": 6, "off": 4}, now)
    assert list(uses) == ["busy"]


def test_what_was_given_long_ago_is_forgotten(flags):
    flags.create("busy")
    now = flags.desk.clock.now()
    flags.desk.do(
        service.see, PROJECT, {("staging", "busy", "on"): 3}, now - timedelta(days=500), actor=SYSTEM
    )
    flags.desk.do(service.see, PROJECT, {("staging", "busy", "on"): 1}, now, actor=SYSTEM)
    assert flags.desk.read(service.uses, PROJECT, "staging", 900)["busy"].counts == {"on": 1}


def test_exposures_that_an_sdk_sends_are_uses(alone):
    alone.create("busy", split={"on": 0.5})
    now = alone.desk.clock.now()
    rows = [
        Exposure(
            at=now,
            environment="staging",
            route=route,
            variant=variant,
            serial=1,
            reason="split",
            rule=None,
            rollout=None,
            unit="u" * 32,
        )
        for route, variant in (("busy", "on"), ("busy", "on"), ("support", "stable"))
    ]
    batch = Batch(id="b1", instance="i1", project=PROJECT, n_dropped=0, exposures=rows)
    for _ in range(2):  # the same batch again counts nothing
        alone.desk.do(ingestion.take, batch, b"rows", actor=SYSTEM)
    assert alone.desk.read(service.uses, PROJECT, "staging", 30)["busy"].counts == {"on": 2}


# snapshots


@pytest.mark.parametrize("audience", ["sdk", "gateway"])
def test_a_snapshot_with_flags_verifies_and_decides_as_the_server_says(flags, audience):
    flags.segment(environment="staging", any=[[has("email", "in", ["ada@acme.com"])]])
    flags.create("base", split={"on": 0.5})
    flags.create(
        prerequisites=[{"flag": "base", "variants": ["on"]}],
        rules=[{"id": "r", "when": [{"segment": "beta"}], "variant": "on"}],
    )
    issue, snapshot = flags.desk.snapshot("staging", audience)
    assert issue.omitted == ()
    assert b"ada@acme.com" not in issue.envelope
    assert snapshot.payload.segments["beta"]["any"][0][0]["op"] == "in_hashed"
    subjects = [
        service.Subject(unit=str(n), context={"email": "ada@acme.com"} if n % 2 else {}) for n in range(60)
    ]
    said = flags.desk.read(service.preview, flags.place(), subjects).now
    given = [snapshot.routes["new-search"](one.unit, one.context) for one in subjects]
    assert [one.variant for one in given] == [one.variant for one in said]
    assert {one.variant for one in given} == {"on", "off"}


def test_a_switch_reaches_the_snapshot_and_says_off(flags):
    flags.create(split="on")
    assert flags.desk.snapshot("staging", "sdk")[1].routes["new-search"]("u", {}).value is True
    flags.do(service.switch_off, flags.place(), "broken")
    decision = flags.desk.snapshot("staging", "sdk")[1].routes["new-search"]("u", {})
    assert (decision.value, decision.reason) == (False, "disabled")


def test_a_flag_that_cannot_be_used_spoils_no_snapshot(flags, monkeypatch):
    flags.create("good", split="on")
    flags.create("support-tone", split="on")
    flags.desk.adopt(environment="staging")

    def spoilt(reader, project, environment):
        routes, segments = service.looking.published(reader, project, environment)
        flag = flags.get("good").flag
        bad = published_route("bad", flag, 1) | {"algo": "crc32"}
        return routes | {"bad": bad, "support": published_route("support", flag, 1)}, segments

    monkeypatch.setattr(delivery.snapshots.flags, "published", spoilt)
    issue, snapshot = flags.desk.snapshot("staging", "sdk")
    assert [(one.id, one.have) for one in issue.omitted] == [("name", "support"), ("unusable", "bad")]
    assert snapshot.routes["good"]("u", {}).value is True
