"""`assent quality` as people call it, against a server on the loopback; and what others may not."""

import json

import pytest
from fastapi import FastAPI

from assent.delivery import http as delivery_http
from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.identity.domain import EnvironmentCreated, ProjectCreated
from assent.monitoring import http
from assent.providers import service as providers
from assent.web.api import install_errors
from assent_client.api import Api
from assent_client.cli.main import main
from assent_client.errors import Forbidden
from tests.monitoring.conftest import PLAN, listening
from tests.monitoring.judging import calibrate, document, judging, sample, tick

SET = ("set", "assistant", "--environment", "production", "--judge", "polite")
WHY = ("--reason", "to see")


@pytest.fixture
def place(desk, monkeypatch, tmp_path):
    desk.plan(PLAN, kind="model")
    with judging() as judge, desk.writing() as tx:
        token = identity.bootstrap(tx, "ann")
        tx.record(ProjectCreated(project="acme", title="Acme"))
        tx.record(EnvironmentCreated(project="acme", name="production", protected=False))
        providers.set_provider(tx, "acme", "judges", providers.Upstream(base_url=judge.url))
        eve = identity.add_service(tx, "eve")
        identity.bind(tx, eve.id, "auditor")
        desk.eve = identity.issue_token(tx, eve.id, "eve", None)
    app = FastAPI()
    app.state.runtime, app.state.authenticate = desk.runtime, identity_http.authenticator(desk.runtime)
    app.include_router(http.router)
    app.include_router(delivery_http.router)
    install_errors(app)
    monkeypatch.setenv("ASSENT_TOKEN", token)
    monkeypatch.setenv("ASSENT_PROJECT", "acme")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with listening(app) as port:
        desk.url = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("ASSENT_URL", desk.url)
        yield desk


@pytest.fixture
def assent(place, capsys):
    def run(*words, as_json=True):
        code = main(["quality", *words, *(["--json"] if as_json else [])])
        out, err = capsys.readouterr()
        return code, (json.loads(out or err) if as_json else out + err)

    return run


def test_quality_on_the_command_line_from_setting_to_reading(place, assent):
    assert "No live calls are graded" in assent("list", as_json=False)[1]
    code, refused = assent(*SET, "--share", "0.5", "--per-day", "50", *WHY)
    assert (code, refused["code"]) == (16, "refused")
    assert refused["reasons"][0]["remedy"].startswith("Calibrate it: assent judge calibrate polite JUDGE")
    with place.writing() as tx:
        calibrate(tx, document())
    code, wrong = assent(*SET, "--share", "1.5", "--per-day", "0", "--keep-days", "400", *WHY)
    assert (code, [one["id"] for one in wrong["reasons"]]) == (10, ["share", "per_day", "keep_days"])
    code, found = assent(*SET, "--share", "0.5", "--per-day", "50", *WHY)
    assert (code, found["share"], found["enabled"], found["set_by"]) == (0, 0.5, True, "ann")
    call = place.call("u1")
    place.send(call, made := sample(place, call, "BAD", "Is it [email]?"))
    assert assent("list")[1][0]["trouble"] is None
    code, (shown,) = assent("samples", "assistant", "--state", "waiting")
    assert (code, shown["id"], shown["has_contents"]) == (0, made.id, True)
    assert made.id in assent("samples", as_json=False)[1]
    code, read = assent("read", made.id, "--reason", "a complaint")
    assert (code, read["question"], read["answer"]) == (0, "Is it [email]?", "BAD")
    assert "on record" in assent("read", made.id, *WHY, as_json=False)[1]
    tick(place)
    place.clock.advance(60)
    tick(place)
    code, down = assent("list")
    assert (code, down[0]["trouble"][:26]) == (1, "the judge does not answer ")
    with judging() as judge:
        with place.writing() as tx:
            providers.set_provider(tx, "acme", "judges", providers.Upstream(base_url=judge.url))
        place.clock.advance(60)
        tick(place)
    code, (scored,) = assent("show", "assistant", "--environment", "production", "--since", "1h")
    assert (code, scored["score"]["mean"], scored["score"]["n"], scored["n_judged"]) == (0, 0.0, 1, 1)
    assert "0.000 [0.000, 0." in assent("show", as_json=False)[1]
    code, ended = assent("off", "assistant", "--environment", "production", *WHY)
    assert (code, ended["enabled"]) == (0, False)
    assert "none yet" not in assent("list", as_json=False)[1]


def test_who_may_look_around_may_not_read_what_users_said(place, assent):
    with place.writing() as tx:
        calibrate(tx, document())
    assent(*SET, "--share", "1", "--per-day", "50", *WHY)
    call = place.call("u1")
    place.send(call, made := sample(place, call))
    with Api(place.url, place.eve, "acme") as eve:
        assert eve.get(f"/v1/projects/acme/samples/{made.id}")["openings"] == []
        (shown,) = eve.get("/v1/projects/acme/quality/judged")["items"]
        assert (shown["score"]["mean"], shown["n_waiting"]) == (None, 1)
        with pytest.raises(Forbidden):
            eve.post(f"/v1/projects/acme/samples/{made.id}/openings", {"reason": "curious"})
        with pytest.raises(Forbidden):
            eve.post("/v1/projects/acme/environments/production/samplings/assistant/stops", {"reason": "x"})
    assert "none yet" in assent("show", as_json=False)[1]
