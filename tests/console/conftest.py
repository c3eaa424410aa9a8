"""The console over the whole installation, looked at by browsers that keep cookies."""

import shutil

import pytest

from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from tests.approvals.shop import Desk, open_shop
from tests.conftest import KeptJobs
from tests.conftest import installed as open_installation
from tests.console.shop import Console


@pytest.fixture(scope="session")
def furnished(tmp_path_factory):
    """The data directory of a shop that is ready, its people and its time: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("furnished")
    with open_installation(folder) as desk:
        shop = open_shop(desk)
        return folder / "data", shop.people, shop.clock.now()


@pytest.fixture
def console(furnished, tmp_path):
    """A shop with two versions of an assistant, and its console."""
    data, people, now = furnished
    shutil.copytree(data, tmp_path / "data")
    settings = load(data_dir=tmp_path / "data", origin="log.example/assent")
    with opened(settings, clock=FakeClock(now), enqueue=KeptJobs()) as runtime:
        yield Console(Desk(runtime), dict(people))


@pytest.fixture
def installed(console):
    """The same, for tests that bring people of their own."""
    console.browser()
    return console
