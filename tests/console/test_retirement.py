"""What ends, who is touched, and how people announce, take back, waive and retire by form."""

from datetime import timedelta

import pytest

from assent.identity import service as identity
from assent.providers import service as providers
from assent.retirement import jobs, service
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of
from tests.retirement.traffic import called

ADDRESS = "/projects/shop/retirement"
ANNOUNCE = f"{ADDRESS}/announcements"
PLACE = f"{ADDRESS}/support/2.0.0"
DAY_S = 86_400


def day(console, days):
    return f"{console.clock.now() + timedelta(days=days):%Y-%m-%d}"


def typed(console, days=30, **changes):
    return {
        "version": "support@2.0.0", "successor": "support@2.1.0", "sunset": day(console, days),
        "brownouts": "yes", **changes,
    }  # fmt: skip


def announced(console, who="ada", **changes):
    """Announce by form; gives the browser, back on the page."""
    browser = console.signed_in(who)
    page = browser.get(ANNOUNCE, params=typed(console, **changes))
    assert page.status_code == 200, page.text
    answer = browser.submit(page, ANNOUNCE, reason="worse <b>answers</b>")
    assert (answer.status_code, answer.headers.get("location")) == (303, ADDRESS), words_of(answer)
    return browser


def find(console, number="2.0.0"):
    return console.read(service.find, console.version(number))


def later(console, days=30):
    console.clock.advance(days * DAY_S)
    console.sign_in()


def test_an_end_is_announced_after_its_consequence_is_named(console):
    console.adopt()
    browser = console.signed_in("ada")

    page = browser.get(ANNOUNCE, params=typed(console))
    words = words_of(page)
    assert "Deprecate support@2.0.0?" in words
    assert f"from {day(console, 30)} on with 410" in words
    assert "serving it: production/support" in words
    assert find(console) is None

    assert browser.submit(page, ANNOUNCE, reason="worse").status_code == 303
    found = find(console)
    assert (found.state, found.successor_ref, len(found.brownouts)) == ("deprecated", "support@2.1.0", 2)


def test_brown_outs_are_left_out_where_the_box_is_empty(console):
    announced(console, brownouts="")
    assert find(console).brownouts == ()


def test_the_page_tells_the_times_and_who_is_touched(console):
    console.adopt()
    console.do("root", identity.issue_key, PROJECT, "production", "shop window", ["support"])
    (key,) = [one["id"] for one in console.read(identity.list_keys, PROJECT)]
    announced(console)
    console.clock.advance(17 * DAY_S)
    browser = console.signed_in("ada")
    called(console, console.version("2.0.0"), key, key)
    jobs.notify(console.desk.runtime)

    page = browser.get(ADDRESS)
    words = words_of(page)

    assert "Use instead support@2.1.0" in words
    assert "“ worse <b>answers</b> ”" in words
    assert "<b>answers" not in page.text
    assert "Serving it production/support" in words
    assert "Called it in the last day shop window: 2 calls" in words
    assert "Waiver none" in words
    assert "Notice given: 2 dependents, 2 calls in the day before" in words
    assert "Retire it : not now. The sunset of support@2.0.0 is" in words
    assert words.count("Brown-out: it is refused") == 2
    asked = words_of(browser.get(f"{PLACE}/reinstatement"))
    assert "serving it: production/support; 1 application called it in the last day" in asked
    order = [words.index(one) for one in ("Announced: each", "Notice given", "Sunset: from here on")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sunset": "soon"}, "The sunset 'soon' is not a day."),
        ({"sunset": "2020-01-01"}, "must lie in the future"),
        ({"version": "support"}, "support"),
        ({"version": "support@9.9.9"}, "9.9.9"),
        ({"successor": "nothing@1.0.0"}, "nothing"),
    ],
)
def test_what_makes_no_sense_is_said_on_the_page_with_what_was_typed(console, changes, said):
    browser = console.signed_in("ada")
    answer = browser.get(ANNOUNCE, params=typed(console, **changes))
    assert answer.status_code in {404, 422}
    assert "Nothing was changed" in words_of(answer)
    assert said in words_of(answer)
    for name, value in typed(console, **changes).items():
        if name in {"version", "successor", "sunset"}:
            assert f'name="{name}" type="{"date" if name == "sunset" else "text"}"' in answer.text
            assert f'value="{value}"' in answer.text


def test_a_refused_announcement_keeps_the_reason_and_says_why(console):
    browser = announced(console)
    page = browser.get(ANNOUNCE, params=typed(console))

    answer = browser.submit(page, ANNOUNCE, reason="once more")

    assert answer.status_code == 409
    assert "is deprecated or retired already" in words_of(answer)
    assert "once more</textarea>" in answer.text


