"""Keys of applications: what they used beside their limits, limits by form, and revocation with its consequence."""

import json
from datetime import timedelta
from decimal import Decimal

import msgspec

from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from assent.monitoring import service as monitoring
from assent.monitoring.store import reading
from assent.providers import service as providers
from assent.registry import service as registry
from assent_client.cli.main import main
from tests.approvals.shop import PROJECT
from tests.browser.chromium import serving
from tests.console.shop import HERE, words_of

KEYS = f"/projects/{PROJECT}/keys"


def issued(console, name="web-shop"):
    console.do("root", identity.issue_key, PROJECT, "production", name, ["support"])
    return next(key["id"] for key in console.read(identity.list_keys, PROJECT) if key["name"] == name)


def used(console, rollout, key, n, *, back=timedelta(), **changes):
    """Let an application make calls of 10 and 5 tokens, some time ago."""
    rows = []
    for _ in range(n):
        console.n += 1
        call, _ = console.called(rollout, canary=False, down=False)
        rows.append(msgspec.structs.replace(call, application=key, at=call.at - back, **changes))
    envelope = {"batch": f"used{console.n}", "instance": "gateway", "project": PROJECT, "n_dropped": 0}
    body = msgspec.json.encode({**envelope, "observations": rows})
    console.do(SYSTEM, lambda tx: monitoring.take(tx, monitoring.parse(body, tx.now()), body))


def priced(console, rollout):
    model = console.read(registry.find_by_digest, PROJECT, rollout.stable).document["upstream_model"]
    price = providers.NewPrice(
        model=model,
        currency="USD",
        input=Decimal(1000),
        output=Decimal(2000),
        source="https://prices.example/",
    )
    console.do(SYSTEM, providers.set_price, PROJECT, price)


def test_a_key_shows_what_it_used_of_its_budget_by_day_and_month(console):
    rollout = console.running()
    key, other = issued(console), issued(console, "<b>batch</b>")
    console.clock.advance(5 * 86_400)
    priced(console, rollout)
    used(console, rollout, key, 3)
    used(console, rollout, key, 2, back=timedelta(days=2))
    used(console, rollout, key, 1, tokens_in=None, tokens_out=None)
    used(console, rollout, key, 2, tokens_in=None, tokens_out=None, status=400, error_class="upstream_400")
    used(console, rollout, key, 9, variant="shadow", reason="shadow")  # mirrored: on nobody's account
    limits = {"tokens_per_day": 90, "cost_per_day": "0.10", "cost_per_month": "1", "currency": "USD"}
    console.do("root", identity.limit_key, PROJECT, key, limits)
    browser = console.signed_in("root")

    page = browser.get(f"{KEYS}/{key}")
    words = words_of(page)
    assert "Tokens a day: 45 of 90, 50 %" in words
    assert "Money a day: 0.06 USD of 0.1 USD, 60 %" in words
    assert "Money a month: 0.1 USD of 1 USD, 10 %" in words
    assert "Calls 6 8 Tokens in 30 50 Tokens out 15 25 Cost 0.06 USD 0.1 USD" in words
    assert "What 1 of these calls cost is not known" in words
    assert f"{console.read(registry.find_by_digest, PROJECT, rollout.stable).ref} 8 75 0.1 USD" in words

    listed = browser.get(KEYS)
    assert (
        "web-shop production: support 6 calls, 45 tokens, 0.06 USD 8 calls, 75 tokens, 0.1 USD "
        "Tokens a day: 90 Money a day: 0.1 USD Money a month: 1 USD" in words_of(listed)
    )
    assert "&lt;b&gt;batch" in listed.text
    assert "no calls no calls" in words_of(listed)
    assert "Used" in words_of(browser.get(f"{KEYS}/{other}"))
    assert browser.get(f"{KEYS}/key_none").status_code == 404

    console.clock.advance(30 * 86_400)  # the next month
    assert "Money a month: 0 USD of 1 USD, 0 %" in words_of(console.signed_in("root").get(f"{KEYS}/{key}"))
    console.clock.advance(92 * 86_400)
    console.do(SYSTEM, monitoring.prune)
    assert console.read(lambda reader: reading.usage_since(reader.conn, PROJECT, 0)) == []


