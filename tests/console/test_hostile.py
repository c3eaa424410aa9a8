"""Markup in every text that people and models write, looked at on every page: it stays text."""

import re
import shutil
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from assent.compliance import service as compliance
from assent.console.routes import ROUTERS
from assent.delivery import service as delivery
from assent.evaluation import service as evaluation
from assent.evaluation.service import NewRun, NewVersion
from assent.flags import service as flags
from assent.identity import service as identity
from assent.installation import opened
from assent.kernel.clock import FakeClock
from assent.kernel.settings import load
from assent.kernel.tx import SYSTEM
from assent.ledger import service as ledger
from assent.monitoring import jobs as monitoring_jobs
from assent.monitoring import service as monitoring
from assent.notifications import service as notifications
from assent.notifications import store as notifications_store
from assent.notifications.domain.subscriptions import Channel
from assent.notifications.service import Target, outbox
from assent.prompts import service as prompts
from assent.providers import service as providers
from assent.registry import service as registry
from assent.registry.service import Change, Pointer
from assent.retirement import service as retirement
from tests.approvals.shop import GROUND, PROJECT, Desk
from tests.conftest import KeptJobs
from tests.console.shop import Console
from tests.console.test_evaluations import journal

MARK = "planted"
BAD = f"{MARK}\"'><img src=x onerror=alert(1)><script>alert(1)</script></textarea></title>{{{{1234567*8}}}}"
SOURCE = f'https://example.com/{MARK}"><script>alert(1)</script>'
HERE = f"/projects/{PROJECT}"
LABELLING = f"{HERE}/labelling"
NOT_WALKED = {"/sign-in/oidc/{provider}", "/sign-in/oidc/{provider}/callback"}
"""They lead away: no page of ours."""

SILENT = {
    "/", "/projects/{project}/evaluations", "/projects/{project}/rollouts/{rollout_id}/live",
    "/projects/{project}/retirement/{name}/{version}/reinstatement",
    "/projects/{project}/retirement/{name}/{version}/waiver",
    "/projects/{project}/retirement/{name}/{version}/end",
    "/sign-in", "/sign-in/{code}", "/projects/{project}/policies", "/projects/{project}/cards",
    "/projects/{project}/prompts", "/projects/{project}/inventory", "/projects/{project}/watches",
    "/projects/{project}/watches/{watch}", "/projects/{project}/rollouts/{rollout_id}/slices",
    "/projects/{project}/systems/{name}/preview/{environment}",
}  # fmt: skip
"""Pages that show no text that people choose: only names, numbers and what Assent says."""


class Elements(HTMLParser):
    """What a browser would make of a page, and the text it would show."""

    def __init__(self, page):
        super().__init__()
        self.wrong, self.shown = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        held = dict(attrs)
        if tag in {"img", "iframe", "object", "embed", "base"} or (tag == "script" and "src" not in held):
            self.wrong.append(tag)
        self.wrong += [name for name in names if name.startswith("on") or name == "style"]
        self.wrong += [name for name in names if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]*", name)]
        links = [held.get(name) or "" for name in ("href", "src", "action", "formaction")]
        self.wrong += [
            one for one in links if re.match(r"\s*(javascript|data|vbscript):", one, re.IGNORECASE)
        ]
        self.shown += "".join(value or "" for _, value in attrs)

    def handle_data(self, data):
        self.shown += data


