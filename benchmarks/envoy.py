"""Time how long a change of weights takes from `apply` to the first call that a real Envoy sends elsewhere.

`make test-envoy` prints JSON, milliseconds, and keeps it as build/bench/envoy.json.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import httpx

from assent_client.decide import BUCKETS
from assent_client.targets import Desired, Slice, Target, read_settings
from tests.targets.engine import backend, binary, running

N = 200
OUT = Path(__file__).resolve().parents[1] / "build" / "bench" / "envoy.json"
REFS = ("assistant@2.0.0", "assistant@2.1.0")


def desired(ref: str, generation: int) -> Desired:
    return Desired(route="assistant", generation=(0, generation), slices=[Slice(ref, 0, BUCKETS)])


def one(target: Target, http: httpx.Client, ref: str, generation: int) -> tuple[float, float]:
    """Give how long writing took, and from its end to the first call that went elsewhere, in ms."""
    begun = time.perf_counter()
    target.apply(desired(ref, generation))
    written = time.perf_counter()
    while http.get("/").headers["x-assent-version"] != ref:
        pass
    return 1000 * (written - begun), 1000 * (time.perf_counter() - written)


def quantiles(found: list[float]) -> dict[str, float]:
    ranked = sorted(found)
    return {f"p{q}": round(ranked[len(ranked) * q // 100 - (q == 100)], 2) for q in (50, 99)}


def main() -> int:
    if binary() is None:
        print("There is no Envoy: make test-envoy brings one.")
        return 1
    with tempfile.TemporaryDirectory() as folder, backend() as old, backend() as new:
        backends = {
            ref: {"host": "127.0.0.1", "port": port} for ref, port in zip(REFS, (old, new), strict=True)
        }
        path = Path(folder) / "assent"
        target = Target(
            read_settings({"kind": "envoy", "route": "assistant", "folder": str(path), "backends": backends})
        )
        target.apply(desired(REFS[0], 1))
        with running(path, Path(folder) / "envoy.log") as (_, url), httpx.Client(base_url=url) as http:
            times = [one(target, http, REFS[n % 2], n + 1) for n in range(1, N + 1)]
    found = {
        "n": N,
        "write_ms": quantiles([write for write, _ in times]),
        "effective_ms": quantiles([effective for _, effective in times]),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
