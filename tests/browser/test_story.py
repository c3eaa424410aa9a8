"""Three people and an auditor, by clicks and keys in a real Chromium."""

import json
from pathlib import Path

import pytest

from assent.delivery import service as delivery
from assent.delivery.domain import State
from assent.ledger import service as ledger
from tests.browser.chromium import sign_in
from tests.console.shop import page_of


def press(page, word, reason):
    """Click an action, read what it leads to, and confirm it with a reason; gives what was read."""
    page.get_by_role("link", name=word, exact=True).click()
    page.get_by_label("Reason").fill(reason)
    asked = page.locator("main").inner_text()
    page.locator("main button[type=submit]").click()
    page.get_by_role("heading", name="Rollout of support@2.1.0 in production").wait_for()
    return asked


def reach(page, name, most=60):
    """Press Tab until the focus is on what is so named."""
    for _ in range(most):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if focus.count() and name in (focus.inner_text() or focus.get_attribute("id") or ""):
            return
    raise AssertionError(f"{name} was not reached by keyboard")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_three_people_release_and_roll_back(house, visit, scripts):
    request, rollout = house.filed()
    address = f"{house.address}/projects/shop/requests/{request.id}"
    author, reviewer, operator = (visit(java_script_enabled=scripts) for _ in range(3))

    sign_in(author, house, "ada")
    author.goto(address)
    assert "You filed this request yourself." in author.locator("main").inner_text()

    sign_in(reviewer, house, "rita")
    reviewer.goto(address)
    reviewer.get_by_label("Approve").check()
    reviewer.get_by_role("button", name="Vote").click()
    reviewer.get_by_text("Approved").first.wait_for()

    sign_in(operator, house, "otto")
    operator.goto(house.address + page_of(rollout))
    press(operator, "Start", "in working hours")
    assert house.read(delivery.get, rollout.id).state is State.RUNNING
    press(operator, "Pause", "look first")
    assert house.read(delivery.get, rollout.id).state is State.PAUSED

    reach(operator, "Roll back")
    operator.keyboard.press("Enter")
    operator.get_by_label("Reason").wait_for()
    asked = operator.locator("main").inner_text()
    assert "All traffic of support in production goes to support@2.0.0" in asked
    reach(operator, "reason")
    operator.keyboard.type("complaints at night")
    reach(operator, "Roll back")
    operator.keyboard.press("Enter")
    operator.get_by_text("“complaints at night”").first.wait_for()
    assert house.read(delivery.get, rollout.id).state is State.ROLLED_BACK


def test_an_auditor_follows_a_leaf_to_its_proof(house, visit):
    house.running()
    house.read(ledger.checkpoint)
    house.person("ines", "auditor")
    page = visit()
    sign_in(page, house, "ines")

    page.goto(f"{house.address}/projects/shop/ledger")
    assert "Pinned" in page.locator("section", has_text="How far it can be trusted").first.inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export these entries as JSON lines").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert "delivery.rollout.started" in {json.loads(line)["type"] for line in lines}

    page.locator(".timeline a").first.click()
    page.get_by_role("heading", name="Proof").wait_for()
    words = page.locator("main").inner_text()
    assert "Leaf hash" in words
    assert "log.example/assent" in words
