from assent.compliance import service as compliance
from assent.compliance.service import questionnaire
from assent.identity import service as identity
from tests.console.shop import words_of

PAGE = "/projects/shop/systems/support/compliance"
INVENTORY = "/projects/shop/inventory"
PLACE = ("shop", "support")
ANSWERS = {one.id: "no" for one in questionnaire().questions}


def test_each_row_shows_its_status_what_the_record_shows_and_the_command_for_the_rest(console):
    console.running()

    answer = console.signed_in("rita").get(PAGE)
    words = words_of(answer)

    assert answer.status_code == 200
    assert "Version 2.0.0, live in production" in words
    assert "what the record shows, not a legal assessment" in words
    assert "EU AI Act" in words
    assert "from secondary sources" in words
    assert "assent compliance classify support -f ANSWERS --reason TEXT" in words
    assert "Nobody yet" in words
    assert 'class="status warn"' in answer.text


def test_another_version_is_chosen_without_scripts_and_rests_on_its_own_records(console):
    console.running()

    words = words_of(console.signed_in("rita").get(f"{PAGE}?version=2.1.0"))

    assert "Version 2.1.0, named" in words
    assert "a rollout in 2 steps" in words
    assert "approved under ground@1.0.0 by 1 independent vote" in words


def test_what_is_met_names_the_leaves_that_prove_it(console):
    console.running()

    answer = console.signed_in("rita").get(f"{PAGE}?version=2.1.0")

    assert 'class="status good"' in answer.text
    assert 'href="/leaves/' in answer.text


def test_contradictions_are_not_met(console):
    console.do("root", compliance.classify, PLACE, {**ANSWERS, "employment": "yes"}, "it ranks people")

    words = words_of(console.signed_in("rita").get(PAGE))

    assert "Not met the version says minimal, the questionnaire high" in words


def test_a_version_that_is_not_there_is_said_so(console):
    assert console.signed_in("rita").get(f"{PAGE}?version=9.9.9").status_code == 404


def test_the_inventory_shows_what_is_missing_and_then_what_was_given(console):
    browser = console.signed_in("rita")
    before = words_of(browser.get(INVENTORY))
    assert "Not classified" in before
    assert "Nobody" in before
    assert "assent compliance retain" in before

    console.do("root", compliance.assign, PLACE, "owner", "ada", "she leads the team")
    console.do("root", compliance.classify, PLACE, {**ANSWERS, "talks": "yes"}, "people talk with it")
    console.do("root", compliance.retain, "shop", (400, 4000), "the law")

    after = words_of(browser.get(INVENTORY))
    assert "owner: ada" in after
    assert "Below the questionnaire" in after
    assert "400 days" in after


def test_what_people_write_stays_text(console):
    console.do("root", compliance.assign, PLACE, "owner", "ada", "<script>alert(1)</script>")

    answer = console.signed_in("rita").get("/projects/shop/ledger?type=compliance.")

    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text


def test_a_project_without_systems_says_so(console):
    console.do("root", identity.create_project, "empty", "Nothing yet")

    assert "No system is registered" in words_of(console.signed_in("rita").get("/projects/empty/inventory"))


def test_calls_that_were_observed_are_counted_for_their_version(console):
    rollout = console.running()
    console.traffic(rollout, 5, canary_down=0.05)

    words = words_of(console.signed_in("rita").get(f"{PAGE}?version=2.1.0"))

    assert "25 calls observed" in words