def _plant_versions(console):
    with console.desk.begin() as tx:
        evil = identity.add_person(tx, "evil", BAD)
        identity.bind(tx, evil.id, "engineer", "*")
        identity.create_project(tx, "other", BAD)
    console.bind(content={**GROUND, "title": BAD})
    adoption = delivery.Adoption(
        project=PROJECT, environment="production", subject="support@2.0.0", reason=BAD
    )
    console.do("otto", delivery.adopt, adoption)
    console.register(
        "2.2.0", provider=BAD, upstream_model=BAD, base_model=BAD, owner=BAD, licence=BAD, description=BAD,
        parameters={"stop": [BAD], BAD: BAD}, response_models=[BAD],
    )  # fmt: skip
    content = {
        "messages": [{"role": "system", "content": BAD.replace("{", "").replace("}", "") + "{{ v }}"}],
        "variables": {"v": {"schema": {"description": BAD}, "description": BAD, "default": BAD}},
        "description": BAD,
        "parameters": {"stop": [BAD]},
    }
    console.do("ada", prompts.register, prompts.NewPrompt(PROJECT, "greeting", content))
    pointer = Pointer(project=PROJECT, name="support", label="champion")
    console.do("ada", registry.move_label, Change(pointer=pointer, reason=BAD), "2.2.0")


def _plant_releases(console):
    """Give a release that a guard took back, with its incident, and its request."""
    console.pass_suite("2.2.0", suite=BAD, name=BAD, note=BAD)
    request, rollout = console.file("2.2.0", block_s=1)
    console.sign_in()
    rita = console.signed_in("rita")
    address = f"{HERE}/requests/{request.id}"
    said = {"text": BAD, "path": "upstream_model", "line": "1"}
    assert rita.submit(rita.get(address), f"{address}/comments", **said).status_code == 303
    voted = rita.submit(rita.get(address), f"{address}/votes", verdict="approve", comment=BAD)
    assert voted.status_code == 303
    rollout = console.do("otto", delivery.start, delivery.Ask(rollout=rollout.id, reason=BAD))
    console.traffic(rollout, 20, canary_down=1.0)
    (incident,) = console.read(monitoring.incidents.list_, PROJECT)[0]
    console.do("otto", monitoring.incidents.resolve, PROJECT, incident.id, BAD)
    learned = monitoring.incidents.Review(BAD, (BAD,), (monitoring.incidents.Action(BAD, BAD),))
    console.do("otto", monitoring.incidents.review, PROJECT, incident.id, learned)
    _plant_alerts(console)
    return request, rollout


def _plant_alerts(console):
    new = monitoring.alerts.NewAlert("worse", "production", {"kind": "regression", "above": 0.1})
    console.do("otto", monitoring.alerts.set_, PROJECT, new)
    monitoring_jobs.watch_live(console.desk.runtime)
    new = monitoring.alerts.NewAlert("planted", "production", {"kind": "no_traffic"}, BAD)
    console.do("otto", monitoring.alerts.set_, PROJECT, new)
    until = console.clock.now() + timedelta(days=2)
    console.do("otto", monitoring.alerts.silence, PROJECT, "planted", until, BAD)
    by_hand = monitoring.incidents.NewIncident(
        environment="production", title=BAD, route=BAD, alert="planted"
    )
    console.do("otto", monitoring.incidents.open_, PROJECT, by_hand)


def _plant_flags(console):
    """A flag that is on by a rule, and a change of it that waits for a second person."""
    when = [{"attribute": BAD[:60], "op": "in", "value": [BAD]}]
    form = {
        "description": BAD,
        "owner": BAD,
        "variants": {"on": BAD, "off": ""},
        "rules": [{"id": "planted", "when": when, "variant": "on"}],
    }
    place = flags.Place(project=PROJECT, environment="production", name="planted")
    console.do("root", flags.create, flags.Change(place=place, form=form, reason=BAD))


def _plant_runs(console):
    rows = [
        {
            "id": f"{MARK}{i}",
            "input": f"{BAD} {i}",
            "target": f"{BAD} {i}",
            "tags": [BAD if i % 2 else "even"],
        }
        for i in range(20)
    ]
    console.do(SYSTEM, evaluation.register_dataset, NewVersion(PROJECT, "cases", rows))
    document = {
        "kind": "benchmark", "dataset": "cases", "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "margin": 0.05, "baseline": "support@2.0.0"},
    }  # fmt: skip
    console.do(SYSTEM, evaluation.register_suite, NewVersion(PROJECT, "facts", document))
    run = console.do(SYSTEM, evaluation.submit, NewRun(PROJECT, "facts", "support@2.1.0"))
    judge = {"model": BAD, "prompt": BAD, "parser": {"labels": ["yes", "no"], "positive": "yes"}}
    cases = [
        {"id": f"c{n}", "human": label, "reply": label if n % 10 else BAD}
        for n in range(100)
        for label in [("yes", "no")[n % 2]]
    ]
    new = evaluation.NewCalibration(PROJECT, "grader", judge, "support@2.1.0", cases)
    console.do(SYSTEM, evaluation.calibrate, new)
    return console.do(SYSTEM, evaluation.close, run.id, journal(console, run, lambda side, i: i % 2))


