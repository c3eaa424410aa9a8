"""The short form, in every run of the tests: one page in a real Chromium."""

from tests.browser.chromium import WIDTHS, overflow, sign_in, violations


def test_smoke_the_first_page_is_accessible_and_the_checks_can_fail(house, visit):
    page = visit(viewport=WIDTHS["narrow"])
    sign_in(page, house, "rita")
    assert violations(page) == []
    assert overflow(page) == 0

    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p><img src=\"/none.svg\"></p>')")
    page.evaluate("document.body.lastElementChild.style.width = '900px'")

    assert any(found.startswith("image-alt") for found in violations(page))
    assert overflow(page) > 0
