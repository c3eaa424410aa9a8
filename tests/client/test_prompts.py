"""The brief's PromptRegistry against the whole application on a real socket, with threads, forks and no server."""

import os
import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from assent.app import create_app
from assent.delivery import service as delivery
from assent.identity import service as identity
from assent.prompts import service as prompts
from assent.registry import service as models
from assent_client.cache import Bounds
from assent_client.errors import Conflict, Forbidden, Gone, Invalid, NotFound, Refused, Unavailable
from assent_client.prompts import PromptRegistry, RegistrySettings
from tests.approvals.shop import PLAN, PROJECT, open_shop

VOTES = {"title": "Votes", "conditions": [{"kind": "approvals", "factors": [{"group": "reviewers", "n": 1}]}]}


class House:
    """A shop behind its application on a socket that can be closed and opened again."""

    def __init__(self, shop, app, folder):
        self.shop, self.app, self.folder = shop, app, folder
        self.port, self.n_snapshots = 0, 0
        self.opened = []

    @contextmanager
    def served(self):
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", self.port))
        bound.listen(100)
        self.port = bound.getsockname()[1]
        config = uvicorn.Config(
            self.count, interface="asgi3", lifespan="off", log_level="warning", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(10)
            bound.close()

    async def count(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"].endswith("/snapshot"):
            self.n_snapshots += 1
        await self.app(scope, receive, send)

    def registry(self, who="ada", folder="sdk", **bounds):
        with self.shop.desk.begin(self.shop.people[who]) as tx:
            token = identity.issue_token(tx, self.shop.people[who].id, "sdk", None)
        settings = RegistrySettings(
            url=f"http://127.0.0.1:{self.port}",
            token=token,
            project=PROJECT,
            data_dir=self.folder / folder,
            bounds=Bounds(**bounds),
            timeout_s=20,  # machines that test are busy; a server that is gone refuses at once
        )
        self.opened.append(PromptRegistry(settings))
        return self.opened[-1]

    def adopt(self, ref):
        adoption = delivery.Adoption(
            project=PROJECT, environment="production", subject=ref, reason="it was live"
        )
        self.shop.do("otto", delivery.adopt, adoption)

    def file(self, ref):
        release = delivery.Release(project=PROJECT, environment="production", subject=ref, plan=PLAN)
        return self.shop.do("ada", delivery.request_release, release)

    def released(self, ref):
        """Ask, vote, start: the canary runs."""
        rollout = self.file(ref)
        self.shop.sign_in()
        self.shop.vote("rita", self.shop.get(rollout.request))
        return self.shop.start(rollout)


@pytest.fixture
def house(desk, tmp_path):
    shop = open_shop(desk)
    shop.bind("votes", VOTES)
    house = House(shop, create_app(desk.runtime), tmp_path)
    with house.served():
        yield house
        for registry in house.opened:
            registry.close()


def test_a_prompt_goes_from_registration_to_production(house):
    ada, rita = house.registry(), house.registry("rita", "rita")
    draft = ada.register("greeting", "Hello {{name}}", author="bob")
    assert (draft.version, draft.status, draft.created_by) == ("1.0.0", "draft", "ada")
    assert draft.template == "Hello {{name}}"
    assert draft.created_at == house.shop.clock.now()
    with pytest.raises(Conflict, match=r"greeting@1\.0\.0 is not in review") as refused:
        rita.approve("greeting", "1.0.0", approver="rita")
    assert "assent request create greeting@1.0.0" in refused.value.remedy

    rollout = house.file("greeting@1.0.0")
    assert ada.get("greeting", "1.0.0").status == "review"
    house.shop.sign_in()
    approved = rita.approve("greeting", "1.0.0", approver="rita", comment="reads well")
    assert approved.status == "approved"
    assert house.shop.get(rollout.request).state == "approved"


def test_nobody_approves_in_another_name_and_no_author_approves_at_all(house):
    ada, rita = house.registry(), house.registry("rita", "rita")
    ada.register("greeting", "Hello", author="ada")
    house.file("greeting@1.0.0")
    house.shop.sign_in()
    with pytest.raises(Forbidden, match="This token is rita's, so it cannot approve for ron"):
        rita.approve("greeting", "1.0.0", approver="ron")
    with pytest.raises((Refused, Forbidden)):
        ada.approve("greeting", "1.0.0", approver="ada")


def test_production_is_what_the_route_serves_and_not_the_latest_approved(house):
    registry = house.registry(fresh_s=0, stale_s=0, retry_s=0)
    registry.register("greeting", "Hello", author="ada")
    house.adopt("greeting@1.0.0")
    registry.register("greeting", "Hello!", author="ada", bump="minor")
    rollout = house.released("greeting@1.1.0")
    assert registry.get("greeting", "1.1.0").status == "approved"

    stable = registry.get_production("greeting")
    assert (stable.version, stable.template, stable.generation) == ("1.0.0", "Hello", 2)
    assert (stable.status, stable.created_by, stable.age_s) == ("approved", "ada", 0)
    assert stable.metrics["evaluation"] == []
    by_unit = {registry.get_production("greeting", unit=f"u{n}").version for n in range(200)}
    assert by_unit == {"1.0.0", "1.1.0"}

    ask = delivery.Ask(rollout=rollout.id, reason="it is worse")
    house.shop.do("otto", delivery.roll_back, ask)
    assert registry.get_production("greeting", unit="u1").version == "1.0.0"
    assert registry.get_production("greeting").generation > stable.generation


def test_a_prompt_that_a_system_pins_is_served_under_both_names(house):
    registry = house.registry(fresh_s=0, stale_s=0, retry_s=0)
    registry.register("greeting", "Hello", author="ada")
    house.shop.register("3.0.0", prompt="greeting@1.0.0")
    house.adopt("support@3.0.0")
    for name in ("greeting", "support"):
        found = registry.get_production(name)
        assert (found.prompt_id, found.version, found.template) == (name, "1.0.0", "Hello")
    registry.register("greeting", "Hi", author="ada")
    other = {"provider": "acme", "upstream_model": "m", "tier": "minimal", "prompt": "greeting@1.0.1"}
    house.shop.do("ada", models.register, PROJECT, "sales", "1.0.0", other)
    house.adopt("sales@1.0.0")
    assert registry.get_production("sales").template == "Hi"
    with pytest.raises(Conflict, match="serves several versions of greeting"):
        registry.get_production("greeting")


def test_what_is_not_served_is_an_error_that_says_so(house):
    registry = house.registry(fresh_s=0, stale_s=0, retry_s=0)
    with pytest.raises(NotFound, match="production serves no prompt 'nothing'"):
        registry.get_production("nothing")
    house.adopt("support@2.0.0")
    with pytest.raises(NotFound, match="has no prompt"):
        registry.get_production("support")
    registry.register("greeting", "Hello", author="ada")
    house.adopt("greeting@1.0.0")
    place = delivery.Place(project=PROJECT, environment="production", name="greeting")
    house.shop.do("otto", delivery.kill, place, "it answers rubbish")
    with pytest.raises((NotFound, Gone), match="greeting is not served"):
        registry.get_production("greeting")


def test_a_registration_says_what_is_wrong(house):
    registry = house.registry()
    with pytest.raises(NotFound, match="nobody"):
        registry.register("greeting", "Hello", author="nobody")
    for name, template in (
        ("greeting", "{{ 1 }}"),
        ("a/b", "x"),
        ("greeting", ""),
        ("greeting", {"text": 7}),
    ):
        with pytest.raises(Invalid):
            registry.register(name, template, author="ada")
    chat = registry.register("chat", {"messages": [{"role": "user", "content": "é\u2028<b>"}]}, author="ada")
    assert chat.template == '[{"content": "é\u2028<b>", "role": "user"}]'
    assert registry.get_latest("chat").digest == chat.digest


@pytest.fixture
def killed(desk, tmp_path):
    """A house whose server has served one prompt once and is gone."""
    shop = open_shop(desk)
    house = House(shop, create_app(desk.runtime), tmp_path)
    with house.served():
        registry = house.registry(fresh_s=0, stale_s=0.05, retry_s=0)
        registry.register("greeting", "Hello", author="ada")
        house.adopt("greeting@1.0.0")
        assert registry.get_production("greeting").version == "1.0.0"
    yield house
    for registry in house.opened:
        registry.close()


def test_without_a_server_memory_serves_and_after_a_restart_the_disk(killed):
    (running,) = killed.opened
    time.sleep(0.1)
    found = running.get_production("greeting")
    assert (found.version, found.created_by, found.status) == ("1.0.0", "ada", "approved")
    assert found.age_s >= 0.1

    restarted = killed.registry(fresh_s=0, stale_s=10 * 365 * 86_400, retry_s=0)
    again = restarted.get_production("greeting")
    assert (again.version, again.digest, again.created_at) == ("1.0.0", found.digest, found.created_at)
    with pytest.raises(Unavailable):
        restarted.get("greeting", "1.0.0")


def test_without_a_server_what_is_too_old_is_refused_where_that_is_asked_for(killed):
    registry = killed.registry(fresh_s=0, stale_s=0, retry_s=0, most_s=0)
    with pytest.raises(Unavailable, match="0 s are allowed"):
        registry.get_production("greeting")


def test_without_a_server_and_a_disk_it_says_so(killed):
    registry = killed.registry(folder="new")
    with pytest.raises(Unavailable, match="No server answers"):
        registry.get_production("greeting")


def test_a_record_that_no_server_told_is_left_out(killed):
    for path in (killed.folder / "sdk/prompts").iterdir():
        path.write_text("{broken")
    registry = killed.registry(stale_s=10 * 365 * 86_400)
    found = registry.get_production("greeting")
    assert (found.version, found.created_at, found.created_by, found.metrics) == ("1.0.0", None, None, None)


def test_a_server_that_comes_back_is_used_again(killed):
    registry = killed.registry(fresh_s=0, stale_s=0, retry_s=0)
    assert registry.get_production("greeting").age_s > 0
    with killed.served():
        assert registry.get_production("greeting").age_s == 0


def test_a_process_that_starts_asks_the_server_before_it_trusts_the_disk(killed):
    with killed.served():
        killed.registry(folder="other").register("greeting", "Hello again", author="ada")
        killed.adopt("support@2.0.0")
        registry = killed.registry(stale_s=10 * 365 * 86_400)
        with pytest.raises(NotFound, match="has no prompt"):
            registry.get_production("support")  # the snapshot on disk knows no support


def test_a_forged_snapshot_on_disk_is_not_used(killed):
    for path in (killed.folder / "sdk").glob("*.snapshot.json"):
        path.write_bytes(path.read_bytes().replace(b"payload", b"pauload"))
    registry = killed.registry(stale_s=10 * 365 * 86_400)
    with pytest.raises(Unavailable):
        registry.get_production("greeting")


def test_sixteen_threads_share_one_request(house):
    house.registry().register("greeting", "Hello", author="ada")
    house.adopt("greeting@1.0.0")
    registry = house.registry(folder="threads")
    found, gate = [], threading.Barrier(16)

    def ask():
        gate.wait()
        found.append(registry.get_production("greeting").version)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == ["1.0.0"] * 16
    assert house.n_snapshots == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_a_forked_child_serves_from_memory_and_then_asks_on_its_own(house):
    registry = house.registry(fresh_s=0, stale_s=0, retry_s=0)
    registry.register("greeting", "Hello", author="ada")
    house.adopt("greeting@1.0.0")
    assert registry.get_production("greeting").version == "1.0.0"
    held = registry._lock  # noqa: SLF001 -- what another thread of the parent may hold at the fork
    reader, writer = os.pipe()
    held.acquire()
    child = os.fork()
    if child == 0:  # the child leaves by os._exit, whatever happens
        try:
            os.write(writer, registry.get_production("greeting").version.encode())
        finally:
            os._exit(0)
    held.release()
    os.close(writer)
    assert os.read(reader, 5) == b"1.0.0"
    os.waitpid(child, 0)
    os.close(reader)
    assert registry.get_production("greeting").version == "1.0.0"


def test_a_status_that_changes_is_seen_after_a_refresh(house):
    registry = house.registry(fresh_s=0, stale_s=0, retry_s=0)
    registry.register("greeting", "Hello", author="ada")
    house.adopt("greeting@1.0.0")
    assert registry.get_production("greeting").status == "approved"
    version = house.shop.read(prompts.get, PROJECT, "greeting")
    house.shop.do("ada", prompts.deprecate, version, "too cold")
    assert registry.get_production("greeting").status == "deprecated"