def test_it_is_taken_back_before_the_sunset_only(console):
    browser = announced(console)
    page = browser.get(f"{PLACE}/reinstatement")
    assert "Take the deprecation back: support@2.0.0?" in words_of(page)

    empty = browser.submit(page, f"{PLACE}/reinstatement", reason="")
    assert (empty.status_code, "needs a reason" in words_of(empty)) == (422, True)
    assert browser.submit(page, f"{PLACE}/reinstatement", reason="needed").status_code == 303
    assert find(console).state == "undone"
    assert "Taken back" in words_of(browser.get(ADDRESS))

    announced(console)
    later(console)
    browser = console.signed_in("ada")
    assert f"{PLACE}/reinstatement" not in browser.get(ADDRESS).text
    answer = browser.submit(
        browser.get(f"{PLACE}/reinstatement"), f"{PLACE}/reinstatement", reason="too late"
    )
    assert (answer.status_code, "is over" in words_of(answer)) == (409, True)


def test_dependents_are_waived_by_somebody_else_and_then_it_is_retired(console):
    console.adopt()
    announced(console)
    later(console)
    ada, rita = console.signed_in("ada"), console.signed_in("rita")
    assert f"{PLACE}/waiver" not in ada.get(ADDRESS).text
    assert "Retire it : not now. production/support serves it." in words_of(ada.get(ADDRESS))
    page = rita.get(f"{PLACE}/waiver")
    assert "They are refused from the sunset on." in words_of(page)

    unsaid = rita.submit(page, f"{PLACE}/waiver", reason="they know", until=day(console, 9))
    assert (unsaid.status_code, "Choose one of the three" in words_of(unsaid)) == (422, True)
    assert f'value="{day(console, 9)}"' in unsaid.text
    fields = {"kind": "accepts_outage", "reason": "they know"}
    assert rita.submit(page, f"{PLACE}/waiver", until="soon", **fields).status_code == 422
    assert rita.submit(page, f"{PLACE}/waiver", until=day(console, 9), **fields).status_code == 303
    assert "rita: who is left accepts that it is refused; holds until" in words_of(rita.get(ADDRESS))

    page = ada.get(f"{PLACE}/end")
    assert "nobody can take that back" in words_of(page)
    assert ada.submit(page, f"{PLACE}/end", reason="over").status_code == 303
    words = words_of(ada.get(ADDRESS))
    assert "No version's end is announced." in words
    assert "support@2.0.0 Retired" in words
    assert console.version("2.0.0").status == "retired"


def test_retiring_too_early_is_refused_with_every_reason(console):
    console.adopt()
    browser = announced(console)
    answer = browser.submit(browser.get(f"{PLACE}/end"), f"{PLACE}/end", reason="now")
    assert answer.status_code == 409
    assert "The sunset of support@2.0.0 is" in words_of(answer)
    assert "production/support serves it." in words_of(answer)
    assert find(console).state == "deprecated"


def test_who_may_only_read_sees_no_way_to_change(console):
    announced(console)
    console.person("aud", "auditor")
    browser = console.signed_in("aud")
    page = browser.get(ADDRESS)
    assert "Announce an end" not in words_of(page)
    assert PLACE not in page.text
    assert browser.get(f"{PLACE}/end").status_code == 403


def test_what_was_never_deprecated_has_nothing_to_take_back(console):
    answer = console.signed_in("ada").get(f"{PLACE}/reinstatement")
    assert (answer.status_code, "was never deprecated" in words_of(answer)) == (422, True)


def test_a_waiver_that_is_over_and_brown_outs_that_run_are_told(console):
    announced(console)
    waiver = (service.WaiverKind.UNREACHABLE, console.clock.now() + timedelta(days=3), "gone")
    console.do("rita", service.waive, console.version("2.0.0"), *waiver)
    console.clock.advance((find(console).brownouts[0][0] - console.clock.now()).total_seconds() + 1)
    words = words_of(console.signed_in("bob").get(ADDRESS))
    assert "rita: who is left cannot be reached; ended" in words
    assert "Running" in words


def test_the_calendar_shows_what_providers_said_and_whom_it_touches(console):
    console.adopt()
    today = console.clock.now().date()
    ends = today + timedelta(days=80)
    console.do("root", providers.date_base_model, "own-7b", ends, "https://example.com/ends")
    console.do("root", providers.date_base_model, "own-8b", None, "https://example.com/stays")

    page = console.signed_in("bob").get(ADDRESS)
    words = words_of(page)

    assert f"support@2.0.0 own-7b {ends} in 80 days production nobody Approved" in words
    assert f"support@2.1.0 own-7b {ends} in 80 days nowhere nobody Draft" in words
    assert "own-8b not at all source said here" in words
    assert "gpt-5 openai 2026-06-11 2026-12-11" in words
    assert 'href="https://example.com/ends" rel="noopener noreferrer"' in page.text
    for days, said in ((80, "today"), (1, "1 day ago"), (1, "2 days ago")):
        console.clock.advance(days * DAY_S)
        assert said in words_of(console.signed_in("bob").get(ADDRESS))


def test_an_ending_without_a_successor_says_so(console):
    announced(console, successor="")
    words = words_of(console.signed_in("bob").get(ADDRESS))
    assert "Use instead nothing was named" in words
    assert "nobody was seen" in words
