"""The rules of tables, projections and transactions."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.architecture.house_rules import FREE, IMPURE_CALLS, ROOT, Module, modules

KINDS = {"governed", "body", "operational"}
WRITES = {"insert", "update", "delete"}


@dataclass(frozen=True)
class Table:
    module: Module
    node: ast.Call
    variable: str
    name: str
    kind: str


def tables(root: Path = ROOT) -> list[Table]:
    found = []
    for module in _server(root):
        for node in ast.walk(module.tree):
            call = getattr(node, "value", None)
            if (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and isinstance(call, ast.Call)
                and _called(call) == "table"
            ):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                kind = next((ast.literal_eval(k.value) for k in call.keywords if k.arg == "kind"), "")
                found.append(Table(module, call, ast.unparse(target), ast.literal_eval(call.args[0]), kind))
    return found


def undeclared_tables(root: Path = ROOT) -> list[str]:
    """Every table is made by kernel.db.table, names its slice and says what it is."""
    found = [
        module.at(node, "a table without a kind: use kernel.db.table")
        for module in _server(root)
        if module.name != "assent.kernel.db"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _called(node) == "Table"
    ]
    for table in tables(root):
        if table.kind not in KINDS:
            found.append(table.module.at(table.node, f"{table.name} must be one of {sorted(KINDS)}"))
        place = table.module.slice in FREE or table.module.layer == "store"
        if not table.name.startswith(f"{table.module.slice}_") or not place:
            found.append(
                table.module.at(table.node, f"{table.name} belongs to the store of {table.module.slice}")
            )
    return found


def reading_projections(root: Path = ROOT) -> list[str]:
    """A projection assigns what the event carries: no query, clock, chance or environment."""
    return [
        module.at(call, f"{function.name} calls {_called(call)}")
        for module in _server(root)
        for function in _functions(module)
        if _is_projection(function)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and _called(call) in IMPURE_CALLS
    ]


def unrecorded_writes(root: Path = ROOT) -> list[str]:
    """Governed tables are written by projections alone, so a replay gives the same rows."""
    governed = {(table.module.slice, table.variable) for table in tables(root) if table.kind == "governed"}
    found = []
    for module in _server(root):
        projecting = _projecting(module)
        for function in _functions(module):
            if function.name in projecting:
                continue
            for call in _own_calls(function):
                written = _written(call)
                if written and (module.slice, written.rpartition(".")[2]) in governed:
                    found.append(module.at(call, f"{function.name} writes {written} beside the ledger"))
    return found


def commits(root: Path = ROOT) -> list[str]:
    """Services never open or commit a transaction; the edge does, in a visible `with`."""
    return [
        module.at(call, f"{_called(call)} in {module.layer}")
        for module in _server(root)
        if module.slice not in FREE and module.layer in {"domain", "store", "service"}
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"commit", "rollback", "begin"}
        and ast.unparse(call.func.value).rpartition(".")[2]
        in {"session", "engine", "conn", "connection", "tx"}
    ]


def _server(root: Path) -> Iterator[Module]:
    return (module for module in modules(root) if module.parts[0] == "assent")


def _functions(module: Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef))


def _own_calls(function: ast.FunctionDef) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _is_projection(function: ast.FunctionDef) -> bool:
    """Decorated with `….on(Event)`, or a part of one: it takes the projections' Writer."""
    decorated = any(isinstance(one, ast.Call) and _called(one) == "on" for one in function.decorator_list)
    writer = any(
        one.annotation is not None and ast.unparse(one.annotation) == "Writer" for one in function.args.args
    )
    return decorated or writer


def _projecting(module: Module) -> set[str]:
    """Name the projections of a module and the private functions that only they call."""
    functions = list(_functions(module))
    callers: dict[str, set[str]] = {}
    for function in functions:
        for call in _own_calls(function):
            callers.setdefault(_called(call), set()).add(function.name)
    known = {function.name for function in functions if _is_projection(function)}
    while True:
        parts = {f.name for f in functions if f.name.startswith("_") and callers.get(f.name, {""}) <= known}
        if parts <= known:
            return known
        known |= parts


def _written(call: ast.Call) -> str | None:
    """Give the table in `insert(t)`, `sa.update(t)` or `t.delete()`."""
    if _called(call) not in WRITES:
        return None
    if call.args and isinstance(call.args[0], ast.Name | ast.Attribute):
        return ast.unparse(call.args[0])
    if isinstance(call.func, ast.Attribute):
        return ast.unparse(call.func.value)
    return None
