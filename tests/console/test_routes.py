"""Every page at once: who gets in, and what every answer carries."""

import re

import pytest

from assent.console.routes import ROUTERS
from tests.console.shop import HERE

ROUTES = sorted(
    (method, route.path) for router in ROUTERS for route in router.routes for method in route.methods
)
PUBLIC = {
    "/sign-in", "/sign-in/{code}", "/sign-out",
    "/sign-in/oidc/{provider}", "/sign-in/oidc/{provider}/callback",
}  # fmt: skip
GUARDED = [found for found in ROUTES if found[1] not in PUBLIC]


def filled(path):
    return re.sub(r"\{(\w+)\}", lambda m: {"project": "shop", "index": "0"}.get(m.group(1), "x"), path)


def test_the_walk_sees_every_page():
    assert len(GUARDED) >= 46
    assert {path for _, path in ROUTES} >= PUBLIC


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_a_session_every_page_leads_to_the_sign_in(console, method, path):
    answer = console.browser().request(method, filled(path))

    if method == "GET":
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/sign-in?next={filled(path)}"
    else:
        assert answer.status_code in {401, 403, 422}
        assert "<h1>" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [found for found in GUARDED if found[1] != "/" and not found[1].startswith("/account")],
)
def test_without_a_role_every_page_is_refused(console, method, path):
    console.person("nemo")
    browser = console.signed_in("nemo")
    token = browser.fields(browser.get("/"), "/sign-out")

    answer = browser.request(
        method, filled(path), data=token if method == "POST" else None, headers={"origin": HERE}
    )

    assert answer.status_code == 403
    assert "It takes" in answer.text or "it takes" in answer.text


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_carries_the_headers_that_keep_it_safe(console, method, path):
    answer = console.browser().request(method, filled(path))

    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_page_holds_inline_code(console):
    rollout = console.running()
    browser = console.signed_in("otto")
    pages = [
        "/", "/sign-in", "/projects/shop/systems/support", f"/projects/shop/rollouts/{rollout.id}",
        f"/projects/shop/rollouts/{rollout.id}/abort", f"/projects/shop/requests/{rollout.request}",
        "/projects/shop/ledger", "/projects/shop/inventory", "/projects/shop/systems/support/compliance",
    ]  # fmt: skip

    for page in pages:
        text = browser.get(page).text
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style|javascript:", text), page
