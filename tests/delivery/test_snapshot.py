import json
import queue
from datetime import timedelta

import pytest
import sqlalchemy as sa

from assent.delivery import service, store
from assent.identity import service as identity
from assent.kernel.errors import NotFound, Refused
from assent.kernel.tx import SYSTEM
from assent.prompts import service as prompts
from assent.providers import service as providers
from assent.providers.domain.prices import NewPrice
from assent_client.snapshot import SnapshotRefused
from tests.delivery.releases import BAD, GOOD, PROJECT, approve


@pytest.fixture
def running(desk):
    desk.adopt()
    rollout = desk.file()
    approve(desk, rollout)
    return desk.act(service.start, rollout)


def decide(snapshot, n=2000):
    """Count which digest answers each of `n` units."""
    counts = {}
    for unit in range(n):
        value = snapshot.routes["support"](f"user-{unit}", {}).value
        counts[value] = counts.get(value, 0) + 1
    return counts


def behind_the_back(desk, statement):
    """Change a row as somebody with the database's password would."""
    with desk.runtime.session.engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
        conn.execute(statement)


def unguard(desk, table):
    """Take away the triggers that keep a table unchanged, as its owner can."""
    with desk.runtime.session.engine.connect() as conn, conn.execution_options(assent_writes=True).begin():
        if conn.dialect.name == "sqlite":
            for verb in ("update", "delete"):
                conn.execute(sa.text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
        else:
            conn.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))


def test_a_gateway_verifies_the_snapshot_and_serves_five_percent(desk, running):
    issue, snapshot = desk.snapshot()
    counts = decide(snapshot)
    assert set(counts) == {running.subject, running.stable}
    assert 60 <= counts[running.subject] <= 140
    assert snapshot.payload.serial == issue.serial == len(desk.events(""))
    kinds = {digest: version.admission.kind for digest, version in snapshot.payload.versions.items()}
    assert kinds == {running.subject: "approved", running.stable: "adopted"}
    assert snapshot.payload.providers["acme"].api_key == "env:K"
    assert issue.omitted == ()


def test_whoever_is_in_the_canary_stays_in_it_while_it_grows(desk, running):
    before = desk.snapshot()[1].routes["support"]
    desk.clock.advance(10)
    desk.step(running, GOOD)
    after = desk.snapshot()[1].routes["support"]
    units = [f"user-{n}" for n in range(2000)]
    inside = [unit for unit in units if before(unit, {}).variant == "canary"]
    assert inside
    assert all(after(unit, {}).variant == "canary" for unit in inside)
    assert sum(after(unit, {}).variant == "canary" for unit in units) > 4 * len(inside)


def test_a_rollback_is_a_new_and_higher_serial_with_the_old_version(desk, running):
    first = desk.snapshot()[1]
    desk.step(running, BAD)
    second = desk.snapshot()[1]
    assert second.position > first.position
    assert set(decide(second)) == {running.stable}
    assert running.subject not in second.payload.versions


def test_a_version_without_an_admitting_leaf_is_left_out_and_reported(desk, running):
    behind_the_back(
        desk, sa.delete(store.tables.admissions).where(store.tables.admissions.c.subject == running.subject)
    )
    issue, snapshot = desk.snapshot()
    assert set(decide(snapshot)) == {running.stable}
    assert [(reason.id, reason.have) for reason in issue.omitted] == [("unadmitted", running.subject)]


def test_a_route_that_was_edited_to_an_unapproved_version_serves_nothing_of_it(desk, running):
    unapproved = desk.read(service.find_subject, PROJECT, "support@2.2.0").digest
    row = desk.read(lambda reader: store.find_route(reader.conn, PROJECT, "production", "support"))
    document = {**row.document, "variants": {**row.document["variants"], "stable": unapproved}}
    behind_the_back(desk, sa.update(store.tables.routes).values(document=document))
    issue, snapshot = desk.snapshot()
    assert "support" not in snapshot.routes
    assert unapproved not in snapshot.payload.versions
    assert snapshot.payload.gone["support"].status == 404
    assert issue.omitted[0].have == unapproved


