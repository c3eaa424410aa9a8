"""`make fuzz-api`: call a server process for some minutes; prints figures, writes build/bench/api-fuzz.json."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assent.identity import service as identity
from assent.installation import opened, prepare
from assent.kernel.clock import FakeClock, SystemClock
from assent.kernel.settings import Settings, load
from assent.kernel.tx import SYSTEM, Actor
from examples.story.processes import children
from tests.approvals.shop import open_shop
from tests.conftest import Installation, KeptJobs
from tests.contract.fuzzing import Campaign, Known, Outcome, Server
from tests.contract.seeds import seeds
from tests.contract.test_api_fuzz import ROLES

ROOT = Path(__file__).resolve().parents[2]
OUTCOME = ROOT / "build" / "bench" / "api-fuzz.json"
CHECKS = "no 5xx; status, content type and body as described; bad bodies refused"


def settled(folder: Path) -> Settings:
    """Make an installation with a shop, its clock at the present time."""
    settings = load(data_dir=folder, hook_http=True, hook_allow=("127.0.0.1",))
    prepare(settings)
    with opened(settings, clock=FakeClock(datetime.now(UTC)), enqueue=KeptJobs()) as runtime:
        open_shop(Installation(runtime, None))
    return settings


@contextmanager
def standing(folder: Path) -> Iterator[Server]:
    """Run a server process; callers are made in its database, beside it."""
    data = folder / "data"
    data.mkdir()
    settings = settled(data)
    environment = {
        "ASSENT_DATA_DIR": str(data), "ASSENT_PORT": "0", "ASSENT_HOOK_HTTP": "1",
        "ASSENT_HOOK_ALLOW": '["127.0.0.1"]',
    }  # fmt: skip
    with (
        opened(settings, clock=SystemClock(), enqueue=KeptJobs()) as runtime,
        children(folder, environment) as running,
    ):
        server = running.start("server", ("server",), r"server ready on (\S+)")

        def renew(kind: str) -> str:
            with runtime.session.begin(SYSTEM) as tx:
                account = identity.add_person(tx, f"{kind}-{time.monotonic_ns()}")
                for role in ROLES[kind]:
                    identity.bind(tx, account.id, role, "*")
            with runtime.session.begin(Actor(account.id, "person", runtime.clock.now())) as tx:
                return identity.issue_token(tx, account.id, "to fuzz", None)

        yield Server(server.ready[1], renew)


def fuzz(server: Server, rounds: int, n: int, seed: int, until: float) -> Outcome:
    """Call every operation in each round, with another seed."""
    described = Campaign(
        {"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": {}}, server, Known()
    )
    document = described.get("/v1/openapi.json").json()
    campaign = Campaign(document, server, Known())
    campaign.plant(seeds(datetime.now(UTC)))
    for number in range(rounds):
        operations = campaign.operations()
        campaign.explore(operations)
        campaign.attack(operations, n, seed + number, until)
    return campaign.outcome


def figures(outcome: Outcome, seconds: float, options: argparse.Namespace) -> dict[str, Any]:
    accepted = [label for label, by_status in outcome.operations.items() if any(s < 300 for s in by_status)]
    revision = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "checks": CHECKS,
        "revision": revision.stdout.strip(),
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "n_operations": len(outcome.operations),
        "n_operations_accepted": len(accepted),
        "n_calls": outcome.n_calls,
        "statuses": dict(sorted(Counter(outcome.statuses).items())),
        "n_unfinished": len(outcome.unfinished),
        "not_negated": sorted(set(outcome.not_negated)),
        "failures": outcome.failures,
    }


def main() -> int:
    """Exit with 1 where any call failed the server or broke its description."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument(
        "--examples", type=int, default=12, help="calls with good data per operation and round"
    )
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, standing(Path(folder)) as server:
        outcome = fuzz(server, options.rounds, options.examples, options.seed, begun + options.minutes * 60)
    found = figures(outcome, time.monotonic() - begun, options)
    OUTCOME.parent.mkdir(parents=True, exist_ok=True)
    OUTCOME.write_text(json.dumps(found, indent=1) + "\n")
    shown = {key: value for key, value in found.items() if key != "failures"}
    failed = [f"FAIL {what}\n{how}\n" for what, how in outcome.failures.items()]
    sys.stdout.write("\n".join([json.dumps(shown, indent=1), *failed]) + "\n")
    return 1 if outcome.failures or not outcome.n_calls else 0


if __name__ == "__main__":
    sys.exit(main())