def test_limits_are_set_by_form_with_every_mistake_named(console):
    key = issued(console)
    browser = console.signed_in("root")
    address = f"{KEYS}/{key}/limits"

    def send(**typed):
        return browser.submit(browser.get(f"{KEYS}/{key}"), address, **typed)

    wrong = send(requests_per_minute="many", cost_per_day="-1")
    words = words_of(wrong)
    assert wrong.status_code == 422
    assert "requests_per_minute must be 1 to" in words
    assert "cost_per_day must be an amount" in words
    assert "A budget needs its currency" in words
    assert 'value="many"' in wrong.text
    assert send(requests_per_minute="1,200", cost_per_day="50", currency="EUR").status_code == 303
    held = console.read(identity.key_limits, [key])[key]
    assert held == {"requests_per_minute": 1200, "cost_per_day": "50", "currency": "EUR"}
    assert 'value="1200"' in browser.get(f"{KEYS}/{key}").text
    assert send().status_code == 303
    assert not console.read(identity.key_limits, [key]).get(key)


def test_revoking_names_its_consequence_and_is_for_good(console):
    key = issued(console)
    browser = console.signed_in("root")
    address = f"{KEYS}/{key}/revocation"
    asked = browser.get(address)
    words = words_of(asked)
    assert "Gateways of production refuse every call with it by 401" in words
    assert "the application needs a new key" in words
    assert 'name="reason"' not in asked.text
    assert browser.submit(asked, address).status_code == 303
    page = browser.get(f"{KEYS}/{key}")
    assert "Revoked" in words_of(page)
    assert "Set the limits" not in page.text
    late = browser.post(f"{KEYS}/{key}/limits", data=browser.fields(asked, address), headers={"origin": HERE})
    assert (late.status_code, "is revoked" in words_of(late)) == (409, True)


def test_who_may_only_look_is_told_what_is_lacking_and_refused(console):
    key = issued(console)
    admin, browser = console.signed_in("root"), console.signed_in("otto")
    words = words_of(browser.get(f"{KEYS}/{key}"))
    assert "You cannot set them: You do not hold the permission identity.key.issue" in words
    assert "You cannot revoke it: You do not hold the permission identity.key.revoke" in words
    asked = browser.get(f"{KEYS}/{key}/revocation")
    for path in ("limits", "revocation"):
        token = browser.fields(asked, f"{KEYS}/{key}/revocation")
        answer = browser.post(
            f"{KEYS}/{key}/{path}", data={**token, "tokens_per_day": "1"}, headers={"origin": HERE}
        )
        assert answer.status_code == 403
    assert "In force" in words_of(admin.get(f"{KEYS}/{key}"))
    assert console.signed_in("rita").get(KEYS).status_code == 403


def test_usage_is_printed_beside_the_limits(console, monkeypatch, capsys):
    rollout = console.running()
    key = issued(console)
    used(console, rollout, key, 2)
    console.browser()
    with serving(console.app) as address:
        token = console.do("root", identity.issue_token, console.people["root"].id, "cli", None)
        for name, value in (("URL", address), ("TOKEN", token), ("PROJECT", PROJECT)):
            monkeypatch.setenv(f"ASSENT_{name}", value)
        assert main(["key", "usage", key, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert main(["key", "usage", key]) == 0
        assert main(["key", "usage", "key_none"]) == 13
    assert found["day"] == {"n_calls": 2, "tokens_in": 20, "tokens_out": 10, "cost": {}, "n_cost_unknown": 2}
    assert found["month"] == found["day"]
    assert [one["n_calls"] for one in found["versions"]] == [2]
    assert "No limits." in capsys.readouterr().out