@pytest.mark.parametrize("column", ["subject", "kind", "event"])
def test_an_admission_row_that_was_edited_admits_nothing(desk, running, column):
    unapproved = desk.read(service.find_subject, PROJECT, "support@2.2.0").digest
    value = {"subject": unapproved, "kind": "adopted", "event": "evt_none"}[column]
    statement = sa.update(store.tables.admissions).where(store.tables.admissions.c.subject == running.subject)
    behind_the_back(desk, statement.values({column: value}))
    issue, snapshot = desk.snapshot()
    assert set(snapshot.payload.versions) == {running.stable}
    assert len(issue.omitted) == 1


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_decision_for_another_environment_or_version_admits_nothing(desk, running, environment):
    """Somebody routes 2.2.0 behind the product's back and points to a real decision on something else."""
    desk.adopt("support@2.2.0", environment="staging")
    wanted = desk.read(service.find_subject, PROJECT, "support@2.2.0").digest
    admitted = desk.read(lambda reader: store.list_admissions(reader.conn, PROJECT, environment))
    borrowed = admitted[wanted if environment == "staging" else running.stable]
    row = desk.read(lambda reader: store.find_route(reader.conn, PROJECT, "production", "support"))
    document = {**row.document, "variants": {**row.document["variants"], "stable": wanted}}
    behind_the_back(
        desk,
        sa.update(store.tables.routes)
        .where(store.tables.routes.c.environment == "production")
        .values(document=document),
    )
    forged = {
        "project": PROJECT,
        "environment": "production",
        "subject": wanted,
        "admitted_at": desk.clock.now(),
    }
    behind_the_back(
        desk, sa.insert(store.tables.admissions).values(**forged, kind=borrowed.kind, event=borrowed.event)
    )
    issue, snapshot = desk.snapshot()
    assert wanted not in snapshot.payload.versions
    assert "support" not in snapshot.routes
    assert [reason.have for reason in issue.omitted] == [wanted]


@pytest.mark.parametrize(("table", "content"), [("prompts", "{}"), ("prompts", None), ("registry", "{}")])
def test_a_document_that_was_changed_or_lost_keeps_its_version_out_and_no_other(
    desk, running, table, content
):
    prompt, _ = desk.do(prompts.register, prompts.NewPrompt(PROJECT, "greeting", {"text": "Say hello."}))
    version = desk.register("3.0.0", prompt=prompt.digest)
    desk.act(service.abort, running)
    rollout = desk.file("support@3.0.0")
    approve(desk, rollout)
    desk.act(service.start, rollout)
    assert prompt.digest in desk.snapshot()[1].payload.versions[version.digest].prompts
    changed = prompt.digest if table == "prompts" else version.digest
    unguard(desk, f"{table}_documents")
    if content is None:
        behind_the_back(desk, sa.text(f"DELETE FROM {table}_documents WHERE digest = '{changed}'"))
    else:
        behind_the_back(
            desk, sa.text(f"UPDATE {table}_documents SET content = '{content}' WHERE digest = '{changed}'")
        )
    issue, snapshot = desk.snapshot()
    assert set(snapshot.payload.versions) == {running.stable}
    assert [(reason.id, reason.have) for reason in issue.omitted] == [("unreadable", version.digest)]


def test_a_name_that_is_switched_off_is_gone_with_its_reason(desk, running):
    desk.do(service.kill, service.Place(project=PROJECT, environment="production", name="support"), "a drill")
    snapshot = desk.snapshot()[1]
    assert snapshot.routes == {}
    assert snapshot.payload.versions == {}
    assert "switched off" in snapshot.payload.gone["support"].reason
    assert snapshot.payload.gone["support"].cut is False


def test_a_kill_that_cuts_says_so_to_gateways(desk, running):
    place = service.Place(project=PROJECT, environment="production", name="support")
    desk.do(service.kill, place, "it leaks", cut=True)
    assert desk.snapshot()[1].payload.gone["support"].cut is True


def test_keys_go_to_gateways_only_and_sdks_learn_where_a_provider_is(desk, running):
    desk.do(identity.issue_key, PROJECT, "production", "the shop", ["support"], actor=SYSTEM)
    gateway, sdk = desk.snapshot()[1], desk.snapshot(audience="sdk")[1]
    assert [key.names for key in gateway.payload.keys] == [["support"]]
    assert sdk.payload.keys == []
    places = {name: (one.base_url, one.kind) for name, one in gateway.payload.providers.items()}
    assert {name: (one.base_url, one.kind) for name, one in sdk.payload.providers.items()} == places != {}
    assert any(one.api_key for one in gateway.payload.providers.values())
    assert not any(one.api_key for one in sdk.payload.providers.values())
    assert sdk.payload.versions == gateway.payload.versions


