from decimal import Decimal

import pytest

from assent.delivery import service as delivery
from assent.delivery.domain import State
from assent.kernel.tx import SYSTEM
from assent.providers import service as providers
from assent.registry import service as registry
from tests.approvals.shop import PROJECT
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
    assert "Thumbs-down of opinions, last 5 min" in words
    assert 'hx-trigger="every 2s"' in answer.text
    assert "Lacks" in words


def test_a_shadow_shows_what_was_mirrored_beside_the_stable_version(console):
    rollout = console.running(shadow={"share": 0.1, "min_time_s": 600, "min_units": 5})
    words = words_of(console.signed_in("otto").get(page_of(rollout)))
    assert "step 1 of 3: 10 % of the calls mirrored, no units" in words
    assert "Mirrored calls 0 of at least 5" in words
    assert "whose answers nobody got" in words
    assert "shadow 2.1.0" in words


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
    assert "last 5 min" not in words
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


TEST = {
    "strategy": "ab_test",
    "steps": [{"share": 0.25, "min_time_s": 0, "max_time_s": 3600}],
    "experiment": {"primary": "thumbs_down", "metrics": ["latency_s", "cost"], "margin": 0.05},
    "block_s": 1,
}


def test_an_ab_test_shows_its_differences_and_is_concluded(console):
    rollout = console.running(**TEST)
    for digest in (rollout.subject, rollout.stable):
        model = console.read(registry.find_by_digest, PROJECT, digest).document["upstream_model"]
        price = providers.NewPrice(
            model=model, currency="USD", input=Decimal(1), output=Decimal(2), source="https://prices.example/"
        )
        console.do(SYSTEM, providers.set_price, PROJECT, price)
    console.traffic(rollout, 30, canary_down=0.0, stable_down=0.6)
    browser = console.signed_in("otto")

    page = browser.get(page_of(rollout))
    words = words_of(page)

    assert "A/B test with 25 % of the units" in words
    assert "The new version is better : the whole interval lies below 0." in words
    assert "Cost of a thousand calls 0.02 0.02 waits for values that differ" in words
    assert "<figcaption>Thumbs-down: percentage points; less is better</figcaption>" in page.text
    assert "Conclude: the new version is better" in words
    assert "Promote" not in words
    sliced = browser.get(f"{page_of(rollout)}/slices")
    assert "Exploratory: a slice decides nothing" in words_of(sliced)
    assert "wide enough for 54 comparisons" in words_of(sliced)
    assert '<span class="name">key_1</span>' in sliced.text
    assert "key_1 0.00 %" in words_of(sliced)
    answer = act(browser, rollout, "conclusion-canary", reason="fewer complaints")
    assert answer.status_code == 303
    assert now(console, rollout).state is State.CONCLUDED
    told = words_of(browser.get(page_of(rollout)))
    assert "Concluded the stable version serves all units" in told
    assert "Read as the new version is better" in told
    assert "A/B test concluded: canary" in told


def test_arms_that_cannot_be_compared_are_told_of(console):
    rollout = console.running(**{**TEST, "steps": [{"share": 0.6, "min_time_s": 0, "max_time_s": 3600}]})
    console.traffic(rollout, 20, canary_down=0.05)
    browser = console.signed_in("otto")
    words = words_of(browser.get(page_of(rollout)))
    assert "so they cannot be compared: key_1: canary" in words_of(browser.get(f"{page_of(rollout)}/slices"))
    assert "The arms got other shares of the units than planned" in words
    assert "Nothing can be said yet" in words
    refused = act(browser, rollout, "conclusion-canary")
    assert (refused.status_code, "cannot be compared" in words_of(refused)) == (409, True)


def test_a_blue_green_switch_names_its_audience_and_what_it_does(console):
    who = [{"attribute": "user", "op": "in", "value": [f"qa-{n}" for n in range(7)]}]
    rollout = console.running(
        strategy="blue_green",
        preview={"header": "green", "audience": who},
        steps=None,
        guards=None,
        detect=None,
    )
    browser = console.signed_in("otto")
    words = words_of(browser.get(page_of(rollout)))
    assert "preview to its audience" in words
    assert "preview equals green" in words
    assert "user in qa-0, qa-1, qa-2, qa-3, qa-4 … (7 in all)" in words
    assert "Switch all traffic" in words
    asked = words_of(browser.get(f"{page_of(rollout)}/promotion"))
    assert "100 % of the units go to" in asked
    act(browser, rollout, "promotion")
    assert "Running switched" in words_of(browser.get(page_of(rollout)))
