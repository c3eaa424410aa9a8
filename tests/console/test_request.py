import pytest

from assent.approvals import service as approvals
from assent.cards import service as cards
from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.kernel.canonical import digest
from assent.kernel.tx import SYSTEM
from tests.console.shop import words_of

HOSTILE = '"><script>alert(1)</script>'


def address(request):
    return f"/projects/shop/requests/{request.id}"


def vote(browser, request, **typed):
    """Open the page and send its form."""
    page = browser.get(address(request))
    return browser.submit(page, f"{address(request)}/votes", **{"verdict": "approve", **typed})


def state_of(console, request):
    return console.get(request).state.value


def test_a_request_shows_what_is_asked_and_what_it_lacks(console):
    request, _ = console.filed()

    answer = console.signed_in("rita").get(address(request))
    words = words_of(answer)

    assert answer.status_code == 200
    assert "support@2.1.0 for production" in words
    assert "Asked by ada" in words
    assert "1 of 2 conditions does not pass yet" in words
    assert request.subject in words
    assert "Replaces support@2.0.0" in words
    assert "Version sha256" not in words
    assert "Against support@2.0.0, which is live in production." in words
    assert "No evaluation of this digest has ended" in words
    assert "Nobody has voted" in words


def test_the_change_is_shown_by_the_words_that_differ(console):
    request, _ = console.filed()

    answer = console.signed_in("rita").get(address(request))

    assert "upstream_model" in answer.text
    assert "<ins>" in answer.text
    assert "<del>" in answer.text


def test_a_first_release_is_compared_with_nothing(console):
    console.bind()
    request, _ = console.file()

    words = words_of(console.signed_in("rita").get(address(request)))

    assert "Nothing else was live in production: everything is new." in words


def test_once_it_runs_it_is_compared_with_what_it_replaces(console):
    request, rollout = console.approved()
    console.start(rollout)

    answer = console.signed_in("rita").get(address(request))

    assert "Against support@2.0.0, which was live in production." in words_of(answer)
    assert f'<a href="/projects/shop/rollouts/{rollout.id}">' in answer.text


def test_a_reviewer_votes_without_a_script(console):
    request, _ = console.filed()
    browser = console.signed_in("rita")

    answer = vote(browser, request, comment=HOSTILE)

    assert answer.status_code == 303
    assert answer.headers["location"] == address(request)
    assert state_of(console, request) == "approved"
    page = browser.get(address(request))
    assert "<script>" not in page.text
    assert "Approve rita" in words_of(page)
    assert f"“{HOSTILE}”" in words_of(page) or "&lt;script&gt;alert(1)" in page.text


def test_the_author_sees_why_their_vote_does_not_count(console):
    request, _ = console.filed()

    answer = console.signed_in("ada").get(address(request))
    words = words_of(answer)

    assert "You cannot vote here" in words
    assert "You filed this request yourself." in words
    assert "You worked on this version yourself." in words
    assert f'action="{address(request)}/votes"' not in answer.text


def test_the_author_cannot_send_the_form_either(console):
    request, _ = console.filed()
    with console.desk.begin() as tx:
        identity.bind(tx, console.people["ada"].id, "reviewer", "*")
    author = console.signed_in("ada")
    form = author.fields(author.get(address(request)), "/sign-out")

    answer = author.post(
        f"{address(request)}/votes",
        data={**form, "verdict": "approve", "digest": request.subject, "policy": request.policy},
    )

    assert answer.status_code == 409
    assert "Your vote was not taken" in words_of(answer)
    assert "You filed this request yourself." in words_of(answer)
    assert state_of(console, request) == "open"


def test_whoever_lacks_the_permission_cannot_vote(console):
    request, _ = console.filed()
    operator = console.signed_in("otto")
    page = operator.get(address(request))
    assert "approvals.request.vote" in words_of(page)

    answer = operator.post(
        f"{address(request)}/votes", data={**operator.fields(page, "/sign-out"), "verdict": "approve"}
    )

    assert answer.status_code == 403
    assert state_of(console, request) == "open"


def test_an_old_sign_in_is_renewed_within_the_vote_and_nothing_typed_is_lost(console):
    request, _ = console.filed()
    browser = console.signed_in("rita")
    page = browser.get(address(request))
    console.clock.advance(601)

    refused = browser.submit(
        page, f"{address(request)}/votes", verdict="reject", comment="Two\r\nlines & <b>"
    )

    assert refused.status_code == 401
    assert "Your sign-in is 10 min 1 s old; a vote needs one of at most 10 min." in words_of(refused)
    assert '<input type="radio" name="verdict" value="reject" checked>' in refused.text
    assert "Two\nlines &amp; &lt;b&gt;</textarea>" in refused.text
    assert state_of(console, request) == "open"

    answer = browser.submit(
        refused, f"{address(request)}/votes", verdict="reject", comment="No", code=console.link("rita")
    )

    assert answer.status_code == 303
    assert "set-cookie" in answer.headers
    assert browser.get(address(request)).status_code == 200
    (cast,) = console.read(approvals.list_votes, request.id)
    assert (cast.verdict, cast.comment) == ("reject", "No")


def test_signing_in_elsewhere_makes_the_open_page_good_again(console):
    request, _ = console.filed()
    browser = console.signed_in("rita")
    console.clock.advance(601)
    page = browser.get(address(request))
    assert "One-time sign-in link" in words_of(page)
    browser.submit(browser.get("/sign-in"), "/sign-in", code=console.link("rita"))

    assert browser.submit(page, f"{address(request)}/votes", verdict="approve").status_code == 303


