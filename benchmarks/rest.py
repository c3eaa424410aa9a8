"""An installation at rest, `assent serve` on SQLite without traffic: what it takes of a core and of the disk.

python benchmarks/rest.py [--seconds N] prints JSON and keeps it as build/bench/rest.json. Needs /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "gateway"))

from usage import used

OUT = Path(__file__).parents[1] / "build" / "bench" / "rest.json"
ASSENT = Path(sys.executable).with_name("assent")
BEGINS_S = 15.0


def written(pid: int) -> dict[str, int]:
    """Read what a process has written so far: bytes that went to the disk, and calls of write."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    found = dict(line.split(": ") for line in lines)
    return {"bytes": int(found["write_bytes"]), "calls": int(found["syscw"])}


def measure(pid: int, seconds: float) -> dict[str, float]:
    """Measure a process for a while."""
    cpu, disk, began = sum(used(pid)[:2]), written(pid), time.perf_counter()
    time.sleep(seconds)
    took, after = time.perf_counter() - began, written(pid)
    return {
        "cpu_share": round((sum(used(pid)[:2]) - cpu) / took, 4),
        "kib_written_per_s": round((after["bytes"] - disk["bytes"]) / took / 1024, 1),
        "writes_per_s": round((after["calls"] - disk["calls"]) / took, 1),
        "rss_mb": round(used(pid)[2], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ASSENT_DATA_DIR": folder, "ASSENT_PORT": "0"}
        subprocess.run([ASSENT, "init"], env=environment, check=True, capture_output=True)
        serving = subprocess.Popen([ASSENT, "serve"], env=environment, stderr=subprocess.DEVNULL)
        try:
            time.sleep(BEGINS_S)
            figures = measure(serving.pid, seconds)
        finally:
            serving.terminate()
            serving.wait(30)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps({"rest": figures}, indent=1) + "\n")
    print(json.dumps({"rest": figures}))


if __name__ == "__main__":
    main()
