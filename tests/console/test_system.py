from assent.delivery import service as delivery
from assent.delivery.domain import State
from tests.console.shop import words_of

PAGE = "/projects/shop/systems/support"


def test_a_system_shows_its_stage_its_versions_and_its_history(console):
    console.running()

    answer = console.signed_in("rita").get(PAGE)
    words = words_of(answer)

    assert answer.status_code == 200
    assert answer.text.count('aria-current="step"') == 1
    assert "Development done" in words
    assert "Retirement not reached" in words
    assert "Rollout of support@2.1.0 to production planned" in words
    assert "Release of support@2.1.0 to production: approved" in words
    assert "Rollout started at 5 %" in words
    assert "Version 2.0.0 registered" in words


def test_what_is_live_names_the_canary_with_its_share(console):
    console.running()

    words = words_of(console.signed_in("rita").get(PAGE))

    assert "production 2.0.0" in words
    assert "95 %" in words
    assert "Running 2.1.0 in production, step 1 of 2" in words


def test_a_request_that_waits_for_votes_is_listed(console):
    request, _ = console.filed()

    answer = console.signed_in("rita").get(PAGE)

    assert f'href="/projects/shop/requests/{request.id}"' in answer.text
    assert "Open 2.1.0 for production" in words_of(answer)


def test_what_was_switched_off_is_not_live(console):
    console.adopt()
    place = delivery.Place(project="shop", environment="production", name="support")
    console.do("otto", delivery.kill, place, "it answers rubbish")

    words = words_of(console.signed_in("rita").get(PAGE))

    assert "Nothing is live in any environment" in words
    assert "support switched off in production" in words
    assert "“it answers rubbish”" in words


def test_an_incident_leads_to_its_page(console):
    rollout = console.running(block_s=1)
    console.traffic(rollout, 20, canary_down=1.0)
    assert console.read(delivery.get, rollout.id).state is State.ROLLED_BACK

    answer = console.signed_in("rita").get(PAGE)

    assert "thumbs down in production" in words_of(answer)
    assert "Rollout rolled back (guard)" in words_of(answer)
    assert answer.text.count(f"/rollouts/{rollout.id}") == 1
    assert "/projects/shop/incidents/inc_" in answer.text


def test_the_history_is_read_page_by_page(console):
    for minor in range(60):
        console.register(f"3.{minor}.0")
    browser = console.signed_in("rita")

    first = browser.get(PAGE)
    older = browser.get(first.text.split('class="button outline" href="')[1].split('"')[0])

    assert "Version 3.59.0 registered" in words_of(first)
    assert "Version 2.0.0 registered" not in words_of(first)
    assert "Version 2.0.0 registered" in words_of(older)


def test_hostile_text_is_shown_as_text(console):
    console.register("9.0.0", owner='<script>alert("x")</script>')

    answer = console.signed_in("rita").get(PAGE)

    assert "<script>alert" not in answer.text
    assert 'Owner <script>alert("x")</script>' in words_of(answer) or "&lt;script&gt;" in answer.text


def test_an_unknown_system_is_an_error_page(console):
    browser = console.signed_in("rita")

    assert browser.get("/projects/shop/systems/other").status_code == 404
    assert browser.get(f"{PAGE}?before=-1").status_code == 422
