"""Flags over HTTP: what each route answers, and to whom."""

import pytest

from assent_client.errors import Forbidden, Invalid, NotFound, Stale

STAGING = ("environments", "staging")


def made(api, name="new-search", environment="staging", **document):
    body = {"name": name, "document": document, "reason": "to try it"}
    return api.post(api.path("environments", environment, "flags"), body)


def test_a_flag_is_made_changed_looked_at_and_taken_away(served):
    api = served.api()
    assert made(api, split={"on": 0.05})["shares"] == {"on": 0.05, "off": 0.95}
    flag = api.path(*STAGING, "flags", "new-search")
    grown = api.patch(flag, {"document": {"split": {"on": 0.2}}})
    assert (grown["generation"], grown["shares"]["on"], grown["proposal"]) == (2, 0.2, None)
    assert [one["name"] for one in api.get(api.path(*STAGING, "flags"))["items"]] == ["new-search"]
    off = api.post(f"{flag}/switch-offs", {"reason": "it is slow"}, if_match="2")
    assert (off["enabled"], off["generation"]) == (False, 3)
    assert api.post(f"{flag}/switch-ons", {})["enabled"]
    assert api.post(f"{flag}/restorations", {"generation": 1})["shares"]["on"] == 0.05
    past = api.get(f"{flag}/history", limit=2)
    assert [(one["generation"], one["how"]) for one in past["items"]] == [(5, "restore"), (4, "on")]
    assert [one["reason"] for one in api.get(f"{flag}/history", cursor=past["next"])["items"]] == [
        "it is slow", None, "to try it"]  # fmt: skip
    api.post(f"{flag}/switch-offs", {"reason": "done"})
    api.post(f"{flag}/archivings", {"reason": "done"})
    with pytest.raises(NotFound):
        api.get(flag)


def test_two_people_and_the_generation_that_was_seen(served):
    api = served.api()
    waits = made(api, environment="production", split={"on": 0.1})["proposal"]
    assert (waits["reason"], waits["how"], waits["proposed_by"]) == ("to try it", "create", "ada")
    flag = api.path("environments", "production", "flags", "new-search")
    olga = served.api("olga")
    assert olga.post(f"{flag}/confirmations", {"digest": waits["digest"]})["enabled"]
    with pytest.raises(Stale):
        olga.post(f"{flag}/switch-offs", {"reason": "slow"}, if_match="1")
    api.patch(flag, {"document": {"split": {"on": 0.9}}, "reason": "more"})
    assert api.post(f"{flag}/withdrawals")["proposal"] is None


def test_who_may_do_what(served):
    made(served.api())
    flag = served.api().path(*STAGING, "flags", "new-search")
    assert served.api("auditor").get(flag)["name"] == "new-search"
    for who, verb in (("auditor", "switch-offs"), ("rita", "switch-ons"), ("application", "switch-offs")):
        with pytest.raises(Forbidden):
            served.api(who).post(f"{flag}/{verb}", {"reason": "x"})
    with pytest.raises(Forbidden):
        served.api("application").get(flag)
    with pytest.raises(Forbidden):
        served.api("ada").post(f"{flag}/confirmations", {"digest": "x"})


def test_why_and_who_over_http(served):
    api = served.api()
    rules = [
        {
            "id": "acme",
            "when": [{"attribute": "organisation", "op": "in", "value": ["acme"]}],
            "variant": "on",
        }
    ]
    made(api, rules=rules)
    flag = api.path(*STAGING, "flags", "new-search")
    why = api.post(f"{flag}/explanations", {"unit": "u", "context": {"organisation": "acme"}})
    assert (why["variant"], why["rule"], why["steps"][0]["holds"]) == ("on", "acme", True)
    contexts = [{"unit": "u", "context": {"organisation": name}} for name in ("acme", "zeta")]
    found = api.post(f"{flag}/previews", {"contexts": contexts})
    assert (found["counts"], found["counts_then"]) == ({"on": 1, "off": 1}, None)
    then = api.post(f"{flag}/previews", {"contexts": contexts, "document": {"rules": [], "split": "on"}})
    assert (then["n_changed"], then["lines"][1]["then"]["variant"]) == (1, "on")
    with pytest.raises(Invalid):
        api.post(f"{flag}/previews", {"contexts": contexts, "document": {"split": "gone"}})


def test_segments_and_reports_over_http(served):
    api = served.api()
    segment = api.path(*STAGING, "segments", "beta")
    document = {"any": [[{"attribute": "organisation", "op": "in", "value": ["acme"]}]]}
    assert api.put(segment, {"document": document, "reason": "friends"})["generation"] == 1
    assert api.get(segment)["document"]["any"] == document["any"]
    assert len(api.get(api.path(*STAGING, "segments"))["items"]) == 1
    assert api.get(f"{segment}/history")["items"][0]["reason"] == "friends"
    made(api, split="on")
    served.flags.desk.clock.advance(25 * 86_400)
    stale = api.get(api.path(*STAGING, "stale-flags"), days=20)["items"]
    assert [reason["id"] for reason in stale[0]["reasons"]] == ["unseen", "one_variant"]
    assert api.get(api.path(*STAGING, "flagd"))["flags"]["flags"]["new-search"]["defaultVariant"] == "on"
