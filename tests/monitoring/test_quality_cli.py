"""`assent quality` as people call it, against a server on the loopback; and what others may not."""

import json

import pytest

from assent.delivery import http as delivery_http
from assent.delivery import service as delivery
from assent.delivery.domain import Route, compile_route
from assent.delivery.domain.events import VersionAdopted
from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.identity.domain import EnvironmentCreated, ProjectCreated
from assent.ledger import service as ledger
from assent.monitoring import http
from assent.providers import service as providers
from assent.web.routing import routes_of
from assent_client.api import Api
from assent_client.cli.main import main
from assent_client.errors import Forbidden
from tests.monitoring.conftest import PLAN, STABLE
from tests.monitoring.judging import calibrate, document, judging, sample, tick
from tests.serving import api_of, listening

ROUTES = routes_of([http.router, identity_http.router, delivery_http.router])

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
    app = api_of(desk.runtime, ROUTES)
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


@pytest.fixture
def apply(place, tmp_path, capsys):
    """Apply a file; give the exit code, what becomes of each sampling, and the error."""
    path = tmp_path / "assent.yaml"

    def run(text, *words):
        path.write_text(text)
        code = main(["apply", "-f", str(path), *words, "--json"])
        out, err = capsys.readouterr()
        changes = json.loads(out)["changes"] if out else []
        found = {
            one["name"]: (one["action"], *one["differs"]) for one in changes if one["kind"] == "sampling"
        }
        return code, found, json.loads(err or "null")

    return run


FILE = """\
assent: 1
project: {name: acme}
samplings:
- {name: assistant, environment: production, judge: polite, share: 0.25, per_day: 50, reason: watch politeness}
"""
GRADED = "production/assistant"


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


def reasons(desk):
    """Give why samplings were set, oldest first."""
    with desk.session.read() as reader:
        leaves = [one for one in ledger.leaves(reader, 0, 100) if one.type == "delivery.sampling.set"]
        return [delivery.reason_text(reader, json.loads(one.entry)["reason"]) for one in leaves]


def test_a_sampling_in_a_file_is_set_once_and_brought_to_what_the_file_says(place, assent, apply):
    with place.writing() as tx:
        calibrate(tx, document())
    assert apply(FILE, "--check") == (1, {GRADED: ("create",)}, None)
    assert assent("list")[1] == []
    assert apply(FILE) == (0, {GRADED: ("create",)}, None)
    (found,) = assent("list")[1]
    set_to = ("judge", "share", "per_day", "keep_days", "enabled")
    assert [found[name] for name in set_to] == ["polite", 0.25, 50, 7, True]
    assert apply(FILE) == apply(FILE, "--check") == (0, {GRADED: ("unchanged",)}, None)
    assert apply(FILE.replace("watch politeness", "again"), "--check")[0] == 0
    changed = FILE.replace("0.25", "1").replace("50,", "60, keep_days: 3,")
    assert apply(changed, "--check")[:2] == (1, {GRADED: ("update", "share", "per_day", "keep_days")})
    assert apply(changed)[0] == 0
    assert [assent("list")[1][0][name] for name in set_to] == ["polite", 1.0, 60, 3, True]
    nothing = FILE.partition("samplings:")[0]
    assert (apply(nothing)[:2], assent("list")[1][0]["enabled"]) == ((0, {}), True)
    assent("off", "assistant", "--environment", "production", *WHY)
    assert apply(changed.replace(", reason: watch politeness", ""))[:2] == (
        0,
        {GRADED: ("update", "enabled")},
    )
    assert assent("list")[1][0]["enabled"]
    assert reasons(place) == ["watch politeness", "watch politeness", "to see", "assent.yaml"]


def test_a_sampling_waits_for_a_release_and_for_its_judge(place, assent, apply):
    code, found, _ = apply(FILE)
    action, why = found[f"{GRADED} (waits)"]
    assert (code, action) == (0, "unchanged")
    assert why.startswith("The judge polite has no passport for assistant. Calibrate it: assent judge cal")
    unreleased = FILE.replace("name: assistant", "name: writer")
    assert apply(unreleased, "--check")[1]["production/writer (waits)"][1:3] == (
        "Nothing was released as writer to production yet. Release a version of writer first.",
        (
            "The judge polite has no passport for writer. Calibrate it: "
            "assent judge calibrate polite JUDGE --subject writer@VERSION --labels LABELS"
        ),
    )
    fresh = FILE.replace("production", "next").replace(
        "samplings:", "environments: [{name: next}]\nsamplings:"
    )
    waiting = {
        "next/assistant (waits)": ("unchanged", "what it needs is made first: apply the file again then")
    }
    assert apply(fresh)[:2] == (0, waiting)
    assert apply(fresh)[1]["next/assistant (waits)"][1].startswith(
        "Nothing was released as assistant to next"
    )
    assert assent("list")[1] == []


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("0.25", "1.5", 10, "assent.yaml:4: sampling production/assistant: The share is 1.5."),
        ("50", "0", 10, "assent.yaml:4: sampling production/assistant: 0 judgements a day."),
        (
            "environment: production",
            "environment: nowhere",
            13,
            "assent.yaml:4: sampling nowhere/assistant: ",
        ),
        ("judge: polite, ", "", 10, "the field `judge` is missing"),
        ("0.25", "often", 10, "`share` must be a number"),
        ("0.25", "0.25, days: 3", 10, "there is no field 'days'"),
    ],
)
def test_a_mistake_in_a_sampling_is_told_with_its_line(apply, assent, old, new, code, said):
    failed, _, problem = apply(FILE.replace(old, new))
    assert (failed, said in problem["detail"]) == (code, True), problem
    assert assent("list")[1] == []


def test_what_is_no_model_cannot_be_sampled_by_a_file(place, apply):
    route = Route(key="greeting", kind="prompt", stable=STABLE, generation=1, unit="user", salt="s")
    place.record(
        VersionAdopted(
            project="acme", environment="production", name="greeting", kind="prompt", subject=STABLE,
            ref="greeting@1.0.0", route=compile_route(route), route_generation=1,
        )
    )  # fmt: skip
    code, _, problem = apply(FILE.replace("name: assistant", "name: greeting"))
    assert (code, "greeting is a prompt: its calls do not pass here" in str(problem["reasons"])) == (15, True)
