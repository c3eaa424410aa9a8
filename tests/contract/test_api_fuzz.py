"""The OpenAPI document, and the server held against it by calls that schemathesis generates.

`make fuzz-api` is the long form, on a server process of its own.
"""

import itertools

import pytest
import schemathesis

from assent.kernel.errors import ERRORS
from tests.approvals.shop import open_shop
from tests.conftest import installed
from tests.contract.fuzzing import KINDS, Campaign, Known, Server, without_security
from tests.contract.seeds import seeds
from tests.serving import listening

N_PARTS = 3
ROLES = {
    "chief": ("admin", "engineer", "reviewer", "operator"),
    "developer": ("engineer",),
    "reader": ("auditor",),
}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """The OpenAPI document, made once: it takes a second."""
    with installed(tmp_path_factory.mktemp("described")) as desk:
        return desk.app.openapi()


@pytest.fixture
def campaign(tmp_path, document):
    with installed(tmp_path, hook_http=True, hook_allow=("127.0.0.1",)) as desk:
        open_shop(desk)
        numbers = itertools.count()

        def renew(kind):
            return desk.token(desk.person(f"{kind}-{next(numbers)}", *ROLES[kind]))

        with listening(desk.app) as port:
            opened = Campaign(document, Server(f"http://127.0.0.1:{port}", renew), Known())
            opened.plant(seeds(desk.clock.now()))
            yield opened
            opened.session.close()


def operations(document):
    return [
        (f"{verb} {path}", one) for path, verbs in document["paths"].items() for verb, one in verbs.items()
    ]


def test_the_document_is_valid_and_every_operation_says_what_it_does(document):
    schemathesis.openapi.from_dict(without_security(document)).validate()
    names = [one["operationId"] for _, one in operations(document)]
    assert len(names) == len(set(names)) > 250
    for name, one in operations(document):
        assert one["summary"], name
        assert one["description"], name
        assert one["tags"], name
        assert all(parameter.get("description") for parameter in one.get("parameters", ())), name


def test_every_operation_documents_its_refusals_as_problems(document):
    known = {error.status for error in ERRORS.values()} | {500}
    for name, one in operations(document):
        refusals = {int(status) for status in one["responses"] if int(status) >= 401}
        assert refusals <= known, name
        assert {500, 503} <= refusals, name
        if "security" in one:
            ((scheme, (permission,)),) = one["security"][0].items()
            assert scheme == "token", name
            assert permission.count(".") == 2, name
            assert {401, 403, 404} <= refusals, name
    for one in document["components"]["responses"].values():
        assert list(one["content"]) == ["application/problem+json"]


@pytest.mark.parametrize("part", range(N_PARTS))
def test_no_call_fails_the_server_or_breaks_its_description(campaign, part):
    every = campaign.operations()
    campaign.explore(every)
    outcome = campaign.attack(every[part::N_PARTS], n=1, start=part)
    assert outcome.failures == {}
    assert set(outcome.operations) == {one.label for one in every[part::N_PARTS]}
    assert len(outcome.statuses) >= 5, outcome.statuses
    assert {"chief", "developer", "reader"} == set(KINDS)


def test_a_server_that_breaks_its_description_is_found_out(campaign):
    """What the checks are worth: the same calls against a document that promises something else."""
    for operation in campaign.schema.raw_schema["paths"].values():
        for one in operation.values():
            one["responses"].pop("404", None)
    campaign.attack([one for one in campaign.operations() if one.path.endswith("/{name}")][:6], n=4, start=0)
    assert any("UndefinedStatusCode 404" in what for what in campaign.outcome.failures)
