"""How often a harmless canary is rolled back, and how soon a harmful one, by Assent and by others.

python -m benchmarks.sim [--runs 4000] [--seed N] [--out build/bench/sim.json] prints tables as Markdown and
writes them as JSON. Exit 1 where a promise is broken: false rollbacks or false proofs above alpha over
24 hours of looks for certain (95 %), a mean delay above 1.8 times the bound, a harm not found, a watch over
what is live that alarms sooner than promised, or the product's own code more than 1e-9 away from what was
simulated.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assent.monitoring.domain.intervals import wilson
from benchmarks.sim.cells import ALPHA, DELAYS, JUDGES, Cell, Delay, Tally, cells, delay, simulate
from benchmarks.sim.proofs import SETTINGS, Proven, prove
from benchmarks.sim.watches import LONGEST_DAYS, PROMISED_DAYS, QUIET, RISES, quiet, rise

MOST_DELAY = 1.8
MOST_GAP = 1e-9
PRODUCT_RUNS = 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=4_000, help="runs a cell")
    parser.add_argument("--seed", type=int, default=20261126)
    parser.add_argument("--out", type=Path, default=Path("build/bench/sim.json"))
    options = parser.parse_args()
    began = time.perf_counter()
    print(f"seed {options.seed}, {options.runs} runs a cell; chunk k of cell i: SeedSequence(seed, (i, k))\n")
    rows, broken = [], []
    print(f"| traffic | calls/min | base | {' | '.join(JUDGES)} |\n|---{'|---' * (len(JUDGES) + 2)}|")
    for number, cell in enumerate(cells()):
        tally = simulate(cell, (options.seed, number), options.runs, PRODUCT_RUNS)
        rows.append(row(cell, tally))
        broken += failures(cell, tally)
        shown = " | ".join(f"{share:.1%}" for share, _, _ in tally.shares().values())
        print(f"| {cell.name} | {cell.per_minute} | {cell.base:.1%} | {shown} |", flush=True)
    print("\n| harm | calls/min | bound, canary units | mean | mean/bound | p95 | found |")
    print("|---" * 7 + "|")
    delays = []
    for number, setting in enumerate(DELAYS, start=len(rows)):
        one = delay(*setting, (options.seed, number), options.runs)
        delays.append({**asdict(one), "ratio": one.ratio})
        broken += late(one)
        print(line(one), flush=True)
    print("\n| usual | margin | calls/min | proven falsely | proven where alike |\n" + "|---" * 5 + "|")
    proofs = []
    for number, margin in enumerate(SETTINGS, start=len(rows) + len(delays)):
        proven = prove(margin, (options.seed, number), options.runs)
        proofs.append(asdict(proven))
        broken += unproven(proven)
        shares = f"{proven.falsely / proven.runs:.1%} | {proven.rightly / proven.runs:.1%}"
        print(f"| {proven.base:.1%} | {proven.margin:.1%} | {proven.per_minute} | {shares} |", flush=True)
    first = len(rows) + len(delays) + len(proofs)
    watches = watched(options.seed, first, options.runs, broken)
    gap = max(one["product_gap"] for one in rows)
    n_product = sum(one["product_runs"] for one in rows)
    took = time.perf_counter() - began
    print(f"\n{n_product} runs through the product's own code: log E within {gap:.1e}. {took:.0f} s.")
    tables = {"cells": rows, "delays": delays, "proofs": proofs, "watches": watches}
    write(options, tables | {"product_gap": gap, "seconds": round(took), "broken": broken})
    sys.stderr.writelines(f"broken: {one}\n" for one in broken)
    return 1 if broken else 0


def watched(seed: int, first: int, runs: int, broken: list[str]) -> dict[str, Any]:
    """Simulate the watch over what is live: a tenth of the runs until an alarm, all of them after a rise."""
    print(
        f"\n| rate | base | calls/min | days to an alarm, {PROMISED_DAYS} promised | none in {LONGEST_DAYS} |"
    )
    print("|---" * 5 + "|")
    alarms, rises = [], []
    for number, setting in enumerate(QUIET, start=first):
        one = quiet(setting, (seed, number), max(1, runs // 10))
        alarms.append(asdict(one))
        shown = f"{one.mean:.1f} ± {one.error:.1f} | {one.ended:.1%}"
        print(f"| {one.name} | {one.base:.1%} | {one.per_minute} | {shown} |", flush=True)
        if one.mean + 2 * one.error < one.promised:
            broken.append(
                f"{one.name}, {one.base:.1%} at {one.per_minute}/min: {one.mean:.1f} days to an alarm"
            )
    print(
        "\n| rise | calls/min | limit | Lorden, units | mean | mean/Lorden | p95 | found |\n"
        + "|---" * 8
        + "|"
    )
    for number, harm in enumerate(RISES, start=first + len(QUIET)):
        found = rise(*harm, (seed, number), runs)
        rises.append({**asdict(found), "ratio": found.ratio})
        figures = f"{found.mean:,.0f} | {found.ratio:.2f} | {found.p95:,.0f} | {found.found:.1%}"
        name = f"{found.usual:.1%} to {found.harmful:.1%} | {found.per_minute} | {found.limit:.2%}"
        print(f"| {name} | {found.bound:,.0f} | {figures} |", flush=True)
        if found.ratio > MOST_DELAY or found.found < 1:
            broken.append(f"rise {name}: mean delay {found.ratio:.2f} of Lorden's, {found.found:.1%} found")
    return {"alarms": alarms, "rises": rises}


def row(cell: Cell, tally: Tally) -> dict[str, Any]:
    return {
        "traffic": cell.name,
        "calls_per_minute": cell.per_minute,
        "base": cell.base,
        "harmless": cell.harmless,
        "runs": tally.n,
        "rolled_back": {
            judge: {"share": share, "low": low, "high": high}
            for judge, (share, low, high) in tally.shares().items()
        },
        "product_runs": tally.n_product,
        "product_gap": tally.gap,
    }


def failures(cell: Cell, tally: Tally) -> list[str]:
    name = f"{cell.name} at {cell.per_minute}/min, base {cell.base:.1%}"
    share, low, _ = tally.shares()["assent"]
    found = []
    if cell.harmless and low > ALPHA:
        found.append(f"{name}: {share:.1%} false rollbacks")
    if tally.gap > MOST_GAP:
        found.append(f"{name}: the product's own code is {tally.gap:.1e} away")
    return found


def line(one: Delay) -> str:
    figures = f"{one.bound:,.0f} | {one.mean:,.0f} | {one.ratio:.2f} | {one.p95:,.0f} | {one.found:.1%}"
    return f"| {one.usual:.1%} to {one.harmful:.2%} | {one.per_minute} | {figures} |"


def late(one: Delay) -> list[str]:
    name = f"{one.usual:.1%} to {one.harmful:.2%}"
    found = [f"{name}: mean delay {one.ratio:.2f} times the bound"] if one.ratio > MOST_DELAY else []
    return found + ([f"{name}: only {one.found:.1%} found"] if one.found < 1 else [])


def unproven(one: Proven) -> list[str]:
    if wilson(one.falsely, one.runs, 0.05).low <= ALPHA:
        return []
    return [f"margin {one.margin:.1%} at {one.per_minute}/min: {one.falsely} false proofs"]


def write(options: argparse.Namespace, figures: dict[str, Any]) -> None:
    options.out.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "command": f"python -m benchmarks.sim --runs {options.runs} --seed {options.seed}",
        "date": datetime.now(UTC).date().isoformat(),
        "seed": options.seed,
        "runs": options.runs,
        "alpha": ALPHA,
    }
    options.out.write_text(json.dumps(head | figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