def _plant_notifications(console):
    """A receiver whose address and whose answers are hostile."""
    target = Target(Channel.WEBHOOK, "https://example.com/x", (), BAD)
    key = console.desk.runtime.signers.secret
    console.do("root", notifications.add, key, PROJECT, "ops", ["default"], target)
    console.do("root", identity.issue_key, PROJECT, "production", "another", ["support"])
    broken = retirement.Announcement(sunset_at=console.clock.now() + timedelta(days=9), reason=BAD)
    console.do("ada", retirement.deprecate, console.version("2.2.0"), broken)
    console.do(SYSTEM, outbox.tail)
    with console.desk.begin() as tx:
        n = tx.conn.execute(sa.update(notifications_store.deliveries).values(error=BAD)).rowcount
    assert n > 0


def _plant_rest(console):
    soon = console.clock.now() + timedelta(days=30)
    announced = retirement.Announcement(sunset_at=soon, reason=BAD, successor="support@2.1.0")
    console.do("ada", retirement.deprecate, console.version("2.0.0"), announced)
    waiver = (retirement.WaiverKind.UNREACHABLE, soon, BAD)
    console.do("rita", retirement.waive, console.version("2.0.0"), *waiver)
    console.do("root", providers.date_base_model, "own-7b", soon.date(), SOURCE)
    console.do("root", identity.issue_key, PROJECT, "production", BAD, ["support"])
    console.do("root", compliance.assign, (PROJECT, "support"), "owner", "evil", BAD)
    console.do("root", compliance.attest, (PROJECT, "support"), ("nist-ai-600-1", "MG-2.4-001", 30), BAD)
    with console.desk.begin(console.people["root"]) as tx:
        identity.issue_token(tx, console.people["root"].id, BAD, None)
    _plant_notifications(console)
    _plant_flags(console)
    ada = console.signed_in("ada")
    card = f"{HERE}/cards/support/2.1.0"
    assert ada.submit(ada.get(card), f"{card}/drafts").status_code == 303
    form = ada.get(f"{card}/form")
    names = re.findall(r'<textarea id="f-[^"]+" name="([^"]+)"', form.text)
    text = BAD.replace("</textarea>", "")
    answer = ada.submit(form, f"{card}/form", **dict.fromkeys(names, text))
    assert answer.status_code == 303, re.findall(r"<li>.*?</li>", answer.text)[:5]


@pytest.fixture(scope="module")
def walk(furnished, tmp_path_factory):
    """The shop with everything planted: a browser that may see all, and the addresses of each route."""
    data, people, now = furnished
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(data, folder / "data")
    settings = load(data_dir=folder / "data", origin="log.example/assent")
    with opened(settings, clock=FakeClock(now), enqueue=KeptJobs()) as runtime:
        console = Console(Desk(runtime), dict(people))
        _plant_versions(console)
        request, rollout = _plant_releases(console)
        run = _plant_runs(console)
        _plant_rest(console)
        with console.desk.begin() as tx:
            for role in ("engineer", "reviewer", "operator"):
                identity.bind(tx, people["root"].id, role, "*")
        console.sign_in()
        browser = console.signed_in("root")
        question = {"run": run.id, "question": BAD, "labels": "right, wrong"}
        opened_at = browser.submit(browser.get(LABELLING), LABELLING, **question).headers["location"]
        yield browser, {**addresses(console, request, rollout, run), **labelled(opened_at)}


