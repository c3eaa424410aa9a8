"""What a gateway remembers of completions, so that a thumb finds its call."""

from datetime import UTC, datetime

from assent.gateway.feedback import Completions
from assent_client.calls.feedback import Known
from assent_client.observe import Call

NOW = datetime(2026, 11, 26, tzinfo=UTC)
FACTS = {
    "environment": "production", "serial": 1, "rule": None, "reason": "split", "rollout": None, "sticky": True,
    "stream": False, "status": 200, "error_class": None, "latency_s": 0.1, "ttft_s": None, "tokens_in": 1,
    "tokens_out": 1, "finish_reason": "stop", "response_model": "m", "as_approved": True,
}  # fmt: skip
KNOWN = Known(NOW, "assistant", "canary", "sha256:" + "a" * 64, "f" * 32, "app-1")


def call(completion_id):
    return Call(**FACTS, **KNOWN._asdict(), completion_id=completion_id)


def test_a_call_is_found_at_once_and_shortened_when_its_batch_is_written(tmp_path):
    completions = Completions(tmp_path)
    row = call("c1")
    completions.remember("c1", row)
    assert completions.find("c1") is row
    completions.write([row])
    assert completions.find("c1") == KNOWN
    assert Completions(tmp_path).find("c1") == KNOWN


def test_what_was_forgotten_meanwhile_stays_forgotten(tmp_path):
    completions = Completions(tmp_path, capacity=2)
    rows = [call(f"c{n}") for n in range(3)]
    for row in rows:
        completions.remember(row.completion_id, row)
    completions.write(rows)
    assert [completions.find(f"c{n}") for n in range(3)] == [None, KNOWN, KNOWN]