def test_a_fallback_that_nobody_admitted_is_left_out_and_reported(desk):
    hop = desk.register("2.9.0")
    version = desk.register("3.0.0", fallback=[hop.digest])
    desk.adopt("support@3.0.0")
    issue, snapshot = desk.snapshot()
    assert [(reason.id, reason.have) for reason in issue.omitted] == [("unadmitted", hop.digest)]
    assert "fallback of support@3.0.0" in issue.omitted[0].message
    assert set(snapshot.payload.versions) == {version.digest}


def test_limits_of_keys_go_to_gateways_only(desk, running):
    desk.do(identity.issue_key, PROJECT, "production", "the shop", ["support"], actor=SYSTEM)
    (key,) = desk.read(identity.list_keys, PROJECT)
    desk.do(identity.limit_key, PROJECT, key["id"], {"requests_per_minute": 60}, actor=SYSTEM)
    assert desk.snapshot()[1].payload.limits[key["id"]].requests_per_minute == 60
    assert desk.snapshot(audience="sdk")[1].payload.limits == {}


def test_prices_travel_where_a_key_has_a_budget_in_money(desk, running):
    desk.do(identity.issue_key, PROJECT, "production", "app", [], actor=SYSTEM)
    (key,) = desk.read(identity.list_keys, PROJECT)
    assert desk.snapshot()[1].payload.prices == {}
    budget = {"cost_per_day": "5", "currency": "EUR"}
    desk.do(identity.limit_key, PROJECT, key["id"], budget, actor=SYSTEM)
    assert desk.snapshot()[1].payload.prices == {}
    for subject in (running.subject, running.stable):
        model = desk.snapshot()[1].payload.versions[subject].document["upstream_model"]
        new = NewPrice(
            model=model, currency="EUR", input="2.5", output=10, source="https://acme.example/prices"
        )
        desk.do(providers.set_price, PROJECT, new, actor=SYSTEM)
    prices = desk.snapshot()[1].payload.prices
    assert set(prices) == {running.subject, running.stable}
    found = prices[running.subject]
    assert (found.currency, found.input, found.output) == ("EUR", "2.5", "10")
    assert found.as_of == desk.runtime.clock.now().date().isoformat()
    assert desk.snapshot(audience="sdk")[1].payload.prices == {}


def test_pins_leave_the_snapshot_and_what_is_live_when_their_time_is_over(desk):
    desk.adopt()
    rollout = desk.file(unit="conversation", pin_s=60)
    approve(desk, rollout)
    started = desk.act(service.start, rollout)
    desk.clock.advance(30)
    desk.act(service.abort, started, "no")
    issue, snapshot = desk.snapshot()
    pins = snapshot.payload.routes["support"]["pins"]
    assert [pin["variant"] for pin in pins] == ["stable", "ending"]
    assert started.subject in snapshot.payload.versions
    assert issue.renew_at == desk.clock.now() + timedelta(seconds=30)
    feed = service.Feed(desk.runtime)
    scope = service.Scope(PROJECT, "production", "gateway")
    first = feed.current(scope)
    desk.clock.advance(29)
    assert feed.current(scope) is first
    desk.clock.advance(1)
    assert feed.current(scope) is not first
    desk.clock.advance(30)
    issue, snapshot = desk.snapshot()
    assert "pins" not in snapshot.payload.routes["support"]
    assert (started.subject in snapshot.payload.versions, issue.renew_at) == (False, None)
    assert feed.current(scope).renew_at is None
    (live,) = desk.read(service.list_live, PROJECT, "production")
    assert live.route.digests == (started.stable,)


def test_a_provider_that_is_not_set_up_is_reported(desk):
    desk.register("3.0.0", provider="nobody")
    desk.adopt("support@3.0.0")
    issue, _ = desk.snapshot()
    assert [reason.id for reason in issue.omitted] == ["provider"]


def test_an_environment_with_nothing_in_it_has_an_empty_snapshot(desk):
    assert desk.snapshot("staging")[1].routes == {}
    with pytest.raises(NotFound):
        desk.snapshot("nowhere")


def test_every_changed_byte_of_an_envelope_is_refused(desk, running):
    envelope = desk.snapshot()[0].envelope
    fields = json.loads(envelope)
    for place in range(0, len(fields["payload"]), 97):
        payload = fields["payload"]
        other = "A" if payload[place] != "A" else "B"
        changed = {**fields, "payload": payload[:place] + other + payload[place + 1 :]}
        with pytest.raises(SnapshotRefused):
            desk.verified(json.dumps(changed).encode())


