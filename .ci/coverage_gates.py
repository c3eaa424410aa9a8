"""Hold the gates of coverage.

Over all: lines ≥95 %, branches ≥95 %. Domains and the ledger: complete in both.

python .ci/coverage_gates.py coverage.json
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OVERALL = {"lines": 0.95, "branches": 0.95}
COMPLETE = re.compile(r"/assent/(\w+/domain(\.py|/.*)|ledger/.*)$")


def share(totals: Mapping[str, int], what: str) -> float:
    """Give the covered share of `lines` or `branches`; 1 where there is nothing to cover."""
    covered, total = (
        (totals["covered_branches"], totals["num_branches"])
        if what == "branches"
        else (totals["covered_lines"], totals["num_statements"])
    )
    return covered / total if total else 1.0


def failures(report: Mapping[str, Any]) -> list[str]:
    """List every gate that does not hold."""
    found = [
        f"{what}: {share(report['totals'], what):.2%} over all, {needed:.0%} needed"
        for what, needed in OVERALL.items()
        if share(report["totals"], what) < needed
    ]
    for path, file in sorted(report["files"].items()):
        if COMPLETE.search(path) and (file["missing_lines"] or file["missing_branches"]):
            branches = ", ".join(f"{a}->{b}" for a, b in file["missing_branches"])
            lines = ", ".join(map(str, file["missing_lines"]))
            found.append(f"{path}: must be complete; missing lines [{lines}], branches [{branches}]")
    return found


def main() -> int:
    """Print what does not hold; 1 if anything."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = failures(report)
    totals = report["totals"]
    sys.stdout.write(
        f"coverage: lines {share(totals, 'lines'):.2%}, branches {share(totals, 'branches'):.2%}\n"
    )
    sys.stdout.writelines(f"coverage gate: {line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
