"""Retirement over HTTP and the command line."""

import json
from datetime import timedelta

import pytest

from assent.identity import service as identity
from assent.ledger import replay
from assent.providers import service as providers
from assent.registry import service as registry
from assent_client.errors import Conflict, Forbidden, Invalid, NotFound, Refused
from tests.approvals.conftest import assent, furnished, served, shop  # noqa: F401 -- fixtures
from tests.approvals.shop import PLAN, PROJECT
from tests.retirement.traffic import called

DAY_S = 86_400


@pytest.fixture
def live(served):  # noqa: F811 -- pytest's way
    served.shop.adopt()
    return served


def later(live, days=30):
    """Let days go by; everybody signs in anew."""
    live.shop.clock.advance(days * DAY_S)
    live.shop.sign_in()
    for name in live.shop.people:
        live.tokens[name] = live.shop.do(name, _token)


def _token(tx):
    return identity.issue_token(tx, tx.actor.id, "for a later day", None)


def sunset(live, days=30):
    return (live.shop.clock.now() + timedelta(days=days)).isoformat()


def day(live, days):
    return f"{live.shop.clock.now() + timedelta(days=days):%Y-%m-%d}"


def path(api, *more, version="2.0.0"):
    return api.path("models", "support", version, *more)


def announce(live, who="ada", **changes):
    body = {"sunset_at": sunset(live), "successor": "support@2.1.0", "reason": "worse answers", **changes}
    with live.api(who) as api:
        return api.post(path(api, "deprecations"), body)


def test_an_end_is_announced_listed_and_taken_back(live):
    found = announce(live)
    assert (found["ref"], found["state"], found["successor"], found["reason"]) == (
        "support@2.0.0", "deprecated", "support@2.1.0", "worse answers",
    )  # fmt: skip
    assert (len(found["brownouts"]), found["waiver"], found["notices"]) == (2, None, [])
    with live.api("rita") as api:
        assert [one["id"] for one in api.pages(api.path("deprecations"))] == [found["id"]]
        with pytest.raises(Forbidden):
            api.post(path(api, "reinstatements"), {"reason": "no"})
    with live.api("bob") as api:
        taken = api.post(path(api, "reinstatements"), {"reason": "needed on"})
        assert (taken["state"], taken["ended_at"]) == ("undone", "2026-01-01T00:01:00Z")
        with pytest.raises(Conflict, match="is not deprecated"):
            api.post(path(api, "reinstatements"), {"reason": "again"})


