"""Each demand of the brief names a test that exists."""

import ast
import re

import pytest

from tests.architecture.house_rules import ROOT

LINES = (ROOT / "docs/brief.md").read_text(encoding="utf-8").splitlines()
ROWS = [line for line in LINES if line.startswith("|") and not re.match(r"\| ?(---|demand )", line)]
NAMED = re.compile(r"`(tests/[\w/.]+\.py)::(\w+)`")


def test_every_row_of_the_table_names_a_test():
    assert ROWS
    assert [row for row in ROWS if row.count(" | ") != 2 or not NAMED.search(row.rpartition(" | ")[2])] == []


@pytest.mark.parametrize(("path", "name"), sorted({found for row in ROWS for found in NAMED.findall(row)}))
def test_the_test_is_there(path, name):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in functions
