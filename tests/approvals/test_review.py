"""Comments on what is asked, and what changed since somebody voted."""

import pytest

from assent.approvals import service
from assent.approvals.service import comments as comments_service
from assent.kernel.errors import Conflict, Invalid, NotFound
from assent.ledger import replay
from assent.prompts import service as prompts
from assent.web.diff import SEPARATOR
from tests.approvals.shop import PROJECT
from tests.approvals.test_service import leaves, ready

TEXT = SEPARATOR.join(("messages", "1", "content"))
TEMPLATE = "You help customers.\nBe brief.\nNever promise a refund."


def asked(shop):
    """A request whose version has a prompt of three lines."""
    new = prompts.NewPrompt(PROJECT, "greeting", {"messages": [{"role": "system", "content": TEMPLATE}]})
    version, _ = shop.do("bob", prompts.register, new)
    shop.adopt()
    shop.register("2.2.0", prompt=version.digest)
    request, _ = shop.file("2.2.0")
    return request, version.digest


def say(shop, request, text, who="rita", **where):
    new = service.NewComment(request=request.id, project=PROJECT, text=text, **where)
    return shop.do(who, service.comment, new)


def test_a_comment_stands_on_a_line_of_the_prompt_and_its_text_in_no_leaf(shop_on_each):
    shop = shop_on_each
    request, prompt = asked(shop)
    made = say(shop, request, "Why never?", path="messages.1.content", line=3)
    assert (made.document, made.path, made.line, made.text) == (prompt, TEXT, 3, "Why never?")
    assert "Why never" not in str(leaves(shop))
    answer = say(shop, request, "The law.", "ada", answers=made.id)
    assert (answer.document, answer.path, answer.line) == (prompt, TEXT, 3)
    done = shop.do("rita", service.resolve_comment, made.id, PROJECT)
    assert done.resolved_by == shop.people["rita"].id
    again = shop.do("ada", service.resolve_comment, made.id, PROJECT)
    assert (again.resolved_by, again.resolved_at) == (done.resolved_by, done.resolved_at)
    assert [one.text for one in shop.read(service.list_comments, request.id)] == ["Why never?", "The law."]
    assert shop.read(replay.check).equal


def test_a_comment_on_the_whole_and_on_the_version_itself(shop):
    request, _ = asked(shop)
    whole = say(shop, request, "Well done.")
    assert (whole.document, whole.path, whole.line) == (None, None, None)
    field = say(shop, request, "Which one?", path="upstream_model", document=request.subject)
    assert (field.document, field.path) == (request.subject, "upstream_model")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"path": "templat"}, "no field 'templat'"),
        ({"path": TEXT, "line": 4}, "no line 4"),
        ({"line": 1}, "needs a field"),
        ({"document": "sha256:" + "9" * 64, "path": TEXT}, "not part of this request"),
        ({"path": "name"}, "field of 2 documents"),
        ({"path": "provider", "document": "prompt"}, "no field 'provider' in this document"),
        ({"answers": "cmt_nothing"}, "begins no thread"),
    ],
)
def test_a_place_that_there_is_not_is_refused_with_those_that_there_are(shop, where, message):
    request, prompt = asked(shop)
    if where.get("document") == "prompt":
        where = {**where, "document": prompt}
    with pytest.raises(Invalid, match=message):
        say(shop, request, "Hm.", **where)
    assert shop.read(service.list_comments, request.id) == []


def test_an_empty_comment_and_one_on_what_is_over_are_refused(shop):
    request, _ = asked(shop)
    with pytest.raises(Invalid, match="needs a text"):
        say(shop, request, "  ")
    shop.do("ada", service.withdraw, request.id, PROJECT)
    with pytest.raises(Conflict, match="comments are over"):
        say(shop, request, "Too late.")


def test_an_answer_is_not_settled_by_itself_and_a_foreign_comment_is_not_found(shop):
    request, _ = asked(shop)
    first = say(shop, request, "One.")
    answer = say(shop, request, "Two.", answers=first.id)
    with pytest.raises(Invalid, match="first comment"):
        shop.do("rita", service.resolve_comment, answer.id, PROJECT)
    with pytest.raises(Invalid, match="begins no thread"):
        say(shop, request, "Three.", answers=answer.id)
    with pytest.raises(NotFound):
        shop.read(service.get_comment, first.id, "elsewhere")


def test_a_request_takes_so_many_comments_and_no_more(shop, monkeypatch):
    monkeypatch.setattr(comments_service, "MAX_COMMENTS", 2)  # the bound, not our code
    request, _ = asked(shop)
    for text in ("One.", "Two."):
        say(shop, request, text)
    with pytest.raises(Conflict, match="comments already"):
        say(shop, request, "Three.")


def test_a_comment_on_a_card_names_a_section_that_only_the_card_knows(shop):
    shop.adopt()
    digest = "sha256:" + "1" * 64
    new = service.NewRequest(
        project=PROJECT, subject=digest, kind=service.Kind.CARD, about=shop.version("2.1.0").digest
    )
    card = shop.do("ada", service.submit, new)
    made = say(shop, card, "Say more.", document=digest, path="sections[4]")
    assert (made.document, made.path) == (digest, "sections[4]")
    with pytest.raises(Invalid, match="at most 200"):
        say(shop, card, "Say more.", document=digest, path="a\nb")


def test_a_voter_sees_what_changed_since(shop_on_each):
    shop = shop_on_each
    shop.bind("careful", CAREFUL)
    request, _ = ready(shop)
    assert shop.read(service.since_vote, request.id, shop.people["rita"].id) is None
    shop.vote("rita", request)
    since = shop.read(service.since_vote, request.id, shop.people["rita"].id)
    assert since.nothing
    shop.clock.advance(5)
    shop.pass_suite()
    say(shop, request, "Look at the third line.", "otto")
    shop.vote("ron", request, "abstain")
    since = shop.read(service.since_vote, request.id, shop.people["rita"].id)
    assert [claim.kind for claim in since.evidence] == ["suite.verdict"]
    assert [vote.verdict for vote in since.votes] == ["abstain"]
    assert [one.text for one in since.comments] == ["Look at the third line."]
    assert (since.manifest, since.policy, since.nothing) == ({}, None, False)


def test_a_vote_on_the_earlier_request_is_compared_with_the_newer_one(shop):
    shop.bind("careful", CAREFUL)
    request, _ = ready(shop)
    shop.vote("rita", request)
    shop.clock.advance(5)
    shop.bind("lenient")
    plan = "sha256:" + "2" * 64
    new = service.NewRequest(project=PROJECT, subject=request.subject, environment="production", plan=plan)
    newer = shop.do("ada", service.submit, new)
    since = shop.read(service.since_vote, newer.id, shop.people["rita"].id)
    assert since.vote.stale
    assert since.manifest["plan"] == (request.plan, plan)
    assert since.policy == ("careful@1.0.0", "lenient@1.0.0")


def test_a_vote_that_was_taken_back_still_says_when_one_looked(shop):
    shop.bind("careful", CAREFUL)
    request, _ = ready(shop)
    cast = shop.vote("rita", request)
    shop.do("rita", service.withdraw_vote, request.id, PROJECT)
    since = shop.read(service.since_vote, request.id, shop.people["rita"].id)
    assert since.vote.id == cast.vote.id


CAREFUL = {
    "title": "Two votes",
    "conditions": [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 2}]}],
}
