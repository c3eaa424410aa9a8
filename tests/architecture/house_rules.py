"""The house rules that import-linter and ruff cannot say, each as a function from sources to violations."""

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = Path("packages/assent/src/assent")
CLIENT = Path("packages/assent-client/src/assent_client")

FREE = {"kernel", "web", "migrations"}
"""Packages whose modules may be imported one by one: they are no slices."""
ROOTS = {"app", "worker", "serve", "commands", "installation"}
"""Composition roots: the only places that know everything."""
NO_SLICES = FREE | ROOTS | {"console", "gateway"}

FILES = {"__init__", "domain", "store", "service", "http", "jobs"}
MORE_FILES: dict[str, set[str]] = {
    "approvals": {"policy_schema"},
    "cards": {"pdf"},
    "ledger": {"pin", "replay", "verification"},
    "providers": {"replay"},
    "evaluation": {
        "engine",
        "imports",
        "journal",
        "scorers",
        "subjects",
        "panel",
        "throttle",
        "upstream",
        "verification",
    },
}
"""Files beyond the usual ones, by slice; each is in the layers of the import contracts too."""

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
NOT_IN_NAMES = {"manager", "helper", "util", "handler", "data", "info", "object", "processor"}
FOREIGN_NAMES = {"resolve_object_details", "data_received", "get_extra_info", "get_route_handler"}
"""Names that a library calls."""
EVENT_TYPE = re.compile(r"[a-z]+\.[a-z_]+\.[a-z_]+\Z")
PERMISSION = re.compile(r"[a-z]+(\.[a-z_]+){2}\Z")
PAST = re.compile(
    r"(ed|made|sent|cast|set|put|held|begun|withdrawn|taken|given|broken|undone|shown|won|lost|bound)\Z"
)
IMPURE_CALLS = {
    "select", "scalar", "scalars", "scalar_one", "fetchone", "fetchall", "first", "now", "utcnow", "today",
    "new_id", "uuid4", "uuid7", "random", "randbytes", "token_hex", "token_bytes", "urandom", "getenv", "open",
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        try:
            return ast.parse(self.text, str(self.path))
        except SystemError:  # CPython 3.11: another thread parsed at the same moment
            return ast.parse(self.text, str(self.path))

    @property
    def parts(self) -> list[str]:
        return self.name.split(".")

    @property
    def slice(self) -> str:
        """The folder below `assent` (or `assent_client`)."""
        return self.parts[1] if len(self.parts) > 1 else ""

    @property
    def layer(self) -> str:
        """`store` for `assent.registry.store` and for `assent.registry.store.versions`."""
        return self.parts[2] if len(self.parts) > 2 else "__init__"

    def at(self, node: ast.AST, text: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {text}"


def modules(root: Path = ROOT) -> list[Module]:
    found = []
    for package in (SERVER, CLIENT):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to((root / package).parent).with_suffix("").parts
            found.append(Module(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)))
    return found


def server_slices(root: Path = ROOT) -> list[str]:
    folders = {m.slice for m in modules(root) if m.parts[0] == "assent" and m.path.parent != root / SERVER}
    return sorted(folders - NO_SLICES)


def contract(identity: str, root: Path = ROOT) -> dict[str, object]:
    config = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return next(one for one in config["tool"]["importlinter"]["contracts"] if one["id"] == identity)


def imported(module: Module) -> Iterator[tuple[ast.AST, str]]:
    """Give every imported dotted name, with `from a import b` as a.b and relative imports made absolute."""
    package = module.parts if module.path.name == "__init__.py" else module.parts[:-1]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = [*base, *(node.module.split(".") if node.module else [])]
            yield from ((node, ".".join([*prefix, alias.name])) for alias in node.names)


def other_slices_doors(root: Path = ROOT) -> list[str]:
    """A slice is entered by others through its `service` or `domain` only."""
    slices = set(server_slices(root))
    found = []
    for module in modules(root):
        if module.parts[0] != "assent" or module.slice in ROOTS | FREE:
            continue
        for node, name in imported(module):
            parts = name.split(".")
            enters = parts[0] == "assent" and len(parts) > 2 and parts[1] in slices - {module.slice}
            if enters and parts[2] not in {"service", "domain"}:
                found.append(module.at(node, f"enters {parts[1]} through {parts[2]}"))
    return found


def impure_domains(root: Path = ROOT) -> list[str]:
    """domain.py: standard library, what is pure in the kernel, numpy for statistics, the client's pure parts."""
    allowed = {f"assent.kernel.{one}" for one in ("events", "errors", "canonical", "addresses")}
    pure_client = {
        "assent_client.decide",
        "assent_client.errors",
        "assent_client.conditions",
        "assent_client.verify",
    }
    found = []
    for module in modules(root):
        if module.parts[0] != "assent" or module.layer != "domain":
            continue
        for node, name in imported(module):
            parts = name.split(".")
            own = parts[0] == "assent" and len(parts) > 2 and parts[2] == "domain"
            numbers = parts[0] == "numpy" and module.slice in {"evaluation", "monitoring"}
            known = any(name == one or name.startswith(f"{one}.") for one in allowed | pure_client)
            if not (own or numbers or known or parts[0] in _standard_library()):
                found.append(module.at(node, f"imports {name}"))
    return found


def _standard_library() -> frozenset[str]:
    import sys  # noqa: PLC0415 -- only here

    return sys.stdlib_module_names


def written_by_hand(root: Path) -> Iterator[Module]:
    """All modules but the schema's revisions: those are written by Alembic, one long list of statements each."""
    return (m for m in modules(root) if not m.name.startswith("assent.migrations.versions."))


def long_files(root: Path = ROOT) -> list[str]:
    counts = ((m, m.text.count("\n")) for m in written_by_hand(root))
    return [f"{m.name}: {n} lines, {LONGEST_FILE} at most" for m, n in counts if n > LONGEST_FILE]


def long_functions(root: Path = ROOT) -> list[str]:
    found = []
    for module in written_by_hand(root):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    found.append(
                        module.at(node, f"{node.name} has {length} lines, {LONGEST_FUNCTION} at most")
                    )
    return found


def asserts(root: Path = ROOT) -> list[str]:
    """An assert disappears with `python -O`; a check that matters raises."""
    return [m.at(n, "assert") for m in modules(root) for n in ast.walk(m.tree) if isinstance(n, ast.Assert)]


def strange_files(root: Path = ROOT) -> list[str]:
    found = []
    for name in server_slices(root):
        for path in sorted((root / SERVER / name).iterdir()):
            has_code = path.suffix == ".py" or (path.is_dir() and list(path.rglob("*.py")))
            if has_code and path.stem not in FILES | MORE_FILES.get(name, set()):
                found.append(f"assent.{name}.{path.stem}: not a file name of a slice")
    return found


def undeclared_folders(root: Path = ROOT) -> list[str]:
    """Every folder stands in the line of slices, and every slice answers to the contract of its inside."""
    layers = str(contract("slices", root)["layers"])
    inside = contract("inside", root)["containers"]
    places = {m.slice for m in modules(root) if m.parts[0] == "assent"} - {""}
    found = [
        f"assent.{one}: has no place in the line of slices"
        for one in sorted(places)
        if not re.search(rf"\b{one}\b", layers)
    ]
    found += [
        f"assent.{one}: not in contract `inside`"
        for one in server_slices(root)
        if f"assent.{one}" not in inside
    ]
    return found


def unlisted_public_names(root: Path = ROOT) -> list[str]:
    """Where a module has `__all__`, it is all that is public there, and nothing that is not there."""
    found = []
    for module in modules(root):
        listed = _listed(module.tree)
        if listed is None or module.path.name == "__init__.py":
            continue
        defined = {
            node.name
            for node in module.tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        bound = defined | {name for node in module.tree.body for name in _bound(node)}
        found += [
            f"{module.name}: __all__ names {one}, which is not there" for one in sorted(set(listed) - bound)
        ]
        commands = {
            node.name
            for node in module.tree.body
            if getattr(node, "decorator_list", None) and module.slice == "cli"
        }
        hidden = {one for one in defined - set(listed) - commands if not one.startswith("_")}
        found += [f"{module.name}: {one} is public and not in __all__" for one in sorted(hidden)]
    return found


def _listed(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return None


def _bound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign):
        yield from (t.id for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)


def empty_words(root: Path = ROOT) -> list[str]:
    """A name says what the thing is."""
    found = []
    for module in modules(root):
        named: list[tuple[ast.AST, str]] = [(module.tree, module.parts[-1])]
        named += [
            (n, n.name)
            for n in ast.walk(module.tree)
            if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        for node, name in named:
            words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
            bad = {word for word in words if word in NOT_IN_NAMES or word.removesuffix("s") in NOT_IN_NAMES}
            if bad and not name.startswith("_") and name not in FOREIGN_NAMES:
                found.append(module.at(node, f"{name}: not in names: {', '.join(sorted(bad))}"))
    return found


@dataclass(frozen=True)
class EventClass:
    module: Module
    node: ast.ClassDef
    type: str
    version: int

    @property
    def key(self) -> str:
        return f"{self.type} v{self.version}"


def events(root: Path = ROOT) -> list[EventClass]:
    found = []
    for module in modules(root):
        if module.parts[0] != "assent" or module.slice in FREE:
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                fields = {
                    _target(one): one.value
                    for one in node.body
                    if _target(one) and getattr(one, "value", None)
                }
                if "TYPE" in fields:
                    version = fields.get("V")
                    number = ast.literal_eval(version) if version is not None else 1
                    found.append(EventClass(module, node, ast.literal_eval(fields["TYPE"]), number))
    return found


def _target(node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def misnamed_events(root: Path = ROOT) -> list[str]:
    """slice.noun.past, in the domain of the slice that its first word names; one class per type and version."""
    found, seen = [], set[str]()
    for event in events(root):
        if not EVENT_TYPE.match(event.type) or not PAST.search(
            event.type.rpartition(".")[2].partition("_")[0]
        ):
            found.append(event.module.at(event.node, f"{event.type} does not read slice.noun.past"))
        if event.type.partition(".")[0] != event.module.slice or event.module.layer != "domain":
            found.append(event.module.at(event.node, f"{event.type} stands in {event.module.name}"))
        if event.key in seen:
            found.append(event.module.at(event.node, f"{event.key} exists twice"))
        seen.add(event.key)
    return found
