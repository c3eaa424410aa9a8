"""Each demand of the brief names a test that exists."""

import ast
import re

import pytest

from tests.architecture.house_rules import ROOT

TEXT = (ROOT / "docs/brief.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (.+?) \| `(tests/[\w/.]+)::(\w+)` \|$", TEXT, re.MULTILINE)


def test_every_row_of_the_table_names_a_test():
    n_rows = len([line for line in TEXT.splitlines() if line.startswith("| ")])
    n_heads = len(re.findall(r"^\| demand ", TEXT, re.MULTILINE)) + len(
        re.findall(r"^\| ?---", TEXT, re.MULTILINE)
    )
    assert ROWS
    assert len(ROWS) == n_rows - n_heads


@pytest.mark.parametrize(("path", "name"), sorted({(path, name) for _, _, path, name in ROWS}))
def test_the_test_is_there(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions
