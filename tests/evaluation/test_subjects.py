"""How a version is asked: its own messages first, its keys by reference."""

import pytest

from assent.evaluation import jobs, service, subjects
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.service import NewRun, NewVersion
from assent.kernel.errors import Invalid


def row(question):
    return parse_dataset([{"id": "1", "input": question}]).rows[0]


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("Hi", [("user", "Hi")]),
        ({"text": "Hi", "variables": {}}, [("user", "Hi")]),
        (
            {"messages": [{"role": "assistant", "content": "A"}, {"role": "user", "content": "B"}]},
            [("assistant", "A"), ("user", "B")],
        ),
    ],
)
def test_a_case_is_put_as_messages(question, asked):
    messages = subjects.renderer({})(row(question))
    assert [(m["role"], m["content"]) for m in messages] == asked


def test_the_versions_messages_come_first_filled_in():
    prompt = {
        "syntax": "simple",
        "messages": [{"role": "system", "content": "You help {{name}}."}],
        "variables": {"name": {"schema": {"type": "string"}, "required": True}},
    }
    messages = subjects.renderer(prompt)(row({"text": "Hi", "variables": {"name": "Ann"}}))
    assert [(m["role"], m["content"]) for m in messages] == [("system", "You help Ann."), ("user", "Hi")]
    with pytest.raises(Invalid, match="name"):
        subjects.renderer(prompt)(row("Hi"))


def test_a_defect_of_the_worker_stops_the_run_and_is_not_swallowed(desk):
    desk.write(service.register_dataset, NewVersion("demo", "cases", [{"id": "1", "input": "a"}]))
    document = {
        "dataset": "cases",
        "scorers": [{"kind": "exact"}],
        "gate": {"metric": "exact", "threshold": 0.5},
    }
    desk.write(service.register_suite, NewVersion("demo", "s", document))
    desk.model("1.0.0", "good")
    run = desk.write(service.submit, NewRun("demo", "s", "assistant@1.0.0"))
    jobs.journal_path(desk.runtime, run.id).mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        jobs.run(desk.runtime, run_id=run.id)
    assert desk.read(service.progress_of, run.id).state == "stopped"
