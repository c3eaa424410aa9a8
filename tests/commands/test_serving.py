"""`assent server` and `assent serve`: ports, health, an orderly end."""

import signal
import socket

import httpx
import pytest

from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent_client.cli.main import main
from assent_client.errors import Conflict, Invalid, NotFound
from examples.story import desk as desks
from examples.story.processes import children

END_S = 12


@pytest.fixture
def environment(tmp_path, monkeypatch):
    settings = {**desks.environment(tmp_path, 0), "ASSENT_GATEWAY_PORT": "0", "ASSENT_PUBLIC_URL": ""}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def add_project():
    settings = load()
    prepare(settings)
    with opened(settings) as runtime, runtime.session.begin(SYSTEM) as tx:
        identity.create_project(tx, "shop", "A shop")
        identity.create_environment(tx, "shop", "production", protected=True)


@pytest.mark.parametrize("command", ["server", "serve"])
def test_a_port_in_use_is_a_clear_error(environment, monkeypatch, capsys, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("ASSENT_PORT", str(port))
        assert main([command]) == Conflict.exit_code
    err = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port}" in err
    assert "ASSENT_PORT" in err


def test_a_gateway_of_no_environment_is_refused_before_anything_starts(environment, capsys):
    for place, error in (("production", Invalid), ("shop/production", NotFound)):
        assert main(["serve", "--gateway", place]) == error.exit_code
    assert "PROJECT/ENVIRONMENT" in capsys.readouterr().err


def test_without_an_environment_one_process_serves_and_says_so(environment, tmp_path):
    with children(tmp_path / "logs", environment) as running:
        child = running.start("serve", ["serve"], r"server ready on (\S+), worker ready")
        assert "no gateway: say which environment" in child.log.read_text()
        ends_in_order(child)


def test_one_process_runs_server_worker_and_gateway(environment, tmp_path):
    add_project()
    with children(tmp_path / "logs", environment) as running:
        child = running.start(
            "serve",
            ["serve", "--gateway", "shop/production"],
            r"(?s)server ready on (\S+), worker ready.*gateway of shop/production ready on (\S+)/v1",
        )
        for path in ("/healthz", "/readyz"):
            assert httpx.get(child.ready[1] + path, trust_env=False, timeout=10).json() == {"status": "ok"}
        assert httpx.get(child.ready[2] + "/healthz", trust_env=False, timeout=10).status_code == 200
        ends_in_order(child)


def ends_in_order(child):
    child.process.send_signal(signal.SIGTERM)
    child.process.wait(END_S)
    assert child.process.returncode in {0, -signal.SIGTERM}
    assert "Traceback" not in child.log.read_text()