def labelled(opened_at):
    return {
        "/projects/{project}/labelling": [LABELLING],
        "/projects/{project}/labelling/{labelling_id}": [opened_at],
        "/projects/{project}/judges": [f"{HERE}/judges"],
    }


def addresses(console, request, rollout, run):
    bad = quote(BAD)
    with console.desk.read() as reader:
        n = ledger.head(reader).size
        incidents, _ = monitoring.incidents.list_(reader, PROJECT)
        watches, _ = monitoring.watch_report.list_(reader, PROJECT)
        keys = [one["id"] for one in identity.list_keys(reader, PROJECT)]
    return {
        "/sign-in": [f"/sign-in?next={bad}"],
        "/sign-in/{code}": [f"/sign-in/{bad.replace('/', '')}"],
        "/account": ["/account"],
        "/": ["/"],
        "/projects/{project}/systems/{name}": [f"{HERE}/systems/support"],
        "/projects/{project}/versions/{name}/{number}": [
            f"{HERE}/versions/support/{number}" for number in ("2.0.0", "2.1.0", "2.2.0")
        ],
        "/projects/{project}/labels/{name}/{label}": [f"{HERE}/labels/support/champion"],
        "/projects/{project}/search": [f"{HERE}/search?filter={bad}&q={bad}", f"{HERE}/search?q={MARK}"],
        "/projects/{project}/prompts": [f"{HERE}/prompts"],
        "/projects/{project}/prompts/{name}": [f"{HERE}/prompts/greeting?var.v={bad}&var.{bad}={bad}"],
        "/projects/{project}/requests/{request_id}": [f"{HERE}/requests/{request.id}"],
        "/projects/{project}/rollouts/{rollout_id}": [f"{HERE}/rollouts/{rollout.id}"],
        "/projects/{project}/rollouts/{rollout_id}/live": [f"{HERE}/rollouts/{rollout.id}/live"],
        "/projects/{project}/rollouts/{rollout_id}/{action_path}": [
            f"{HERE}/rollouts/{rollout.id}/rollback", f"{HERE}/rollouts/{rollout.id}/{bad.replace('/', '')}",
        ],
        "/projects/{project}/rollouts/{rollout_id}/slices": [f"{HERE}/rollouts/{rollout.id}/slices"],
        "/projects/{project}/monitoring": [
            f"{HERE}/monitoring", f"{HERE}/monitoring?name={bad[:60]}&period=custom&start={bad[:60]}",
        ],
        "/projects/{project}/monitoring/live": [f"{HERE}/monitoring/live?environment={bad[:60]}"],
        "/projects/{project}/alerts": [f"{HERE}/alerts"],
        "/projects/{project}/watches": [f"{HERE}/watches"],
        "/projects/{project}/watches/{watch}": [f"{HERE}/watches/{one.id}" for one in watches],
        "/projects/{project}/incidents": [f"{HERE}/incidents"],
        "/projects/{project}/incidents/{incident}": [f"{HERE}/incidents/{one.id}" for one in incidents],
        "/projects/{project}/flags": [f"{HERE}/flags", f"{HERE}/flags?environment={bad[:60]}"],
        "/projects/{project}/flags/{environment}/{name}": [
            f"{HERE}/flags/production/planted?unit={bad[:60]}&context={bad}",
        ],
        "/projects/{project}/flags/{environment}/{name}/{path}": [
            f"{HERE}/flags/production/planted/confirm", f"{HERE}/flags/production/planted/{bad.replace('/', '')}",
        ],
        "/projects/{project}/flags/{environment}/{name}/preview": [f"{HERE}/flags/production/planted/preview"],
        "/projects/{project}/systems/{name}/preview/{environment}": [f"{HERE}/systems/support/preview/production"],
        "/projects/{project}/retirement": [f"{HERE}/retirement"],
        "/projects/{project}/retirement/announcements": [
            f"{HERE}/retirement/announcements?version={bad}&successor={bad}&sunset={bad}"
        ],
        "/projects/{project}/retirement/{name}/{version}/reinstatement": [
            f"{HERE}/retirement/support/2.0.0/reinstatement"
        ],
        "/projects/{project}/retirement/{name}/{version}/waiver": [f"{HERE}/retirement/support/2.0.0/waiver"],
        "/projects/{project}/retirement/{name}/{version}/end": [f"{HERE}/retirement/support/2.0.0/end"],
        "/leaves/{index}": [f"/leaves/{index}" for index in range(n)],
        "/projects/{project}/people": [f"{HERE}/people"],
        "/projects/{project}/keys": [f"{HERE}/keys"],
        "/projects/{project}/keys/{key}": [f"{HERE}/keys/{key}" for key in keys],
        "/projects/{project}/keys/{key}/revocation": [f"{HERE}/keys/{key}/revocation" for key in keys],
        "/projects/{project}/notifications": [
            f"{HERE}/notifications", f"{HERE}/notifications?name={bad[:60]}&state={bad[:60]}",
        ],
        "/projects/{project}/policies": [
            f"{HERE}/policies", f"{HERE}/policies?policy={bad[:60]}&environment=production",
        ],
        "/projects/{project}/cards": [f"{HERE}/cards"],
        "/projects/{project}/cards/{name}/{number}": [f"{HERE}/cards/support/2.1.0"],
        "/projects/{project}/cards/{name}/{number}/exports/{form}": [
            f"{HERE}/cards/support/2.1.0/exports/html?revision={n}" for n in (1, 2)
        ],
        "/projects/{project}/cards/{name}/{number}/form": [f"{HERE}/cards/support/2.1.0/form"],
        "/projects/{project}/systems/{name}/compliance": [
            f"{HERE}/systems/support/compliance", f"{HERE}/systems/support/compliance?version={bad[:60]}",
        ],
        "/projects/{project}/inventory": [f"{HERE}/inventory"],
        "/projects/{project}/ledger": [f"{HERE}/ledger", f"{HERE}/ledger?subject={bad}&type={bad}&actor={bad}"],
        "/projects/{project}/ledger/export": [f"{HERE}/ledger/export"],
        "/projects/{project}/evaluations": [f"{HERE}/evaluations", f"{HERE}/evaluations?suite={bad[:60]}"],
        "/projects/{project}/evaluations/{run}": [f"{HERE}/evaluations/{run.id}"],
        "/projects/{project}/evaluations/{run}/compare": [f"{HERE}/evaluations/{run.id}/compare?other={bad[:60]}"],
    }  # fmt: skip


