"""Kinds, addresses, states, words and times of notifications."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.installation import PROJECTIONS
from assent.kernel.errors import Conflict, Invalid
from assent.kernel.tx import Projector
from assent.notifications.domain.messages import ABOUT, Heard, body, email, headline, link, ping, slack
from assent.notifications.domain.retries import (
    MAX_TRIES,
    Outcome,
    delay_s,
    is_hopeless,
    rest,
    retry_after_s,
)
from assent.notifications.domain.subscriptions import (
    DEFAULT_KINDS,
    Channel,
    State,
    Subscription,
    checked_addresses,
    checked_kinds,
    expect_state,
    fits,
    shortened,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = {type_ for type_, _ in Projector(PROJECTIONS).known}
BASE = "https://assent.example"
DIGEST = "sha256:" + "a" * 64


def heard(type_="identity.group.created", **fields):
    return Heard(type_, "2026-03-03T09:00:00.000000Z", "shop", 41, "evt_1", fields)


def subscription(**changed):
    made = Subscription(
        id="sub_1", project="shop", name="oncall", kinds=("identity.*",), channel=Channel.WEBHOOK,
        target="https://x", state=State.ENABLED, because=None, added_at=NOW, added_by="usr_1", changed_at=NOW,
    )  # fmt: skip
    return replace(made, **changed)


def test_every_default_kind_names_events_that_there_are():
    assert [kind for kind in DEFAULT_KINDS if not any(fits(kind, one) for one in TYPES)] == []


@pytest.mark.parametrize(
    "type_",
    [
        "retirement.version.deprecated", "retirement.notice.given", "retirement.base_model.neared",
        "approvals.request.submitted", "approvals.decision.made", "monitoring.incident.opened",
        "delivery.rollout.rolled_back", "approvals.break_glass.opened",
    ],
)  # fmt: skip
def test_default_tells_owners_reviewers_requesters_and_on_call(type_):
    assert type_ in TYPES
    assert any(fits(kind, type_) for kind in DEFAULT_KINDS)


def test_default_is_spelt_out_beside_other_kinds_and_nothing_is_named_twice():
    kinds = checked_kinds(["identity.*", "default", "identity.*", "retirement.*"], TYPES)
    assert kinds == ("identity.*", *DEFAULT_KINDS)
    assert shortened(kinds) == ("default", "identity.*")
    assert shortened(DEFAULT_KINDS[1:]) == DEFAULT_KINDS[1:]


@pytest.mark.parametrize(
    ("kind", "type_", "is_meant"),
    [
        ("identity.*", "identity.group.created", True),
        ("identity.group.*", "identity.group.created", True),
        ("identity.group.created", "identity.group.created", True),
        ("*", "identity.group.created", True),
        ("identity.group.*", "identity.groups.created", False),
        ("identity.group.created", "identity.group.created_at", False),
        ("delivery.*", "identity.group.created", False),
    ],
)
def test_a_kind_is_exact_or_a_prefix_that_ends_at_a_dot(kind, type_, is_meant):
    assert fits(kind, type_) is is_meant
    assert subscription(kinds=(kind,)).hears(type_) is is_meant


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        ([], "No kind"),
        (["identity.group.make"], "No event is called"),
        (["nothing.*"], "No event is called"),
        (["identity*"], "not a prefix"),
        (["identity.gr*"], "not a prefix"),
        (["*.created"], "not a prefix"),
        (["identity.*.created"], "not a prefix"),
        (["a.b.*", "c.*"], "No event is called 'a.b.\\*'. No event is called 'c.\\*'"),
        (sorted(TYPES)[:51], "51 kinds"),
    ],
)
def test_kinds_that_name_nothing_are_refused_with_every_mistake(kinds, words):
    with pytest.raises(Invalid, match=words) as refusal:
        checked_kinds(kinds, TYPES)
    assert refusal.value.remedy


@pytest.mark.parametrize(
    "address", ["ada@example.com", "a.b+c@x-y.example.org", "o'neil@example.com", "a@localhost"]
)
def test_addresses_are_taken(address):
    assert checked_addresses([address, f" {address} "]) == (address,)


@pytest.mark.parametrize(
    "address",
    [
        "ada", "@example.com", "ada@", "a b@example.com", "ada@example.com\r\nBcc: eve@example.com", "ada@ex ample",
        "<ada@example.com>", "ada@example.com,eve@example.com", "ada@-example.com", ".a@example.com", "a..b@example.com",
        "\u00e4@example.com", "ada@example.com\n", "ada@[127.0.0.1]", "a" * 250 + "@example.com", "", '"a b"@example.com',
    ],
)  # fmt: skip
def test_what_is_no_address_or_could_end_a_header_is_refused(address):
    if address == "ada@example.com\n":  # white space around an address says nothing
        assert checked_addresses([address]) == ("ada@example.com",)
        return
    with pytest.raises(Invalid, match="not an e-mail address"):
        checked_addresses([address])


@pytest.mark.parametrize("n", [0, 21])
def test_there_are_one_to_twenty_addresses(n):
    with pytest.raises(Invalid, match=f"There are {n}"):
        checked_addresses([f"a{i}@example.com" for i in range(n)])


def test_a_state_that_does_not_fit_is_refused_with_what_to_do():
    with pytest.raises(Conflict, match="oncall is paused") as refusal:
        expect_state(subscription(state=State.PAUSED), State.ENABLED)
    assert "resume" in refusal.value.remedy
    with pytest.raises(Conflict) as refusal:
        expect_state(subscription(), State.PAUSED)
    assert refusal.value.remedy is None
    expect_state(subscription(), State.ENABLED)


def test_delays_grow_fourfold_up_to_half_a_day_with_jitter():
    assert [delay_s(n, 0.5) for n in (1, 2, 3, 8, 9, 500)] == [5, 20, 80, 43_200, 43_200, 43_200]
    assert (delay_s(1, 0.0), round(delay_s(1, 0.999999), 3)) == (4.0, 6.0)


@given(st.integers(1, 1000), st.floats(0, 0.999))
def test_a_delay_stays_within_its_jitter(n, chance):
    assert 0.8 * delay_s(n, 0.5) <= delay_s(n, chance) <= 1.2 * delay_s(n, 0.5)


def test_retry_after_is_never_undercut():
    busy = Outcome(ok=False, status=429, retry_after_s=900.0)
    found = rest(busy, 1, 1, NOW, 0.5)
    assert found.due_at == found.receiver_at == NOW + timedelta(seconds=900)


def test_only_a_receiver_that_is_down_is_left_alone_as_a_whole():
    assert rest(Outcome(ok=False, status=500), 1, 1, NOW, 0.5).receiver_at is None
    assert rest(Outcome(ok=False, status=None), 1, 1, NOW, 0.5).receiver_at == NOW + timedelta(seconds=5)
    assert rest(Outcome(ok=False, status=503), 1, 9, NOW, 0.5).receiver_at == NOW + timedelta(seconds=300)
    assert not Outcome(ok=True, status=200).is_down


def test_the_tenth_failure_is_the_last_and_gone_is_final():
    failed = Outcome(ok=False, status=500)
    assert rest(failed, MAX_TRIES - 1, 1, NOW, 0.5).due_at is not None
    assert rest(failed, MAX_TRIES, 1, NOW, 0.5).due_at is None
    assert rest(Outcome(ok=False, status=410), 1, 1, NOW, 0.5).due_at is None


def test_a_subscription_is_given_up_when_gone_or_after_three_days():
    failed = Outcome(ok=False, status=500)
    assert is_hopeless(Outcome(ok=False, status=410), NOW, NOW) == "gone"
    assert is_hopeless(failed, NOW, NOW + timedelta(days=3)) == "failing"
    assert is_hopeless(failed, NOW, NOW + timedelta(days=2.9)) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0), (" 30 ", 30.0), ("999999999999999999", 86_400.0), ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0), ("Thu, 01 Jan 2099 00:00:00 GMT", 86_400.0),
        ("Thu, 01 Jan 2026 00:01:00", None), ("soon", None), ("-1", None), ("", None), (None, None), ("\u0663", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_within_a_day(header, seconds):
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (heard("delivery.rollout.started", rollout="ro_1", request="rq_1"), "/projects/shop/rollouts/ro_1"),
        (heard("approvals.request.submitted", request="rq_1"), "/projects/shop/requests/rq_1"),
        (
            heard("retirement.notice.given", name="support", number="2.0.0"),
            "/projects/shop/versions/support/2.0.0",
        ),
        (
            heard("registry.version.registered", name="support", number="2.0.0"),
            "/projects/shop/versions/support/2.0.0",
        ),
        (
            heard("prompts.version.registered", name="greet", number="2.0.0"),
            "/projects/shop/ledger?before=42",
        ),
        (heard("identity.group.created", name="x"), "/projects/shop/ledger?before=42"),
        (
            heard("delivery.rollout.started", rollout="../../x?y=1"),
            "/projects/shop/rollouts/..%2F..%2Fx%3Fy%3D1",
        ),
        (ping("shop", "oncall", "2026-03-03T09:00:00.000000Z"), "/projects/shop/notifications"),
    ],
)
def test_the_link_leads_to_where_it_is_decided(event, path):
    assert link(event, BASE) == BASE + path


def test_a_body_tells_identifiers_and_figures_and_no_text_of_people():
    event = heard(
        "monitoring.incident.opened", incident="inc_1", subject=DIGEST, guard="errors", summary="Ada broke it",
        note="sha256:1", voter="usr_1", owners=["ada@example.com"], secret="s", reason="because", rollout="ro_1",
        versions=["a@1"] * 300,
    )  # fmt: skip
    told = body(event, BASE)
    assert told["data"] == {
        "project": "shop", "leaf": 41, "event": "evt_1", "subject": DIGEST,
        "about": {"guard": "errors", "rollout": "ro_1", "incident": "inc_1", "versions": ["a@1"] * 200},
        "link": f"{BASE}/projects/shop/incidents/inc_1",
    }  # fmt: skip
    assert body(heard(subject=7), BASE)["data"]["subject"] is None


@pytest.mark.parametrize(
    ("kind", "fields", "path"),
    [
        ("delivery.rollout.promoted", {"rollout": "ro_1"}, "rollouts/ro_1"),
        ("approvals.request.submitted", {"request": "req_1"}, "requests/req_1"),
        ("registry.version.registered", {"name": "a b", "number": "1.0.0"}, "versions/a%20b/1.0.0"),
        ("monitoring.alert.fired", {"name": "slow"}, "alerts"),
        ("identity.group.created", {"name": "risk"}, "ledger?before=42"),
    ],
)
def test_each_event_leads_to_the_page_that_shows_it(kind, fields, path):
    assert body(heard(kind, **fields), BASE)["data"]["link"] == f"{BASE}/projects/shop/{path}"


def test_what_is_told_of_events_is_in_no_way_personal():
    personal = {
        "person",
        "voter",
        "requester",
        "contributors",
        "actor",
        "owner",
        "owners",
        "by",
        "note",
        "comment",
    }
    assert not personal & set(ABOUT)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            heard("delivery.rollout.rolled_back", name="support", environment="production"),
            "rollout rolled back: support in production",
        ),
        (
            heard("approvals.request.submitted", ref="support@2.1.0", name="support"),
            "request submitted: support@2.1.0",
        ),
        (heard("retirement.notice.given", name="support", number="2.0.0"), "notice given: support@2.0.0"),
        (heard("retirement.base_model.neared", base_model="gpt-5"), "base model neared: gpt-5"),
        (heard("identity.change.asked", group="risk"), "change asked: risk"),
        (heard("identity.project.created"), "project created"),
        (
            heard("identity.group.created", name="a\r\nBcc: eve@example.com\x00\u202e"),
            "group created: a Bcc: eve@example.com",
        ),
        (heard("identity.group.created", name=["a"]), "group created"),
        (ping("shop", "oncall", "x"), "test of the subscription oncall"),
    ],
)
def test_a_headline_is_one_line(event, words):
    assert headline(event) == words


def test_slack_gets_text_and_blocks_whose_markup_is_ours_alone():
    told = slack(heard(name="<!channel> & co", automatic=True, days=7), BASE)
    assert told["text"] == "[shop] group created: &lt;!channel&gt; &amp; co"
    (block,) = told["blocks"]
    assert "automatic: yes\ndays: 7" in block["text"]["text"]
    assert "<!channel>" not in block["text"]["text"]
    assert block["text"]["text"].endswith(f"<{BASE}/projects/shop/ledger?before=42|Look at it in Assent>")
    long = slack(heard(versions=["v" * 190] * 200, automatic=False), BASE)
    assert len(long["blocks"][0]["text"]["text"]) < 3000


def test_an_e_mail_says_what_and_where_and_that_it_is_decided_there():
    subject, text = email(heard("approvals.request.submitted", ref="support@2.1.0", request="rq_1"), BASE)
    assert subject == "[Assent shop] request submitted: support@2.1.0"
    assert "Look at it, and decide there:\nhttps://assent.example/projects/shop/requests/rq_1" in text
    assert "time: 2026-03-03 09:00:00 UTC" in text


@given(
    st.dictionaries(
        st.sampled_from(ABOUT), st.text() | st.lists(st.text(), max_size=3) | st.integers() | st.booleans()
    )
)
def test_no_field_ends_a_header_or_a_line(fields):
    subject, text = email(heard(**fields), BASE)
    assert subject.isascii()
    assert subject.isprintable()
    n_told = sum(value is not None for value in fields.values())
    assert text.split("\n\n")[1].count("\n") == n_told + 1 or not text.split("\n\n")[1]
