"""From answers that a context does not support to the card's row, by the scorer itself."""

import msgspec

from assent.evaluation import service as evaluation
from assent.evaluation import verification
from assent.evaluation.domain.cases import Answer, CaseRecord, answer_key
from assent.evaluation.journal import FORMAT, write_line
from assent.evaluation.scorers import compile_suite
from assent.kernel.canonical import digest
from tests.cards.conftest import NAME, PROJECT

CONTEXT = {"context": "Refunds are paid within 14 days of the return."}
SUITE = {
    "kind": "benchmark",
    "dataset": "grounding",
    "scorers": [{"kind": "hallucination"}],
    "gate": {"metric": "hallucination", "rule": "threshold", "threshold": 0.2, "direction": "lower"},
}


def asked(tx, answers):
    """Close a run of a grounding suite whose answers are these, scored by the suite's own scorer."""
    rows = [{"id": f"g{i}", "input": f"refund {i}?", "target": CONTEXT} for i in range(len(answers))]
    evaluation.register_dataset(tx, evaluation.NewVersion(PROJECT, "grounding", rows))
    evaluation.register_suite(tx, evaluation.NewVersion(PROJECT, "grounding", SUITE))
    run = evaluation.submit(tx, evaluation.NewRun(PROJECT, "grounding", f"{NAME}@2.1.0"))
    suite, cases = evaluation.contents_of(tx, run)
    bench, solver = compile_suite(suite), digest(dict(suite.solver))
    lines = [write_line(msgspec.json.encode({"journal": FORMAT, "run": run.id}))]
    for row, text in zip(cases, answers, strict=True):
        key = answer_key(run.subject, solver, row.key, 0)
        answer = Answer(text, n_prompt_tokens=20, n_completion_tokens=10)
        outcome, scores = bench.score(row, answer, key)
        record = CaseRecord(
            side="candidate",
            sample=row.key,
            repeat=0,
            answer_key=key,
            outcome=outcome,
            answer=answer,
            scores=scores,
            error="",
            asked_at="2026-01-01T00:00:00.000000Z",
            latency_ms=1200.0,
            attempts=1,
        )
        lines.append(write_line(msgspec.json.encode(record)))
    return evaluation.close(tx, run.id, b"".join(lines))


def test_the_rate_that_the_scorer_measured_is_the_card_s_row(desk):
    supported, invented = "Refunds are paid within 14 days.", "Refunds are paid within 30 days."
    run = desk.do(asked, [supported] * 49 + [f"{supported} {invented}"])
    assert run.verdict == "pass"
    assert all(check.ok for check in desk.read(verification.verify, run.id))
    brief = desk.view(desk.generate()).brief()
    assert "- Hallucination Rate: 1.0% on grounding@1.0.0 (95 % interval 0.0% to 3.0%, n = 50)" in brief
    assert "- Latency (p95): 1.2s" in brief
