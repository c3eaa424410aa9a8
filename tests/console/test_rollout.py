import pytest

from assent.delivery import service as delivery
from assent.delivery.domain import State
from assent.kernel.tx import SYSTEM
from tests.console.shop import page_of, words_of

HOSTILE = '</textarea><script>alert("x")</script>'


def act(browser, rollout, noun, **typed):
    """Open the confirmation page of an action and send its form."""
    page = browser.get(f"{page_of(rollout)}/{noun}")
    assert page.status_code == 200
    return browser.submit(page, f"{page_of(rollout)}/{noun}", **typed)


def now(console, rollout):
    return console.read(delivery.get, rollout.id)


def test_a_running_rollout_shows_its_ramp_its_guards_and_its_figures(console):
    rollout = console.running(block_s=1)
    console.traffic(rollout, 9, canary_down=0.05)

    answer = console.signed_in("otto").get(page_of(rollout))
    words = words_of(answer)

    assert answer.status_code == 200
    assert "Running step 1 of 2: 5 % of the units" in words
    assert (
        'aria-label="Steps and their shares of the units: step 1 5 % now, step 2 100 % to come"'
        in answer.text
    )
    assert "Thumbs-down No harm shown" in words
    assert "under the line 20" in answer.text
    assert "canary 2.1.0" in words
    assert "of the leading guard" in words
    assert 'hx-trigger="every 2s"' in answer.text
    assert "Lacks" in words


def test_the_live_part_is_the_same_without_the_page_around_it(console):
    rollout = console.running()
    browser = console.signed_in("otto")

    fragment = browser.get(f"{page_of(rollout)}/live", headers={"hx-request": "true"})

    assert fragment.text.lstrip().startswith('<div id="live"')
    assert "<html" not in fragment.text
    assert "Timeline" not in fragment.text


def test_a_rollout_that_a_guard_took_back_shows_its_incident_in_figures(console):
    rollout = console.running(block_s=1)
    console.traffic(rollout, 20, canary_down=1.0)

    answer = console.signed_in("otto").get(page_of(rollout))
    words = words_of(answer)

    assert "Rolled back because of: guard" in words
    assert "Incident: Thumbs-down" in words
    assert "Thumbs-down Breach" in words
    assert "at or over the line 20" in answer.text
    assert "stopped here" in words
    assert "This rollout has ended" in words
    assert "hx-get" not in answer.text


def test_a_planned_rollout_is_started_after_confirmation(console):
    _, rollout = console.approved()
    browser = console.signed_in("otto")
    assert f'href="{page_of(rollout)}/start"' in browser.get(page_of(rollout)).text

    answer = act(browser, rollout, "start")

    assert answer.headers["location"] == page_of(rollout)
    assert now(console, rollout).state is State.RUNNING


def test_a_start_without_votes_is_refused_with_every_reason(console):
    console.bind()
    console.adopt()
    _, rollout = console.file()
    browser = console.signed_in("otto")

    answer = browser.submit(browser.get(f"{page_of(rollout)}/start"), f"{page_of(rollout)}/start")

    assert answer.status_code == 409
    assert "Nothing was changed" in words_of(answer)
    assert "regression" in words_of(answer).lower()
    assert "1 of reviewers" in words_of(answer) or "agree" in words_of(answer)
    assert now(console, rollout).state is State.PLANNED


def test_pause_and_resume_without_a_script(console):
    rollout = console.running()
    browser = console.signed_in("otto")

    assert act(browser, rollout, "pause", reason="look first").status_code == 303
    assert now(console, rollout).state is State.PAUSED
    assert "“look first”" in words_of(browser.get(page_of(rollout)))
    assert act(browser, rollout, "resumption").status_code == 303
    assert now(console, rollout).state is State.RUNNING


@pytest.mark.parametrize(("noun", "state"), [("abort", State.ABORTED), ("rollback", State.ROLLED_BACK)])
def test_giving_the_traffic_back_asks_for_a_reason(console, noun, state):
    rollout = console.running()
    browser = console.signed_in("otto")

    without = act(browser, rollout, noun, reason="  ")
    assert without.status_code == 422
    assert now(console, rollout).state is State.RUNNING

    assert "All traffic of support in production goes to support@2.0.0" in words_of(without)
    assert act(browser, rollout, noun, reason=HOSTILE).status_code == 303
    assert now(console, rollout).state is state
    assert "<script>alert" not in browser.get(page_of(rollout)).text