def test_the_link_of_somebody_else_does_not_vote(console):
    request, _ = console.filed()
    browser = console.signed_in("rita")
    console.clock.advance(601)
    code = console.link("ron")

    answer = vote(browser, request, code=code)

    assert answer.status_code == 403
    assert "belongs to another person" in words_of(answer)
    assert "Signed in as rita" in words_of(browser.get(address(request)))
    assert state_of(console, request) == "open"
    again = console.browser()
    assert again.submit(again.get("/sign-in"), "/sign-in", code=code).status_code == 401


def test_a_wrong_link_leaves_what_was_typed(console):
    request, _ = console.filed()
    browser = console.signed_in("rita")
    console.clock.advance(601)

    answer = vote(browser, request, comment="careful", code="not a link")

    assert answer.status_code == 401
    assert "careful</textarea>" in answer.text
    assert 'href="#code"' in answer.text


@pytest.mark.parametrize("field", ["digest", "policy"])
def test_a_vote_on_something_else_than_the_request_is_stale(console, field):
    request, _ = console.filed()

    answer = vote(console.signed_in("rita"), request, **{field: digest("another")})

    assert answer.status_code == 412
    assert "Your vote was not taken" in words_of(answer)
    assert state_of(console, request) == "open"


@pytest.mark.parametrize("verdict", ["", "maybe", HOSTILE])
def test_a_vote_needs_a_verdict(console, verdict):
    request, _ = console.filed()

    answer = vote(console.signed_in("rita"), request, verdict=verdict)

    assert answer.status_code == 422
    assert "Choose one." in words_of(answer)
    assert "<script>" not in answer.text


def test_a_vote_on_an_earlier_request_is_marked_stale(console):
    request, rollout = console.approved()
    console.do("otto", delivery.abort, delivery.Ask(rollout=rollout.id, reason="later"))
    again, _ = console.file()

    words = words_of(console.signed_in("rita").get(address(again)))

    assert "Stale" in words
    assert "does not count" in words
    assert "Superseded" in words_of(console.signed_in("rita").get(address(request)))


def test_a_form_from_elsewhere_casts_no_vote(console):
    request, _ = console.filed()
    browser = console.signed_in("rita")
    page = browser.get(address(request))
    fields = {**browser.fields(page, f"{address(request)}/votes"), "verdict": "approve"}

    foreign = browser.post(
        f"{address(request)}/votes", data=fields, headers={"origin": "https://evil.example"}
    )
    tokenless = browser.post(f"{address(request)}/votes", data={**fields, "form_token": "0" * 64})
    as_json = browser.post(f"{address(request)}/votes", json=fields)

    assert [foreign.status_code, tokenless.status_code, as_json.status_code] == [403, 403, 422]
    assert state_of(console, request) == "open"


def test_a_card_is_voted_on_by_its_text(console):
    console.do("ada", cards.generate, "shop", "support@2.1.0")
    card = console.do("ada", cards.submit, "shop", "support@2.1.0")
    request = console.get(card.request)
    browser = console.signed_in("rita")

    page = browser.get(address(request))

    assert "Card of support@2.1.0" in words_of(page)
    assert "There is no card before this one: everything is new." in words_of(page)
    assert "Publication of the card of support@2.1.0 requested" in words_of(page)
    assert vote(browser, request).status_code == 303
    assert state_of(console, request) == "approved"
    console.do(SYSTEM, cards.settle, card.id)
    assert "Card of support@2.1.0: approved" in words_of(browser.get(address(request)))


def test_a_card_is_compared_with_the_one_published_before(console):
    for number in ("2.0.0", "2.1.0"):
        console.do("ada", cards.generate, "shop", f"support@{number}")
        card = console.do("ada", cards.submit, "shop", f"support@{number}")
        request = console.get(card.request)
        console.sign_in()
        console.vote("rita", request)
        console.do(SYSTEM, cards.settle, card.id)

    words = words_of(console.signed_in("rita").get(address(request)))

    assert "Against the card of support@2.0.0, revision 1, that was published before." in words


@pytest.mark.parametrize("name", ["req_none", '"><script>alert(1)'])
def test_an_unknown_request_is_an_error_page(console, name):
    answer = console.signed_in("rita").get(f"/projects/shop/requests/{name}")

    assert answer.status_code == 404
    assert "<script>" not in answer.text


def test_a_request_is_not_shown_through_another_project(console):
    request, _ = console.filed()
    console.do("root", identity.create_project, "other", "Other")

    assert console.signed_in("rita").get(f"/projects/other/requests/{request.id}").status_code == 404


def test_an_approval_for_less_is_given_and_shown(console):
    request, _ = console.filed()
    address = f"/projects/shop/requests/{request.id}"
    console.sign_in()
    rita = console.signed_in("rita")
    page = rita.get(address)
    for wrong in ({"max_share": "a lot"}, {"until": "soon"}, {"max_share": "7"}):
        refused = rita.submit(page, f"{address}/votes", verdict="approve", comment="typed", **wrong)
        assert (refused.status_code, "typed</textarea>" in refused.text) == (422, True)
        assert f'value="{next(iter(wrong.values()))}"' in refused.text
    until = f"{console.clock.now():%Y}-12-31"
    answer = rita.submit(page, f"{address}/votes", verdict="approve", max_share="0,1", until=until)
    assert answer.status_code == 303
    assert f"Holds for a share of at most 0.1, until {until} 00:00 UTC only." in words_of(rita.get(address))
