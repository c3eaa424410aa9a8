"""What waits for the visitor, what moves and what is wrong, on the first page."""

from datetime import timedelta

from assent.approvals import service as approvals
from assent.delivery import service as delivery
from assent.identity import service as identity
from tests.approvals.shop import PROJECT
from tests.approvals.test_policies import STRICT, register
from tests.console.shop import words_of
from tests.console.test_discussion import broken


def part(answer, id_):
    """The words of one panel of the page."""
    text = answer.text.split(f'id="{id_}"')[1].split("</section>")[0]
    return " ".join(text.replace("<", " <").split())


def test_a_vote_waits_for_who_can_give_it_until_they_have(console):
    request, _ = console.filed()
    rita, ada = console.signed_in("rita"), console.signed_in("ada")

    assert f"/projects/shop/requests/{request.id}" in part(rita.get("/"), "waits")
    assert "Nothing waits for you." in part(ada.get("/"), "waits")
    console.sign_in()
    console.vote("rita", request, "abstain")
    assert "Nothing waits for you." in part(rita.get("/"), "waits")


def test_a_rollout_moves_and_waits_for_an_operator_when_it_stands_still(console):
    rollout = console.running()
    otto, rita = console.signed_in("otto"), console.signed_in("rita")
    assert "support@2.1.0 in production, step 1 of 2" in words_of(otto.get("/"))

    console.do("otto", delivery.pause, delivery.Ask(rollout=rollout.id))

    assert "Decide on support@2.1.0" in part(otto.get("/"), "waits")
    assert "Nothing waits" in part(rita.get("/"), "waits")


def test_break_glass_waits_for_a_second_person_and_for_a_review_and_is_wrong_when_overdue(console):
    _, _, held = broken(console)
    otto, rita = console.signed_in("otto"), console.signed_in("rita")
    assert "Second the break-glass for support@2.1.0" in part(rita.get("/"), "waits")
    assert "Review the break-glass for support@2.1.0" in part(rita.get("/"), "waits")
    assert "Nothing waits" in part(otto.get("/"), "waits")
    assert "Nothing is known to be wrong" in part(rita.get("/"), "wrong")

    console.clock.advance(timedelta(days=3).total_seconds())

    rita = console.signed_in("rita")
    assert "is not reviewed: nothing more of it goes out" in part(rita.get("/"), "wrong")
    console.sign_in("rita")
    new = approvals.NewReview(break_glass=held.id, project=PROJECT, finding="justified", text="Right.")
    console.do("rita", approvals.review_break_glass, new)
    assert "Nothing is known to be wrong" in part(console.signed_in("rita").get("/"), "wrong")


def test_a_policy_waits_for_a_second_person(console):
    console.adopt()
    version = register(console, "strict", STRICT)
    console.do("root", approvals.bind_policy, PROJECT, "production", version.ref)

    waits = part(console.signed_in("rita").get("/"), "waits")

    assert "Confirm the policy strict@1.0.0 for production" in waits
    assert "Nothing waits" in part(console.signed_in("root").get("/"), "waits")


def test_a_change_of_a_group_waits_for_a_second_person(console):
    console.bind()
    console.do("root", identity.ask_change, PROJECT, "reviewers", "bob", "add")

    assert "Confirm that bob joins reviewers" in part(console.signed_in("rita").get("/"), "waits")
    assert "Nothing waits" in part(console.signed_in("root").get("/"), "waits")


def test_an_open_incident_is_wrong_until_it_is_resolved(console):
    rollout = console.running(block_s=1)
    console.traffic(rollout, 20, canary_down=1.0)

    wrong = part(console.signed_in("otto").get("/"), "wrong")

    assert "Thumbs down of support in production" in wrong


def test_who_may_read_little_sees_little(console):
    console.filed()
    console.person("new")

    assert "No project is open to you" in words_of(console.signed_in("new").get("/"))
