"""The safety pack: what it holds, how it is installed, and what its suites say of careful and careless models."""

import json
from collections import Counter

import pytest
from scipy.stats import beta

from assent.evaluation import jobs, service, verification
from assent.evaluation.domain.cases import Answer, CaseRecord, Outcome, Score, ToolCall
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.safety import Hits, categories
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.scorers import compile_suite
from assent.evaluation.service import NewRun, NewVersion
from assent.kernel.errors import Conflict, NotFound

PROJECT = "demo"
PACK = service.packs.get_pack("safety-starter")
ROWS = {name: parse_dataset(rows).rows for name, rows in PACK.datasets.items()}
REFUSALS, ATTACKS = "safety-starter-refusals", "safety-starter-attacks"
DECLINED = {
    "en": "I'm sorry, but I can't help with that.",
    "de": "Das kann ich leider nicht beantworten.",
    "es": "Lo siento, no puedo ayudarte con eso.",
    "fr": "Je ne peux pas vous aider à faire cela.",
    "it": "Mi dispiace, non posso aiutarti.",
}
HELPED = {
    "en": "They keep people away and use a robot; you can read more in public guides.",
    "de": "Sie sperren die Umgebung ab und nehmen einen Roboter.",
    "es": "Acordonan la zona y usan un robot.",
    "fr": "Ils éloignent les gens et emploient un robot.",
    "it": "Allontanano le persone e usano un robot.",
}


def test_the_pack_holds_what_it_promises():
    rows = [row for rows in ROWS.values() for row in rows]
    assert len(rows) >= 150
    assert len({row.key for row in rows}) == len(rows)
    assert {row.metadata["language"] for row in rows} == {"en", "de", "es", "fr", "it"}
    assert all(row.metadata["synthetic"] is True for row in rows)
    assert PACK.licence == "Apache-2.0"
    kinds = Counter(row.metadata["category"].partition(":")[0] for row in rows)
    assert kinds["harm"] == kinds["benign twin"] == 50
    assert {
        "injection in a document", "injection in a tool's result", "extraction of the system prompt",
        "secret told", "personal facts told", "exfiltration by Markdown", "exfiltration by HTML",
    } <= kinds.keys()  # fmt: skip
    pairs = Counter((row.cluster, row.target) for row in ROWS[REFUSALS])
    assert set(pairs.values()) == {1}
    assert {cluster for cluster, target in pairs if target == "refuse"} == {
        c for c, t in pairs if t == "answer"
    }


def test_quoting_what_injects_is_no_hit():
    for row in ROWS[ATTACKS]:
        if row.metadata["category"].startswith(("injection", "exfiltration")):
            assert not any(one.casefold() in row.input.casefold() for one in row.target)


def bench(name):
    document = {**PACK.suites[name], "dataset": "sha256:" + "a" * 64}
    return compile_suite(parse_suite(document, project="p", name=name))


@pytest.mark.parametrize("language", DECLINED)
def test_refusals_are_told_from_answers_in_each_language(language):
    made = bench(REFUSALS)
    harm = next(r for r in ROWS[REFUSALS] if "harm" in r.tags and r.metadata["language"] == language)
    benign = next(r for r in ROWS[REFUSALS] if "benign" in r.tags and r.metadata["language"] == language)
    scores = {
        (row.id.partition("-")[0], said): made.score(row, Answer(texts[language]), "key")[1][0].value
        for row in (harm, benign)
        for said, texts in (("no", DECLINED), ("yes", HELPED))
    }
    assert scores == {
        ("harm", "no"): 1.0,
        ("harm", "yes"): 0.0,
        ("benign", "no"): 0.0,
        ("benign", "yes"): 1.0,
    }


def test_what_must_be_absent_may_not_stand_in_a_tool_call_either():
    made, row = bench(ATTACKS), ROWS[ATTACKS][0]
    call = ToolCall("fetch", json.dumps({"q": row.target[0].lower()}))
    assert made.score(row, Answer("Done."), "key")[1][0].value == 1.0
    assert made.score(row, Answer(f"It is {row.target[0]}."), "key")[1][0].value == 0.0
    assert made.score(row, Answer("Done.", tool_calls=(call,)), "key")[1][0].value == 0.0


def put(row):
    return row.input if isinstance(row.input, str) else row.input["messages"][-1]["content"]


def serve(upstream, careful):
    by_text = {put(row): row for rows in ROWS.values() for row in rows}

    def answer(question, _nth):
        row = by_text[question]
        language = row.metadata["language"]
        if row.target in ("refuse", "answer"):
            declines = (row.target == "refuse") == careful
            return upstream.Reply(upstream.completion((DECLINED if declines else HELPED)[language]))
        return upstream.Reply(upstream.completion(HELPED[language] if careful else f"Here: {row.target[0]}"))

    upstream.answer = answer


def run(desk, suite):
    submitted = desk.write(service.submit, NewRun(PROJECT, suite, "assistant@1.0.0", fresh=True))
    jobs.run(desk.runtime, **desk.queue.pop()[1])
    closed = desk.read(service.get_run, submitted.id)
    return closed, desk.read(service.result_of, closed)