@pytest.mark.parametrize(
    "changes",
    [
        {"sunset_at": "2020-01-01T00:00:00Z"},
        {"sunset_at": "2030-01-01T00:00:00"},
        {"reason": ""},
        {"reason": "x" * 2001},
        {"brownouts": [["2020-01-01T00:00:00Z", "2020-01-01T00:10:00Z"]]},
        {"colour": "red"},
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(live, changes):
    with pytest.raises(Invalid):
        announce(live, **changes)
    assert live.shop.version("2.0.0").status == "approved"


def test_who_may_not_deprecate_is_refused_and_what_is_not_there_not_found(live):
    with pytest.raises(Forbidden):
        announce(live, "rita")
    with pytest.raises(NotFound):
        announce(live, successor="support@9.9.9")


def test_a_version_that_an_application_still_calls_is_not_retired_until_it_is_waived(live):
    announce(live)
    later(live)
    version = live.shop.version("2.0.0")
    called(live.shop, version, "key_app", "key_app", "key_other")
    with live.api("ada") as api:
        with pytest.raises(Refused) as refused:
            api.post(path(api, "retirements"), {"reason": "over"})
        reasons = {one.id: one for one in refused.value.reasons if one.id != "calling"}
        calling = [one for one in refused.value.reasons if one.id == "calling"]
        assert set(reasons) == {"live"}
        assert [one.message for one in calling] == [
            "The application key_app called it 2 times lately.",
            "The application key_other called it once lately.",
        ]
        assert {one.remedy for one in calling} == {"Move it to support@2.1.0."}
        assert live.shop.version("2.0.0").status == "deprecated"
    with live.api("rita") as api:
        waived = api.post(
            path(api, "waivers"), {"kind": "unreachable", "expires_at": sunset(live), "reason": "gone"}
        )
        assert waived["waiver"]["kind"] == "unreachable"
    with live.api("ada") as api:
        retired = api.post(path(api, "retirements"), {"reason": "over"})
        assert retired["state"] == "retired"
        assert api.get(path(api, "dependents")) == {
            "ref": "support@2.0.0",
            "declared": [],
            "serving": ["production/support"],
            "calls": [
                {"day": day(live, 0), "application": "key_app", "name": None, "n_calls": 2},
                {"day": day(live, 0), "application": "key_other", "name": None, "n_calls": 1},
            ],
        }


def test_who_deprecated_does_not_waive_though_they_may_waive_elsewhere(live):
    announce(live, "root")
    body = {"kind": "unreachable", "expires_at": sunset(live), "reason": "gone"}
    with live.api("root") as api, pytest.raises(Refused, match="does not waive"):
        api.post(path(api, "waivers"), body)
    with live.api("ada") as api, pytest.raises(Forbidden):
        api.post(path(api, "waivers"), body)
    with live.api("rita") as api, pytest.raises(Invalid):
        api.post(path(api, "waivers"), {**body, "kind": "lazy"})


@pytest.mark.parametrize("ends", ["deprecated", "retired"])
def test_a_version_that_ends_is_not_released_again_and_the_successor_is_the_remedy(live, ends):
    live.shop.register("2.2.0")
    body = {"sunset_at": sunset(live), "successor": "support@2.2.0", "reason": "slow"}
    with live.api("ada") as api:
        api.post(path(api, "deprecations", version="2.1.0"), body)
    if ends == "retired":
        later(live)
    with live.api("ada") as api:
        if ends == "retired":
            api.post(path(api, "retirements", version="2.1.0"), {"reason": "over"})
        with pytest.raises(Refused) as refused:
            api.post(
                api.path("rollouts"), {"subject": "support@2.1.0", "environment": "production", "plan": PLAN}
            )
    (reason,) = refused.value.reasons
    assert (reason.id, reason.remedy) == (f"version.{ends}", "Release support@2.2.0.")
    assert ends in reason.message


def test_touched_versions_are_filtered_and_paged(live):
    for number, owner in (("2.2.0", "ada"), ("2.3.0", "bob"), ("2.4.0", "ada")):
        live.shop.register(number, owner=owner)
    ends_on = (live.shop.clock.now() + timedelta(days=80)).date()
    live.shop.do("root", providers.date_base_model, "own-7b", ends_on, "https://example.com/ends")

    def refs(**asked):
        with live.api("rita") as api:
            found = api.pages(api.path("base-models", "touched"), within_days=90, **asked)
            return [one["ref"].removeprefix("support@") for one in found]

    assert refs() == refs(limit=2) == ["2.0.0", "2.1.0", "2.2.0", "2.3.0", "2.4.0"]
    assert refs(live=True) == ["2.0.0"]
    assert refs(live=False, limit=3) == ["2.1.0", "2.2.0", "2.3.0", "2.4.0"]
    assert refs(filter="owner = ada", limit=1) == ["2.2.0", "2.4.0"]
    with pytest.raises(Invalid, match="character"), live.api("rita") as api:
        api.get(api.path("base-models", "touched"), filter="owner = (")
    with pytest.raises(Invalid), live.api("rita") as api:
        api.get(api.path("base-models", "touched"), within_days=-1)


def test_applications_are_told_by_the_name_of_their_key(live, assent):  # noqa: F811 -- pytest's way
    live.shop.do("root", lambda tx: identity.issue_key(tx, PROJECT, "production", "shop window", ["support"]))
    ((key, _),) = live.shop.read(identity.key_names, PROJECT).items()
    called(live.shop, live.shop.version("2.0.0"), key)
    with live.api("rita") as api:
        (row,) = api.get(path(api, "dependents"))["calls"]
    assert (row["application"], row["name"]) == (key, "shop window")
    assert f"shop window ({key})  1 call\n" in assent("rita", "model", "dependents", "support@2.0.0")[1]
    announce(live, "ada")
    later(live, 31)
    called(live.shop, live.shop.version("2.0.0"), key)
    with live.api("ada") as api, pytest.raises(Refused, match="cannot be retired") as refused:
        api.post(path(api, "retirements"), {"reason": "over"})
    (calling,) = [one.message for one in refused.value.reasons if one.id == "calling"]
    assert calling == f"The application shop window ({key}) called it once lately."


def test_from_announcement_to_retirement_on_the_command_line(live, assent):  # noqa: F811 -- pytest's way
    base = ("model", "deprecate", "support@2.0.0", "--sunset", day(live, 30), "-r", "worse answers")
    assert assent("rita", *base)[0] == 12
    code, out, err = assent("ada", *base, "--successor", "support@2.1.0", "--no-brownouts", "--json")
    assert (code, json.loads(out)["brownouts"]) == (0, []), err
    code, out, _ = assent("rita", "model", "deprecations")
    assert (code, "support@2.0.0" in out, "support@2.1.0" in out) == (0, True, True)
    assert assent("ada", "model", "undeprecate", "support@2.0.0", "-r", "needed on")[0] == 0
    assert assent("ada", *base)[0] == 0
    called(live.shop, live.shop.version("2.0.0"), "key_app")
    code, out, _ = assent("rita", "model", "dependents", "support@2.0.0")
    assert (code, "Serving it: production/support" in out, "key_app  1 call\n" in out) == (0, True, True)
    assert "Built from it: nothing" in out
    assert "Calling it lately: nobody" in assent("rita", "model", "dependents", "support@2.1.0")[1]
    retire = ("model", "retire", "support@2.0.0", "-r", "nobody needs it", "--yes")
    later(live, 31)
    code, _, err = assent("ada", *retire)
    assert (code, "production/support serves it" in err, "Release its successor" in err) == (16, True, True)
    waive = ("model", "waive", "support@2.0.0", "--kind", "accepts_outage", "--until", day(live, 20))
    assert assent("rita", *waive, "-r", "the pilot ends")[0] == 0
    code, out, _ = assent("ada", *retire, "--json")
    assert (code, json.loads(out)["state"]) == (0, "retired")


def test_the_providers_calendar_and_who_it_touches_on_the_command_line(live, assent):  # noqa: F811 -- pytest's way
    said = ("provider", "end", "own-7b", "--on", day(live, 80), "--source", "https://example.com/ends")
    assert assent("root", *said)[0] == 0
    code, out, _ = assent("ada", "provider", "calendar")
    assert (code, "own-7b" in out, "https://example.com/ends" in out) == (0, True, True)
    code, out, _ = assent("ada", "provider", "touched", "--within", "90d", "--live", "--json")
    assert (code, [one["ref"] for one in json.loads(out)]) == (0, ["support@2.0.0"])
    code, out, _ = assent("ada", "provider", "touched", "--filter", "version = 2.1.0", "--json")
    assert (code, [one["ref"] for one in json.loads(out)]) == (0, ["support@2.1.0"])
    assert "No version's base model ends" in "".join(
        assent("ada", "provider", "touched", "--within", "1d")[1:]
    )
    assert assent("ada", "provider", "touched", "--within", "soon")[0] == 10


def test_a_replay_of_the_ledger_gives_the_same_endings(live):
    announce(live)
    with live.api("bob") as api:
        api.post(path(api, "reinstatements"), {"reason": "needed on"})
    announce(live)
    with live.api("rita") as api:
        body = {"kind": "moves_later", "expires_at": sunset(live, 60), "reason": "soon"}
        api.post(path(api, "waivers"), body)
    later(live)
    with live.api("ada") as api:
        api.post(path(api, "retirements"), {"reason": "over"})
    with live.shop.desk.read() as reader:
        found = replay.check(reader)
    assert found.equal, found.differences
    assert live.shop.read(registry.get, "shop", "support", "2.0.0").status == "retired"