def test_the_feed_compiles_again_only_for_what_concerns_it(desk, running):
    feed = service.Feed(desk.runtime)
    scope = service.Scope(PROJECT, "production", "gateway")
    first = feed.current(scope)
    assert feed.current(scope) is first
    desk.do(identity.create_group, PROJECT, "oncall", actor=SYSTEM)
    assert feed.current(scope) is first
    desk.do(identity.issue_key, PROJECT, "production", "the shop", ["support"], actor=SYSTEM)
    second = feed.current(scope)
    assert second.serial > first.serial
    desk.do(identity.create_project, "elsewhere", "Elsewhere", actor=SYSTEM)
    assert feed.current(scope) is second


def test_the_feed_issues_anew_before_a_snapshot_expires(desk, running):
    feed = service.Feed(desk.runtime)
    scope = service.Scope(PROJECT, "production", "gateway")
    first = feed.current(scope)
    desk.clock.advance(desk.runtime.settings.snapshot_ttl_s / 2)
    second = feed.current(scope)
    assert second.expires_at > first.expires_at
    assert desk.verified(second.envelope).payload.expires_at == second.expires_at


def test_the_feed_reports_what_it_leaves_out(desk, running, caplog):
    behind_the_back(
        desk, sa.delete(store.tables.admissions).where(store.tables.admissions.c.subject == running.subject)
    )
    service.Feed(desk.runtime).current(service.Scope(PROJECT, "production", "gateway"))
    assert "left out of the snapshot" in caplog.text


def test_a_deprecated_prompt_is_told_by_itself_and_by_what_pins_it(desk):
    new = prompts.NewPrompt(project=PROJECT, name="greeting", content={"text": "Hello"})
    old, _ = desk.do(prompts.register, new)
    new = prompts.NewPrompt(project=PROJECT, name="greeting", content={"text": "Hello!"})
    desk.do(prompts.register, new)
    desk.adopt("greeting@1.0.0")
    version = desk.register("3.0.0", prompt=old.digest)
    desk.adopt("support@3.0.0")
    before = desk.snapshot()[1].payload.versions
    assert (before[old.digest].deprecation, before[version.digest].deprecated_prompts) == (None, [])
    at = desk.clock.now()
    desk.do(prompts.deprecate, old, "too short", "greeting@1.0.1")

    for audience in ("gateway", "sdk"):
        payload = desk.snapshot(audience=audience)[1].payload
        end = payload.versions[old.digest].deprecation
        assert (end.at, end.sunset_at, end.successor, end.is_retired) == (at, None, "greeting@1.0.1", False)
        (told,) = payload.versions[version.digest].deprecated_prompts
        assert (told.ref, told.at, told.successor) == ("greeting@1.0.0", at, "greeting@1.0.1")
        assert payload.versions[version.digest].deprecation is None


@pytest.mark.parametrize(
    ("successor", "remedy"),
    [("greeting@1.0.1", "Release greeting@1.0.1."), (None, "Release a version that stays.")],
)
def test_a_deprecated_prompt_is_not_released_again(desk, successor, remedy):
    for text in ("Hello", "Hello!"):
        new = prompts.NewPrompt(project=PROJECT, name="greeting", content={"text": text})
        desk.do(prompts.register, new)
    old = desk.read(prompts.get, PROJECT, "greeting", "1.0.0")
    desk.do(prompts.deprecate, old, "too short", successor)
    with pytest.raises(Refused) as refused:
        desk.file("greeting@1.0.0")
    (reason,) = refused.value.reasons
    assert (reason.id, reason.remedy) == ("version.deprecated", remedy)
    assert desk.events("delivery.rollout") == []


def test_gateways_are_told_before_applications_whoever_listened_first(desk, running, monkeypatch):
    monkeypatch.setattr(service.feed, "LOOK_ANYWAY_S", 5.0)  # only a change makes it look
    told, feed = queue.Queue(), service.Feed(desk.runtime)
    scopes = [service.Scope(PROJECT, "production", audience) for audience in ("sdk", "gateway")]
    ends = [feed.subscribe(scope, told.put) for scope in scopes]
    try:
        desk.act(service.roll_back, running, "slow")
        newest = [told.get(timeout=10).scope.audience for _ in scopes]
    finally:
        for end in ends:
            end()
    assert newest == ["gateway", "sdk"]