GETS = sorted({route.path for router in ROUTERS for route in router.routes if "GET" in route.methods})


@pytest.mark.parametrize("path", [path for path in GETS if path not in NOT_WALKED])
def test_what_was_planted_is_text_wherever_it_shows(walk, path):
    browser, known = walk
    assert known.get(path), f"say in `addresses` where {path} is walked"
    shown = ""
    for address in known[path]:
        answer = browser.get(address)
        assert answer.status_code in {200, 303, 404, 409, 422}, (address, answer.status_code)
        if "text/html" not in answer.headers.get("content-type", ""):
            assert answer.headers["x-content-type-options"] == "nosniff"
            continue
        found = Elements(answer.text)
        assert found.wrong == [], (address, found.wrong)
        assert "9876536" not in answer.text, f"{address} evaluates what people write"
        shown += found.shown
    if path not in SILENT and path != "/projects/{project}/ledger/export":
        assert MARK in shown, f"nothing that was planted shows on {path}"


def test_a_page_that_would_let_markup_through_is_found():
    for page in (
        f"<p>{BAD}</p>", f'<input value="{BAD}">', "<a href='javascript:alert(1)'>x</a>", "<p onclick=x>",
        "<p style='x'>", "<base href=x>",
    ):  # fmt: skip
        assert Elements(page).wrong
    assert Elements('<script src="/static/a.js"></script><p class="x" data-a="1">a</p>').wrong == []
