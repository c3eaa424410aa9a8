import pytest
from fastapi.testclient import TestClient

from assent.console.sign_in import read_code
from assent.console.visit import local_path
from assent.kernel.errors import Unauthenticated

ANY_LEAF = "/leaves/0"


def test_opening_a_link_does_not_use_it_up(installed):
    installed.person("anna", "auditor")
    code = installed.link("anna")
    for _ in range(3):
        assert installed.browser().get(f"/sign-in/{code}").status_code == 200
    browser = installed.browser()

    answer = browser.submit(browser.get(f"/sign-in/{code}"), "/sign-in")

    assert answer.status_code == 303
    assert browser.get(ANY_LEAF).status_code == 200


def test_a_link_works_once(installed):
    installed.person("anna", "auditor")
    code = installed.link("anna")
    first, second = installed.browser(), installed.browser()
    first.submit(first.get("/sign-in"), "/sign-in", code=code)

    answer = second.submit(second.get("/sign-in"), "/sign-in", code=code)

    assert answer.status_code == 401
    assert "You are not signed in" in answer.text
    assert second.get(ANY_LEAF).headers["location"] == "/sign-in?next=/leaves/0"


def test_a_whole_link_can_be_pasted(installed):
    installed.person("anna", "auditor")
    browser = installed.browser()

    answer = browser.submit(
        browser.get("/sign-in"), "/sign-in", code=f" http://127.0.0.1:8400/sign-in/{installed.link('anna')} "
    )

    assert answer.status_code == 303


@pytest.mark.parametrize("text", ["", "short", "x" * 500, "<script>", "a b" * 20])
def test_anything_else_is_not_a_link(text):
    with pytest.raises(Unauthenticated):
        read_code(text)


def test_signing_in_leads_back_to_the_page_that_was_asked_for(installed):
    installed.person("anna", "auditor")
    browser = installed.browser()
    sent_away = browser.get("/leaves/1?x=1")

    page = browser.get(sent_away.headers["location"])
    answer = browser.submit(page, "/sign-in", code=installed.link("anna"))

    assert answer.headers["location"] == "/leaves/1?x=1"


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\nb",
        "/\t/evil.example",
    ],
)
def test_signing_in_never_leads_to_another_site(path):
    assert local_path(path) == "/"


def test_the_session_cookie_is_out_of_reach_for_scripts_and_sites(installed):
    installed.person("anna")
    browser = installed.browser()
    answer = browser.submit(browser.get("/sign-in"), "/sign-in", code=installed.link("anna"))

    line = answer.headers["set-cookie"]
    assert line.startswith("assent_session_8400=")
    assert "HttpOnly" in line
    assert "SameSite=lax" in line


def test_a_form_without_its_token_signs_nobody_in(installed):
    installed.person("anna")
    code = installed.link("anna")

    answer = installed.browser().post("/sign-in", data={"code": code})

    assert answer.status_code == 403
    assert "text/html" in answer.headers["content-type"]
    browser = installed.browser()
    assert browser.submit(browser.get("/sign-in"), "/sign-in", code=code).status_code == 303


def test_signing_out_ends_the_session_on_the_server(installed):
    installed.person("anna", "auditor")
    browser = installed.signed_in("anna")
    page = browser.get(ANY_LEAF)
    secret = dict(browser.cookies)["assent_session_8400"]

    answer = browser.submit(page, "/sign-out")

    assert answer.status_code == 303
    assert "assent_session_8400" not in dict(browser.cookies)
    thief = installed.browser()
    thief.cookies.set("assent_session_8400", secret)
    assert thief.get(ANY_LEAF).status_code == 303


def test_signing_in_again_ends_the_session_before(installed):
    installed.person("anna", "auditor")
    browser = installed.signed_in("anna")
    secret = dict(browser.cookies)["assent_session_8400"]

    browser.submit(browser.get("/sign-in"), "/sign-in", code=installed.link("anna"))

    assert dict(browser.cookies)["assent_session_8400"] != secret
    thief = installed.browser()
    thief.cookies.set("assent_session_8400", secret)
    assert thief.get(ANY_LEAF).status_code == 303


def test_a_session_ends_by_itself(installed):
    installed.person("anna", "auditor")
    browser = installed.signed_in("anna")
    installed.clock.advance(13 * 3600)

    assert browser.get(ANY_LEAF).status_code == 303


def test_a_fragment_asked_for_without_a_session_reloads_the_whole_page(installed):
    answer = installed.browser().get(ANY_LEAF, headers={"hx-request": "true"})

    assert answer.status_code == 204
    assert answer.headers["hx-refresh"] == "true"


def test_without_the_permission_a_page_is_refused_with_its_name(installed):
    installed.person("nobody")

    answer = installed.signed_in("nobody").get(ANY_LEAF)

    assert answer.status_code == 403
    assert "ledger.entry.read" in answer.text


def test_a_leaf_is_shown_with_its_proof(installed):
    installed.person("anna", "auditor")

    page = installed.signed_in("anna").get(ANY_LEAF)

    assert "identity.person.added" in page.text
    assert "log.example/assent" in page.text


@pytest.mark.parametrize("path", ["/leaves/99999", "/leaves/-1", "/leaves/x", "/leaves/99999999999999999999"])
def test_a_leaf_that_does_not_exist_is_an_error_page(installed, path):
    installed.person("anna", "auditor")

    answer = installed.signed_in("anna").get(path)

    assert answer.status_code in {404, 422}
    assert "<h1>" in answer.text


def test_pages_are_kept_from_caches_frames_and_inline_code(installed):
    answer = installed.browser().get("/sign-in")

    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"


def test_plain_http_from_elsewhere_signs_nobody_in(installed):
    answer = TestClient(installed.app, base_url="http://assent.example").get("/sign-in/" + "x" * 43)

    assert answer.status_code == 403
    assert "https" in answer.text
