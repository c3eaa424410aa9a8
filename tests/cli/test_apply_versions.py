"""`assent apply` with datasets and suites, against the real routes over HTTP."""

import json

import pytest
import sqlalchemy as sa

import assent.evaluation.store as evaluation_store
import assent.identity.store as identity_store
from assent.evaluation import http as evaluation_http
from assent.identity import http as identity_http
from assent.identity import service as identity
from assent.kernel.blobs import Blobs
from assent.kernel.clock import FakeClock
from assent.kernel.db import connect
from assent.kernel.runtime import Runtime
from assent.kernel.settings import load
from assent.kernel.signing import load_signers
from assent.kernel.tx import SYSTEM, Ports, Projector, Session
from assent.ledger import service as ledger
from assent.web.routing import routes_of
from assent_client.cli.main import main
from tests.databases import prepared
from tests.serving import NoJobs, api_of, listening

ROUTES = routes_of([identity_http.router, evaluation_http.router])

TEXT = """\
assent: 1
project:
  name: support
datasets:
- name: questions
  version: 1.0.0
  file: questions.jsonl
suites:
- name: regression
  version: 1.0.0
  kind: regression
  dataset: questions@1.0.0
  scorers:
  - {name: correct, kind: exact}
  gate: {metric: correct, rule: non_inferior, margin: 0.05}
groups:
- name: reviewers
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    signers = load_signers(tmp_path / "keys", "log.example/assent")
    ports = Ports(
        clock=FakeClock(),
        blobs=Blobs(tmp_path / "blobs"),
        projector=Projector([identity_store.projections, evaluation_store.projections]),
        ledger=ledger.open_ledger(signers.ledger, tmp_path),
        jobs=NoJobs(),
    )
    with prepared("sqlite", tmp_path) as database:
        opened = Session(connect(database), ports)
    with opened.begin(SYSTEM) as tx:
        token = identity.bootstrap(tx, "root")
    app = api_of(Runtime(load(data_dir=tmp_path), opened, signers), ROUTES)
    with listening(app) as port:
        monkeypatch.setenv("ASSENT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("ASSENT_TOKEN", token)
        yield opened
    opened.engine.dispose()


@pytest.fixture
def file(tmp_path):
    rows = [{"id": f"q{n}", "input": f"How much is {n} + {n}?", "target": str(2 * n)} for n in range(5)]
    rows.append({"id": "q5", "input": "One line\u2028to us", "target": "yes"})
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "questions.jsonl").write_text(text + "\n\n", encoding="utf-8")
    path = tmp_path / "assent.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def run(session, capsys):
    """Run one command with --json; give its exit code and value."""

    def call(*args):
        code = main([*args, "--json"])
        captured = capsys.readouterr()
        return code, json.loads(captured.out or captured.err or "null")

    return call


def n_leaves(session):
    with session.read() as reader:
        return reader.conn.execute(sa.text("select size from ledger_head")).scalar() or 0


def test_versions_are_registered_once_in_the_order_in_which_they_need_each_other(run, file, session):
    code, first = run("apply", "-f", str(file))
    names = [one["name"] for one in first["changes"]]
    assert (code, names) == (0, ["support", "reviewers", "questions@1.0.0", "regression@1.0.0"])
    size = n_leaves(session)
    code, second = run("apply", "-f", str(file))
    assert (code, second["n_create"], second["n_unchanged"]) == (0, 0, 4)
    assert n_leaves(session) == size


def test_other_content_under_a_number_that_exists_is_refused_before_anything_changes(run, file, session):
    run("apply", "-f", str(file))
    size = n_leaves(session)
    file.write_text(TEXT.replace("margin: 0.05", "margin: 0.1") + "- name: risk\n")
    code, problem = run("apply", "-f", str(file))
    assert (code, [one["id"] for one in problem["reasons"]]) == (15, ["suite.regression@1.0.0"])
    assert "Register it as 1.1.0." in problem["reasons"][0]["message"]
    assert n_leaves(session) == size


def test_the_same_content_under_another_number_is_refused_with_the_number_it_has(run, file):
    run("apply", "-f", str(file))
    file.write_text(TEXT.replace("name: questions\n  version: 1.0.0", "name: questions\n  version: 1.0.1"))
    code, problem = run("apply", "-f", str(file))
    assert code == 15
    assert "already, as 1.0.0" in problem["reasons"][0]["message"]


def test_a_version_without_a_number_is_found_by_its_content(run, file):
    file.write_text(TEXT.replace("name: regression\n  version: 1.0.0", "name: regression"))
    assert run("apply", "-f", str(file))[0] == 0
    assert run("apply", "-f", str(file), "--check")[0] == 0


def test_a_mistake_in_a_version_is_told_with_its_line_before_anything_changes(run, file, session):
    run("apply", "-f", str(file))
    size = n_leaves(session)
    file.write_text(TEXT.replace("kind: exact}", "kind: exakt}") + "- name: risk\n")
    code, problem = run("apply", "-f", str(file))
    assert code == 10
    assert f"{file}:9: suite regression@1.0.0" in problem["detail"]
    assert n_leaves(session) == size


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("file: questions.jsonl", "file: nowhere.jsonl", "cannot be read"),
        ("file: questions.jsonl", "file: broken.jsonl", "broken.jsonl:2: not JSON"),
        ("file: questions.jsonl", "file: nan.jsonl", "nan.jsonl:1: not JSON"),
        ("file: questions.jsonl", "file: binary.jsonl", "not UTF-8 at byte 0"),
        ("file: questions.jsonl", "file: questions.jsonl\n  rows: []", "not both"),
        ("dataset: questions@1.0.0", "dataset: other@1.0.0", "other"),
    ],
)
def test_files_beside_the_file_are_read_strictly(run, file, old, new, said):
    (file.parent / "broken.jsonl").write_text("{}\n{\n")
    (file.parent / "nan.jsonl").write_text('{"x": NaN}\n')
    (file.parent / "binary.jsonl").write_bytes(b"\xff")
    file.write_text(TEXT.replace(old, new))
    code, problem = run("apply", "-f", str(file))
    assert code in {10, 13}
    assert said in problem["detail"]
