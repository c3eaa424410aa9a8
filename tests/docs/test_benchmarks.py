"""Every benchmark that a figure names is there and finds its parts."""

import re
import subprocess
import sys

from tests.architecture.house_rules import ROOT

NAMED = sorted(set(re.findall(r"make bench-([a-z]+)", (ROOT / "docs/performance.md").read_text("utf-8"))))
LOAD = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="loaded")
"""


def test_each_can_be_loaded():
    folder = ROOT / "benchmarks"
    paths = [next(one for one in (folder / f"{name}.py", folder / name) if one.exists()) for name in NAMED]
    files = [path / "__main__.py" if path.is_dir() else path for path in paths]
    assert len(files) > 5
    command = [sys.executable, "-c", LOAD, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
