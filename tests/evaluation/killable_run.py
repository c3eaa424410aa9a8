"""Run a suite against a server until done: started by tests, which kill it."""

import asyncio
import sys
from pathlib import Path

from assent.evaluation.domain.cases import answer_key
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.suite import parse_suite
from assent.evaluation.domain.target import Target
from assent.evaluation.engine import Ask, Engine
from assent.evaluation.journal import Journal
from assent.evaluation.scorers import compile_suite

ZERO = "sha256:" + "0" * 64


async def main(url: str, journal_path: str, n: int) -> None:
    rows = parse_dataset(
        [{"id": str(i), "input": f"question {i}", "target": len(f"question {i}")} for i in range(n)]
    ).rows
    suite = parse_suite(
        {
            "dataset": ZERO,
            "scorers": [{"kind": "numeric", "name": "correct", "pattern": r"A: (\d+)"}],
            "gate": {"metric": "correct", "rule": "threshold", "threshold": 0.5},
            "limits": {"in_flight": 20},
        },
        project="p",
        name="s",
    )
    target = Target(url, None, "m", {}, lambda row: [{"role": "user", "content": row.input}])
    engine = Engine({"candidate": target}, compile_suite(suite).score, suite.limits)
    asks = [Ask("candidate", row, 0, answer_key(ZERO, ZERO, row.key, 0)) for row in rows]
    with Journal(Path(journal_path), {"run": "r"}) as journal:
        async for progress in engine.run(asks, journal):
            last = progress
    sys.stdout.write(f"{last.n_done}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
