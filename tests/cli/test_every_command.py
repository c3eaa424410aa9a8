"""Every command of `assent` is run by a test: the tree is walked, the sources of the tests are read."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from typer.core import TyperGroup

from assent_client.cli.tree import root

TESTS = Path(__file__).resolve().parents[1]
ANY, REST = object(), object()
"""An argument that is no literal, and one that stands for several (`*words`)."""


def commands(group=None, path=()) -> Iterator[tuple[str, ...]]:
    """Give every command that does something, as its words."""
    found = root() if group is None else group
    if not isinstance(found, TyperGroup):
        yield path
        return
    context = found.make_context("assent", [], resilient_parsing=True)
    for name in found.list_commands(context):
        yield from commands(found.get_command(context, name), (*path, name))


@dataclass
class Calls:
    """What the calls, tuples and lists of a module hold in a row, and every word that stands in it."""

    rows: list[list[object]] = field(default_factory=list)
    words: set[str] = field(default_factory=set)

    def holds(self, row, wanted):
        """Tell whether a row holds these words side by side; the verb itself is always a literal."""
        for start in range(len(row) - len(wanted) + 1):
            part = row[start : start + len(wanted)]
            same = all(
                one == word or (one is ANY and word in self.words)
                for one, word in zip(part, wanted, strict=True)
            )
            if same and part[-1] == wanted[-1]:
                return True
        return False

    def run(self, command):
        """Tell whether the module runs a command: at once, or through a function that begins with its noun."""
        if any(self.holds(row, command) for row in self.rows):
            return True
        return any(
            self._begins(row, command[:split])
            and any(self.holds(other, command[split:]) for other in self.rows)
            for split in range(1, len(command))
            for row in self.rows
        )

    def _begins(self, row, noun):
        ends = [i for i, (_, after) in enumerate(pairwise(row)) if after is REST]
        return any(self.holds(row[max(0, end + 1 - len(noun)) : end + 1], noun) for end in ends)


def read(source):
    """Read a module of tests."""
    found = Calls()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.words.add(node.value)
        items = node.args if isinstance(node, ast.Call) else getattr(node, "elts", None)
        if items and isinstance(node, ast.Call | ast.Tuple | ast.List):
            found.rows.append([_item(one) for one in items])
    return found


def _item(node):
    if isinstance(node, ast.Starred):
        return REST
    return node.value if isinstance(node, ast.Constant) else ANY


@cache
def modules():
    return [
        read(path.read_text("utf-8"))
        for path in sorted(TESTS.rglob("*.py"))
        if path != Path(__file__).resolve()
    ]


def test_the_tree_is_walked_to_its_leaves():
    found = set(commands())
    assert {("init",), ("model", "register"), ("model", "label", "move"), ("ledger", "replay")} <= found
    assert len(found) > 150


@pytest.mark.parametrize("command", sorted(commands()), ids=" ".join)
def test_a_test_runs_it(command):
    assert any(module.run(command) for module in modules()), f"no test runs `assent {' '.join(command)}`"


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ('main(["model", "label", "move", ref])', True),
        ('assent("ada", *("model", "label", "move"))', True),
        ('def run(*w): main(["model", "label", *w])\nrun("move", ref)', True),
        ('def run(noun, *w): main([noun, "label", *w])\nrun("model", "move")', True),
        ('def run(*w): main([noun, "label", *w])\nfor noun in ("model",): run("move")', True),
        ('main(["model", "label", verb])\nverbs = ("move",)', False),
        ('main(["model", "move"])', False),
        ('"assent model label move"', False),
    ],
)
def test_what_counts_as_running_it(source, runs):
    assert read(source).run(("model", "label", "move")) is runs
