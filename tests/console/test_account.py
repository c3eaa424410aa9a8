"""The account page and signing in by password; and forms that are sent without their proof."""

import html
import re

import pyotp
import pytest

from assent.identity import service as identity
from tests.console.shop import HERE, words_of

PASSWORD = "correct horse battery"


def set_up(console, name="rita"):
    """Set password and authenticator as a person would; gives the browser and the authenticator."""
    browser = console.signed_in(name)
    answer = browser.submit(browser.get("/account"), "/account/password", password=PASSWORD, again=PASSWORD)
    assert answer.status_code == 303, answer.text
    assert browser.submit(browser.get("/account"), "/account/totp").status_code == 303
    page = browser.get("/account")
    assert "<svg" in page.text
    totp = pyotp.TOTP(re.search(r"Secret: <code>(\w+)</code>", page.text)[1])
    done = browser.submit(page, "/account/totp/confirmation", totp=totp.at(console.clock.now()))
    assert done.status_code == 200
    codes = re.search(r"<pre><code>([A-Z2-7\n-]+)</code></pre>", done.text)[1].split()
    assert len(codes) == 10
    assert codes[0] not in browser.get("/account").text
    console.clock.advance(30)
    return browser, totp, codes


def test_a_password_and_a_code_sign_in_on_the_page(console):
    _, totp, codes = set_up(console)
    for code in (totp.at(console.clock.now()), codes[0].lower()):
        browser = console.browser()
        page = browser.get("/sign-in?next=/account")
        answer = browser.submit(page, "/sign-in", name="rita", password=PASSWORD, totp=code)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        assert "Sign in again" not in browser.get("/account").text
        again = console.browser()
        refused = again.submit(again.get("/sign-in"), "/sign-in", name="rita", password=PASSWORD, totp=code)
        assert refused.status_code == 401
        assert 'value="rita"' in refused.text
        assert PASSWORD not in refused.text
    for _ in range(6):
        locked = again.submit(again.get("/sign-in"), "/sign-in", name="rita", password="x", totp="1")
    assert locked.status_code == 429
    assert "Wait" in locked.text


def test_ways_of_signing_in_change_only_shortly_after_a_sign_in(console):
    browser, _, _ = set_up(console)
    page = browser.get("/account")
    console.clock.advance(601)
    assert "Sign in again" in browser.get("/account").text
    for action in ("password/removal", "totp/removal", "recovery-codes"):
        assert browser.submit(page, f"/account/{action}").status_code == 401
    typed = browser.submit(page, "/account/password", password="another good one", again="another good one")
    assert typed.status_code == 401
    assert "another good one" not in typed.text


@pytest.mark.parametrize(
    ("password", "again"),
    [("short", "short"), (PASSWORD, "different"), ("rita rita rita rita", "rita rita rita rita")],
)
def test_a_password_that_is_not_accepted_is_told_beside_the_form(console, password, again):
    browser = console.signed_in("rita")
    answer = browser.submit(browser.get("/account"), "/account/password", password=password, again=again)
    assert answer.status_code == 422
    assert 'href="#password"' in answer.text


def test_sessions_elsewhere_and_tokens_are_ended_from_the_page(console):
    browser, other = console.signed_in("rita"), console.signed_in("rita")
    token = console.do("rita", identity.issue_token, console.people["rita"].id, "for a test", None)
    page = browser.get("/account")
    assert "This one" in page.text
    seat = re.search(r'name="session" value="(\w+)"', page.text)[1]
    answer = browser.post(
        "/account/sessions/end",
        data={**browser.fields(page, "/sign-out"), "session": seat},
        headers={"origin": HERE},
    )
    assert answer.status_code == 303
    assert other.get("/account").status_code == 303
    third = console.signed_in("rita")
    everywhere = {**browser.fields(page, "/sign-out"), "session": ""}
    browser.post("/account/sessions/end", data=everywhere, headers={"origin": HERE})
    assert third.get("/account").status_code == 303
    assert browser.get("/account").status_code == 200
    ids = re.findall(r'name="token" value="(tok_[^"]+)"', browser.get("/account").text)
    for one in ids:
        browser.post(
            "/account/tokens/revocation",
            data={**browser.fields(page, "/sign-out"), "token": one},
            headers={"origin": HERE},
        )
    assert "Revoked" in words_of(browser.get("/account"))
    assert console.app is not None
    assert browser.get("/v1/me", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_removing_password_and_authenticator_works_from_the_page(console):
    browser, _, _ = set_up(console)
    assert browser.submit(browser.get("/account"), "/account/recovery-codes").status_code == 200
    assert browser.submit(browser.get("/account"), "/account/totp/removal").status_code == 303
    assert browser.submit(browser.get("/account"), "/account/password/removal").status_code == 303
    assert "Not set up" in words_of(browser.get("/account"))


def vote(browser, address, token, origin=HERE, **fields):
    headers = {} if origin is None else {"origin": origin}
    return browser.post(address, data={"form_token": token, **fields}, headers=headers)


def test_a_form_of_ours_whose_cookies_were_lost_is_shown_again_and_can_be_sent(console):
    request, _ = console.filed()
    address = f"/projects/shop/requests/{request.id}/votes"
    browser = console.signed_in("rita")
    fields = {
        "verdict": "approve",
        "comment": "<b>long & careful</b>",
        "digest": request.subject,
        "policy": request.policy,
    }
    kept = vote(browser, address, "0" * 64, code="secret-link", **fields)
    assert kept.status_code == 403
    assert "Nothing was done yet" in kept.text
    assert html.escape(fields["comment"]) in kept.text
    assert "secret-link" not in kept.text
    assert browser.submit(kept, address).status_code == 303
    assert "long &amp; careful" in browser.get(f"/projects/shop/requests/{request.id}").text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", None])
def test_a_form_from_elsewhere_is_never_made_sendable(console, origin):
    request, _ = console.filed()
    address = f"/projects/shop/requests/{request.id}/votes"
    answer = vote(console.signed_in("rita"), address, "0" * 64, origin, verdict="approve", comment="forged")
    assert answer.status_code == 403
    assert "forged" not in answer.text


def test_a_session_that_ends_in_mid_form_loses_nothing_typed(console):
    request, _ = console.filed()
    address = f"/projects/shop/requests/{request.id}/votes"
    browser = console.signed_in("rita")
    page = browser.get(f"/projects/shop/requests/{request.id}")
    console.clock.advance(13 * 3600)
    kept = browser.submit(page, address, verdict="approve", comment="typed for an hour")
    assert kept.status_code == 401
    assert "typed for an hour" in kept.text
    browser.submit(browser.get("/sign-in"), "/sign-in", code=console.link("rita"))
    assert browser.submit(kept, address).status_code == 303
    assert "typed for an hour" in browser.get(f"/projects/shop/requests/{request.id}").text
