"""A shop, on SQLite and on each database."""

import shutil
from contextlib import contextmanager

import pytest

from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from tests.approvals.shop import Desk, Shop, open_shop
from tests.conftest import KeptJobs, installed


@pytest.fixture(scope="session")
def furnished(tmp_path_factory):
    """The data directory of a shop that is ready, its people and its time: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("furnished")
    with installed(folder) as desk:
        shop = open_shop(desk)
        return folder / "data", shop.people, shop.clock.now()


@contextmanager
def copied(furnished, folder):
    data, people, now = furnished
    shutil.copytree(data, folder / "data")
    settings = load(data_dir=folder / "data", origin="log.example/assent")
    with opened(settings, clock=FakeClock(now), enqueue=KeptJobs()) as runtime:
        yield Shop(Desk(runtime), dict(people))


@pytest.fixture
def shop(furnished, tmp_path):
    with copied(furnished, tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def open_copy(furnished, tmp_path_factory):
    """Open any number of shops, each with a data directory of its own."""

    @contextmanager
    def open_one():
        with copied(furnished, tmp_path_factory.mktemp("shop")) as found:
            yield found

    return open_one


@pytest.fixture
def shop_on_each(installation):
    return open_shop(installation)
