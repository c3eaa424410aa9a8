"""Measure the evaluation engine: CPU per sample, and wall time over the ideal, at a known server latency.

Usage: python benchmarks/eval.py [--samples 2000] [--in-flight 50] [--latency-ms 50] [--rounds 3]
Prints JSON. The server runs in a process of its own, so its CPU is not counted.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from assent.evaluation.domain.cases import answer_key
from assent.evaluation.domain.dataset import parse_dataset
from assent.evaluation.domain.result import summarise
from assent.evaluation.domain.suite import Suite, parse_suite
from assent.evaluation.domain.target import Target
from assent.evaluation.engine import Ask, Engine
from assent.evaluation.journal import Journal
from assent.evaluation.scorers import compile_suite

FIGURES = Path(__file__).parents[1] / "build" / "bench" / "eval.json"
ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "So that is it.\nA: 42"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30},
}


class Server(asyncio.Protocol):
    """Answer each request after the latency, whatever it asks."""

    latency_s = 0.05
    content = json.dumps(ANSWER).encode()
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(content),
        content,
    )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.waiting = b""

    def data_received(self, part: bytes) -> None:
        self.waiting += part
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end].lower()
            size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(self.waiting) < end + 4 + size:
                return
            self.waiting = self.waiting[end + 4 + size :]
            asyncio.get_running_loop().call_later(self.latency_s, self.transport.write, self.answer)


async def serve(latency_ms: float) -> None:
    Server.latency_s = latency_ms / 1000
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def suite_of(dataset: str, in_flight: int) -> Suite:
    raw = {
        "kind": "regression",
        "dataset": dataset,
        "scorers": [{"kind": "numeric", "name": "correct", "pattern": r"A: (-?[\d,]+)"}],
        "gate": {"metric": "correct", "rule": "threshold", "threshold": 0.5},
        "limits": {"in_flight": in_flight},
    }
    return parse_suite(raw, project="bench", name="bench")


async def measure(port: int, samples: int, in_flight: int, folder: Path) -> dict[str, float]:
    rows = [{"id": str(n), "input": f"Question {n}: how many? " * 8, "target": 42} for n in range(samples)]
    dataset = parse_dataset(rows)
    suite = suite_of(dataset.digest, in_flight)
    subject = "sha256:" + "0" * 64
    system = {"role": "system", "content": "You answer with `A: number`. " * 10}
    target = Target(
        f"http://127.0.0.1:{port}/v1", "key", "m", {"temperature": 0},
        lambda row: [system, {"role": "user", "content": row.input}],
    )  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    engine = Engine({"candidate": target}, compile_suite(suite).score, suite.limits)
    asks = [Ask("candidate", row, 0, answer_key(subject, subject, row.key, 0)) for row in dataset.rows]
    with Journal(folder / f"{time.time_ns()}.jsonl", {"run": "bench"}) as journal:
        async for progress in engine.run(asks, journal):
            last = progress
        asked, asked_cpu = time.perf_counter() - began, time.process_time() - cpu
        result = summarise(suite, dataset.rows, journal.records.values(), paired=False)
    if last.outcomes != {"scored": samples} or result.judgement.verdict != "pass":
        raise SystemExit(f"the run went wrong: {last}")
    return {
        "wall_s": asked,
        "engine_cpu_ms_per_sample": 1000 * asked_cpu / samples,
        "cpu_ms_per_sample_with_result": 1000 * (time.process_time() - cpu) / samples,
    }


def rounds(arguments: argparse.Namespace) -> Iterator[dict[str, float]]:
    command = [sys.executable, __file__, "--serve", "--latency-ms", str(arguments.latency_ms)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            port = int(server.stdout.readline()) if server.stdout else 0
            for _ in range(arguments.rounds):
                yield uvloop.run(measure(port, arguments.samples, arguments.in_flight, Path(folder)))
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=50)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", action="store_true", help="be the server")
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve(arguments.latency_ms))
        return
    found = list(rounds(arguments))
    ideal_s = arguments.samples / arguments.in_flight * arguments.latency_ms / 1000
    best = {key: sorted(one[key] for one in found)[len(found) // 2] for key in found[0]}
    figures = {
        "samples": arguments.samples,
        "in_flight": arguments.in_flight,
        "latency_ms": arguments.latency_ms,
        "rounds": arguments.rounds,
        **{key: round(value, 4) for key, value in best.items()},
        "wall_over_ideal": round(best["wall_s"] / ideal_s, 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
