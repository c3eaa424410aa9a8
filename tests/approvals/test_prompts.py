"""A prompt is a subject like a model: requests and votes move its status, and its route serves it."""

import pytest

from assent.approvals import service
from assent.delivery import service as delivery
from assent.kernel.tx import SYSTEM
from assent.prompts import service as prompts
from tests.approvals.shop import PLAN, PROJECT


@pytest.fixture
def prompt(shop):
    def register(text, who="ada"):
        return shop.do(who, prompts.register, prompts.NewPrompt(PROJECT, "greeting", {"text": text}))[0]

    return register


def status(shop, version):
    return shop.read(prompts.get, PROJECT, "greeting", version.number).status


def file(shop, version):
    release = delivery.Release(project=PROJECT, environment="production", subject=version.ref, plan=PLAN)
    rollout = shop.do("ada", delivery.request_release, release)
    return shop.get(rollout.request), rollout


def test_an_adopted_prompt_is_approved_by_that(shop, prompt):
    live = prompt("Hi")
    adoption = delivery.Adoption(
        project=PROJECT, environment="production", subject=live.ref, reason="it was live"
    )
    assert status(shop, live) == "draft"
    shop.do("otto", delivery.adopt, adoption)
    assert status(shop, live) == "approved"


def test_a_prompt_goes_to_review_when_it_is_asked_for_and_back_when_nobody_asks_any_more(shop, prompt):
    version = prompt("Hi")
    request, _ = file(shop, version)
    assert status(shop, version) == "review"
    shop.do("ada", service.withdraw, request.id, PROJECT)
    assert status(shop, version) == "draft"
    assert shop.get(request.id).state == "withdrawn"


def test_a_request_that_runs_out_gives_the_prompt_back(shop, prompt):
    version = prompt("Hi")
    request, _ = file(shop, version)
    shop.clock.advance(15 * 86_400)
    assert shop.do(SYSTEM, service.expire, request.id)
    assert status(shop, version) == "draft"


VOTES = {"title": "Votes", "conditions": [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 1}]}]}


def test_votes_approve_a_prompt_or_give_it_back_and_a_new_request_asks_again(shop, prompt):
    shop.bind("votes", VOTES)
    version = prompt("Hi")
    request, _ = file(shop, version)
    shop.sign_in()
    shop.vote("rita", request, "reject")
    assert (shop.get(request.id).state, status(shop, version)) == ("rejected", "draft")
    new = service.NewRequest(project=PROJECT, environment="production", subject=version.digest)
    again = shop.do("ada", service.submit, new)
    assert status(shop, version) == "review"
    shop.vote("rita", again)
    assert (shop.get(again.id).state, status(shop, version)) == ("approved", "approved")