def test_promotion_goes_step_by_step_and_can_be_rolled_back(console):
    rollout = console.running(
        block_s=1, steps=[{"share": 0.05, "min_time_s": 10}, {"share": 1, "min_time_s": 10}]
    )
    console.traffic(rollout, 14, canary_down=0.05)
    browser = console.signed_in("otto")

    while now(console, rollout).state is State.RUNNING:
        answer = act(browser, rollout, "promotion")
        if answer.status_code != 303:
            console.traffic(rollout, 4, canary_down=0.05)

    assert now(console, rollout).state is State.PROMOTED
    assert "Promoted all units" in words_of(browser.get(page_of(rollout)))
    assert act(browser, rollout, "rollback", reason="a complaint").status_code == 303
    assert now(console, rollout).state is State.ROLLED_BACK


def test_a_promotion_before_its_time_lists_what_is_missing(console):
    rollout = console.running()
    browser = console.signed_in("otto")

    page = browser.get(page_of(rollout))
    assert "Promote to 100 % is refused" in words_of(page).replace(
        "Promote: make it the stable version", "Promote to 100 %"
    )
    answer = act(browser, rollout, "promotion")

    assert answer.status_code == 409
    assert now(console, rollout).state is State.RUNNING


def test_an_action_on_a_rollout_that_has_moved_since_is_stale(console):
    rollout = console.running()
    browser = console.signed_in("otto")
    page = browser.get(f"{page_of(rollout)}/abort")
    act(browser, rollout, "pause")

    answer = browser.submit(page, f"{page_of(rollout)}/abort", reason="on an old page")

    assert answer.status_code == 412
    assert "on an old page</textarea>" in answer.text
    assert now(console, rollout).state is State.PAUSED


def test_who_may_only_look_sees_why_beside_each_action(console):
    rollout = console.running()
    browser = console.signed_in("rita")

    page = browser.get(page_of(rollout))
    assert "Abort is refused: You do not hold the permission delivery.rollout.abort." in words_of(page)
    assert f'href="{page_of(rollout)}/abort"' not in page.text
    answer = browser.submit(
        browser.get(f"{page_of(rollout)}/abort"), f"{page_of(rollout)}/abort", reason="please"
    )

    assert answer.status_code == 403
    assert now(console, rollout).state is State.RUNNING


@pytest.mark.parametrize("generation", ["", "x", "-1", "9" * 30])
def test_a_form_that_was_tampered_with_changes_nothing(console, generation):
    rollout = console.running()

    assert act(console.signed_in("otto"), rollout, "pause", generation=generation).status_code == 422
    assert now(console, rollout).state is State.RUNNING


def test_a_form_from_another_site_changes_nothing(console):
    rollout = console.running()
    browser = console.signed_in("otto")
    page = browser.get(f"{page_of(rollout)}/abort")
    fields = {**browser.fields(page, f"{page_of(rollout)}/abort"), "reason": "forged"}

    foreign = browser.post(
        f"{page_of(rollout)}/abort", data=fields, headers={"origin": "https://evil.example"}
    )
    tokenless = browser.post(f"{page_of(rollout)}/abort", data={"reason": "x", "generation": "2"})

    assert (foreign.status_code, tokenless.status_code) == (403, 403)
    assert now(console, rollout).state is State.RUNNING


def test_unknown_rollouts_and_actions_are_error_pages(console):
    rollout = console.running()
    browser = console.signed_in("otto")

    assert browser.get("/projects/shop/rollouts/ro_none").status_code == 404
    assert browser.get(f"{page_of(rollout)}/explode").status_code == 404
    assert browser.get(page_of(rollout).replace("/shop/", "/other/")).status_code == 404


def test_snapshots_in_use_say_who_is_behind(console):
    rollout = console.running()
    for replica, serial in (("gateway-1", 30), ("gateway-2", 29)):
        console.do(SYSTEM, delivery.acknowledge, ("shop", "production"), replica, (1, serial))

    words = words_of(console.signed_in("otto").get(page_of(rollout)))

    assert "gateway-1 Current serial 30" in words
    assert "gateway-2 Behind serial 29" in words
