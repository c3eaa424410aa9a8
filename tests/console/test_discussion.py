"""Comments, what changed since one voted, and break-glass on the request's page."""

import html
from datetime import timedelta

from assent.approvals import service as approvals
from assent.delivery import service as delivery
from tests.approvals.shop import PROJECT
from tests.console.shop import words_of

HOSTILE = '"><script>alert(1)</script>'


def address(request):
    return f"/projects/shop/requests/{request.id}"


def say(browser, request, **typed):
    page = browser.get(address(request))
    return browser.submit(page, f"{address(request)}/comments", **typed)


def broken(console):
    console.bind()
    console.adopt()
    request, rollout = console.file()
    console.sign_in()
    ask = delivery.Ask(rollout=rollout.id, project=PROJECT, reason="refunds are wrong")
    wanted = delivery.EmergencyStart(ask=ask, incident="INC-7", life=timedelta(hours=4), step_up_s=600)
    console.do("otto", delivery.start_by_break_glass, wanted)
    (held,) = console.read(approvals.list_break_glass, PROJECT, {})[0]
    return request, rollout, held


def test_a_comment_is_made_answered_and_settled_without_a_script(console):
    request, _ = console.filed()
    rita, ada = console.signed_in("rita"), console.signed_in("ada")

    assert say(rita, request, text=HOSTILE, path="upstream_model", line="1").status_code == 303
    page = ada.get(address(request))
    assert HOSTILE not in page.text
    assert html.escape(HOSTILE, quote=True).replace("&quot;", "&#34;") in page.text
    assert "On version › upstream_model › line 1" in words_of(page)  # noqa: RUF001 -- the diff's separator
    (said,) = console.read(approvals.list_comments, request.id)
    assert say(ada, request, text="It is.", answers=said.id).status_code == 303
    settle = f"{address(request)}/comments/{said.id}/resolutions"
    assert rita.submit(rita.get(address(request)), settle).status_code == 303
    words = words_of(rita.get(address(request)))
    assert "It is." in words
    assert "Settled rita" in words
    assert "0 of 1 not settled" in words


def test_a_comment_that_is_not_taken_is_shown_with_what_was_typed(console):
    request, _ = console.filed()

    answer = say(console.signed_in("rita"), request, text="Which?", path="upstream_model", line="77")

    assert "is no line" in words_of(say(console.signed_in("rita"), request, text="Which?", line="x" * 50))
    assert answer.status_code == 422
    assert "Your comment was not taken" in words_of(answer)
    assert "no line 77" in words_of(answer)
    assert ">Which?</textarea>" in answer.text
    assert 'value="77"' in answer.text
    assert console.read(approvals.list_comments, request.id) == []


def test_who_may_not_comment_sees_no_form(console):
    request, _ = console.filed()
    console.person("aud", "auditor")
    browser = console.signed_in("aud")

    page = browser.get(address(request))

    assert "/comments" not in page.text
    assert "approvals.request.comment" in words_of(page)


def test_a_voter_is_told_what_changed_since(console):
    request, _ = console.filed()
    console.sign_in("rita", "ron")
    console.vote("rita", request, "abstain")
    rita = console.signed_in("rita")
    assert "Since your vote" in words_of(rita.get(address(request)))
    assert "Nothing has changed." in words_of(rita.get(address(request)))

    console.clock.advance(1)
    console.pass_suite()
    say(console.signed_in("otto"), request, text="Look at it.")
    console.vote("ron", request, "abstain")

    words = words_of(rita.get(address(request)))
    assert "Evidence came: suite.verdict." in words
    assert "ron voted: abstain." in words
    assert "otto commented." in words


def test_a_break_glass_is_seconded_and_reviewed_on_the_page(console):
    request, rollout, held = broken(console)
    glass = f"/projects/shop/break-glass/{held.id}"
    otto, rita, ron = (console.signed_in(name) for name in ("otto", "rita", "ron"))
    words = words_of(otto.get(address(request)))
    assert "It went out before its policy was fulfilled." in words
    assert "refunds are wrong" in words
    assert f"{glass}/seconds" not in otto.get(address(request)).text

    assert rita.submit(rita.get(address(request)), f"{glass}/seconds").status_code == 303
    refused = rita.submit(
        rita.get(address(request)), f"{glass}/reviews", finding="justified", text="It was right."
    )
    assert refused.status_code == 409
    assert "You opened or seconded it" in words_of(refused)
    assert ">It was right.</textarea>" in refused.text
    assert ron.submit(
        ron.get(address(request)), f"{glass}/reviews", finding="unjustified", text="It could have waited."
    ).status_code == 303  # fmt: skip
    words = words_of(ron.get(address(request)))
    assert "Unjustified ron" in words
    page = words_of(otto.get(f"/projects/shop/rollouts/{rollout.id}"))
    assert "Break-glass" in page


def test_an_overdue_review_is_marked(console):
    request, _, _ = broken(console)
    console.clock.advance(timedelta(days=3).total_seconds())

    assert "Overdue due by" in words_of(console.signed_in("ron").get(address(request)))
