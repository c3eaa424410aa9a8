"""Whatever form is open when a session ends: what was typed into it is there again."""

import pytest

from assent.console.routes import ROUTERS
from tests.console.shop import HERE
from tests.console.test_routes import filled

ELSEWHERE = ("/sign-in", "/sign-out")
FORMS = sorted(
    route.path
    for router in ROUTERS
    for route in router.routes
    if "POST" in route.methods and not route.path.startswith(ELSEWHERE)
)


def test_every_form_is_walked():
    assert len(FORMS) > 20


@pytest.mark.parametrize("path", FORMS)
def test_a_session_that_ends_in_mid_form_loses_nothing_that_was_typed(console, path):
    browser = console.signed_in("rita")
    token = browser.fields(browser.get("/"), "/sign-out")
    console.clock.advance(13 * 3600)
    typed = {"reason": 'typed "for" <an> hour', "password": "secret words"}

    answer = browser.post(filled(path), data={**token, **typed}, headers={"origin": HERE})

    assert answer.status_code == 401
    assert 'name="reason"' in answer.text
    assert "typed &#34;for&#34; &lt;an&gt; hour" in answer.text
    assert "secret words" not in answer.text
