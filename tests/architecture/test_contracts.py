"""Each import contract of pyproject.toml is one that can break."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.house_rules import CLIENT, ROOT, SERVER

PLANTED = {
    "slices": (SERVER / "kernel/planted.py", "from assent.identity import domain\n"),
    "inside": (SERVER / "ledger/domain.py", "import assent.ledger.service\n"),
    "pure": (SERVER / "ledger/domain.py", "import sqlalchemy\n"),
    "private": (SERVER / "ledger/http.py", "import assent.ledger.store\n"),
    "acyclic": (SERVER / "web/planted.py", "import assent.web.planted_too\n"),
    "client": (CLIENT / "planted.py", "import assent.kernel\n"),
    "engine": (CLIENT / "errors.py", "import httpx\n"),
    "gateway": (SERVER / "gateway/planted.py", "import assent.web\n"),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> dict[str, bool]:
    """Plant a violation of every contract in one copy; give which contracts were kept."""
    copy = tmp_path_factory.mktemp("planted")
    for package in (SERVER, CLIENT):
        shutil.copytree(
            ROOT / package,
            copy / package,
            ignore=shutil.ignore_patterns("__pycache__", "static", "templates"),
        )
    for path, line in PLANTED.values():
        text = (copy / path).read_text(encoding="utf-8") if (copy / path).exists() else ""
        (copy / path).write_text(text + "\n" + line, encoding="utf-8")
    (copy / SERVER / "web/planted_too.py").write_text("import assent.web.planted\n", encoding="utf-8")
    (copy / SERVER / "undeclared").mkdir()
    (copy / SERVER / "undeclared/__init__.py").write_text("", encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", copy)
    return _lint(copy)


def _lint(root: Path) -> dict[str, bool]:
    kept = {}
    path = os.pathsep.join(str(root / package.parent) for package in (SERVER, CLIENT))
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True, limit_to_contracts=(sys.argv[1],)))"
    for contract in PLANTED:
        done = subprocess.run(
            [sys.executable, "-c", code, contract],
            cwd=root,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Contracts: " in done.stdout, done.stdout + done.stderr
        kept[contract] = "1 kept, 0 broken" in done.stdout
    return kept


@pytest.mark.parametrize("contract", PLANTED)
def test_a_planted_violation_breaks_the_contract(planted, contract):
    assert planted[contract] is False
