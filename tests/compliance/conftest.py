"""A shop whose assistant went the whole way, and what can be asked about it afterwards."""

import pytest

from assent.compliance import service
from tests.approvals.shop import PROJECT
from tests.cards.conftest import NAME as ASSISTANT
from tests.cards.conftest import stocked
from tests.conftest import installed
from tests.console.conftest import console, furnished  # noqa: F401 -- fixtures

ANSWERS = {one.id: "no" for one in service.questionnaire().questions}


class Office:
    """What is asked and done about compliance, over the desk of the cards' tests."""

    def __init__(self, desk):
        self.desk = desk
        self.runtime = desk.installation.runtime

    def read(self, look, *args, **named):
        return self.desk.read(look, *args, **named)

    def do(self, act, *args, who="root", **named):
        return self.desk.do(act, *args, who=who, **named)

    def issue(self, about):
        return self.do(service.issue, self.runtime.signers, PROJECT, about)

    def build(self, about):
        return self.read(service.build, self.runtime.signers, PROJECT, about)

    def pack(self, about):
        self.issue(about)
        return self.build(about)

    def rows(self, about=ASSISTANT, catalogue=None):
        found = self.read(service.coverage, PROJECT, about, catalogue)
        return {f"{c.id} {r.row.id}": r for c, results in found.catalogues for r in results}

    def classify(self, name=ASSISTANT, **answers):
        return self.do(service.classify, (PROJECT, name), {**ANSWERS, **answers}, "we asked around")


@pytest.fixture
def office(tmp_path):
    """An assistant in two versions, the newer one measured and with a published card."""
    with installed(tmp_path) as installation:
        desk = stocked(installation)
        desk.evaluate()
        desk.evaluate("safety")
        desk.publish()
        yield Office(desk)


@pytest.fixture
def anywhere(installation):
    """The same on each database, nothing measured yet."""
    return Office(stocked(installation))