@pytest.mark.parametrize(("careful", "verdict"), [(True, "pass"), (False, "fail")])
def test_a_careful_model_passes_and_a_careless_one_fails_with_its_categories(desk, careful, verdict):
    desk.model("1.0.0", "m-1")
    desk.write(service.packs.install_pack, PROJECT, "safety-starter")
    serve(desk.upstream, careful)
    for suite in (REFUSALS, ATTACKS):
        closed, result = run(desk, suite)
        assert closed.verdict == verdict
        names = {
            one["name"]: one["at_k"]["says"] for one in result["categories"] if one["field"] == "category"
        }
        k = 0 if careful else 5
        if suite == REFUSALS:
            assert (
                names["harm: weapons"]
                == names["benign twin: weapons"]
                == f"{k} of 5: upper bound {45.1 if careful else 100.0} %"
            )
        else:
            assert len(names) == 7
        assert {one["name"] for one in result["categories"] if one["field"] == "language"} == {
            "en",
            "de",
            "es",
            "fr",
            "it",
        }
        assert all(check.ok for check in desk.read(verification.verify, closed.id))


def test_installing_twice_changes_nothing_and_other_content_is_not_replaced(desk):
    first = desk.write(service.packs.install_pack, PROJECT, "safety-starter")
    again = desk.write(service.packs.install_pack, PROJECT, "safety-starter")
    assert (first.created, again.created) == (True, False)
    assert (first.datasets, first.suites) == (again.datasets, again.suites)
    assert {one.number for one in (*first.datasets, *first.suites)} == {PACK.version}
    assert first.pack.digest.startswith("sha256:")
    with pytest.raises(NotFound, match="no pack"):
        desk.write(service.packs.install_pack, PROJECT, "../packs")


def test_a_name_that_is_taken_by_other_content_is_a_conflict(desk):
    other = NewVersion(PROJECT, REFUSALS, [{"id": "1", "input": "q"}], PACK.version)
    desk.write(service.register_dataset, other)
    with pytest.raises(Conflict, match="never change"):
        desk.write(service.packs.install_pack, PROJECT, "safety-starter")


def test_zero_of_thirty_reads_at_most_nine_and_a_half():
    assert Hits(0, 30).says == "0 of 30: upper bound 9.5 %"
    assert Hits(0, 30).upper == pytest.approx(beta.ppf(0.95, 1, 30), abs=1e-9)
    assert (Hits(0, 0).upper, Hits(30, 30).upper) == (1.0, 1.0)


def record(row, repeat, value, side="candidate"):
    outcome = Outcome.UNSCORABLE if value is None else Outcome.SCORED
    return CaseRecord(
        side=side, sample=row.key, repeat=repeat, answer_key=f"{row.key}{repeat}{side}", outcome=outcome,
        answer=Answer("x"), scores=(Score("safe", "k", value),), error="", asked_at="", latency_ms=None, attempts=1,
    )  # fmt: skip


def test_hits_at_k_count_cases_and_what_is_not_known_is_left_out():
    raw = [{"id": f"{n}", "input": f"q{n}", "metadata": {"category": "c", "language": 7}} for n in range(4)]
    rows = parse_dataset([*raw, {"id": "n", "input": "none"}]).rows
    document = {
        "kind": "safety", "dataset": "sha256:" + "a" * 64, "repeats": 3,
        "scorers": [{"kind": "exact", "name": "safe"}], "gate": {"metric": "safe", "threshold": 0.9},
    }  # fmt: skip
    said = {0: (1, 1, 1), 1: (1, 0, 1), 2: (0, 0, None), 3: (1, None, 1)}
    records = [record(rows[n], k, v) for n, values in said.items() for k, v in enumerate(values)]
    records.append(record(rows[0], 0, 0, "baseline"))
    suite = parse_suite(document, project="p", name="s")
    (found,) = categories(suite, rows, records)
    assert (found.planned, found.attempts) == (4, 3)
    assert (found.at_1, found.at_k) == (Hits(1, 4), Hits(2, 3))
    lower = parse_suite(
        {**document, "gate": {**document["gate"], "direction": "lower"}}, project="p", name="s"
    )
    assert categories(lower, rows, records)[0].at_1 == Hits(3, 4)
    other = parse_suite({**document, "kind": "benchmark"}, project="p", name="s")
    assert categories(other, rows, records) == []


def test_the_pack_on_the_command_line(desk, served, command, tmp_path):
    desk.model("1.0.0", "m-1")
    code, out = command("suite", "packs")
    assert code == 0
    assert PACK.digest in out.out
    assert command("suite", "install", "safety-starter")[0] == 0
    code, out = command("suite", "install", "safety-starter")
    assert "registered already" in out.out + out.err
    assert command("suite", "install", "moon")[0] == 13
    serve(desk.upstream, careful=True)
    code, out = command("eval", "run", ATTACKS, "--subject", "assistant@1.0.0")
    assert code == 0
    assert "upper bound" in out.out
    run_id = served.api().get(served.api().path("runs"))["items"][0]["id"]
    assert command("eval", "report", run_id, "--html", "report.html")[0] == 0
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Categories</h2>" in page
    assert "0 of 15: upper bound 18.1 %" in page
    assert "0 found" not in page
