"""A shop, on SQLite and on each database, and behind its HTTP server."""

import json
import shutil
from contextlib import contextmanager

import pytest

from assent.app import create_app
from assent.identity import service as identity
from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent_client.api import Api
from assent_client.cli.connection import OPTIONS
from assent_client.cli.main import main
from tests.approvals.shop import PLAN, PROJECT, Desk, Shop, open_shop
from tests.conftest import KeptJobs, installed
from tests.serving import listening


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


class Served:
    """The shop behind its HTTP server; everybody has a token that is as recent as their sign-in."""

    def __init__(self, url, shop):
        self.url, self.shop = url, shop
        self.tokens = {name: shop.do(name, self._token, name) for name in shop.people}
        robot = shop.do("root", identity.add_service, "ci")
        shop.do("root", identity.bind, robot.id, "reviewer", PROJECT)
        self.tokens["ci"] = shop.do(SYSTEM, identity.issue_token, robot.id, "ci", None)

    def _token(self, tx, name):
        return identity.issue_token(tx, tx.actor.id, f"for {name}", None)

    def api(self, who):
        return Api(self.url, self.tokens[who], PROJECT)


@pytest.fixture
def served(shop):
    with listening(create_app(shop.desk.runtime)) as port:
        yield Served(f"http://127.0.0.1:{port}", shop)


@pytest.fixture
def assent(served, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_URL", served.url)
    monkeypatch.setenv("ASSENT_PROJECT", PROJECT)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.yaml").write_text(json.dumps(PLAN))

    def run(who, *words):
        monkeypatch.setenv("ASSENT_TOKEN", served.tokens[who])
        code = main([str(word) for word in words])
        OPTIONS.reset()
        out, err = capsys.readouterr()
        return code, out, err

    return run
