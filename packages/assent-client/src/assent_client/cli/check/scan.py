"""Find the names of models that source pins: whole strings and values, never words in prose or comments."""

from __future__ import annotations

import ast
import os
import re
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from assent_client.cli.check.ignored import Rule, glob_pattern, is_ignored, read_rules
from assent_client.cli.check.names import Name, recognise

MAX_FILE_BYTES = 1_000_000
MAX_FILES = 500_000
MAX_FINDINGS = 10_000
MAX_LINE = 5_000
ALLOW = re.compile(r"assent:\s*allow\b", re.IGNORECASE)
HINTS = tuple(
    word.encode()
    for word in [
        "gpt",
        "claude",
        "gemini",
        "gemma",
        "mistral",
        "ministral",
        "mixtral",
        "magistral",
        "codestral",
        "devstral",
        "pixtral",
        "voxtral",
        "llama",
        "bison",
        "davinci",
        "curie",
        "babbage",
        "text-ada",
        "embedding",
        "dall-e",
        "whisper-1",
        "tts-1",
        "bedrock",
        "imagen",
        "moderation",
        "sora-2",
        "amazon.",
        "cohere.",
        "ai21.",
        "meta.",
        "deepseek.",
        "anthropic.",
        "stability.",
        "writer.",
        "openai.",
        "qwen.",
    ]
)
SHORT_HINT = re.compile(rb"(?:\A|[^a-z0-9_.])o[134](?![a-z0-9_])")
SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", "node_modules", ".venv", "venv", "__pycache__", ".tox", ".nox", "site-packages"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".terraform"}
)
SKIPPED_FILES = frozenset(
    {"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "uv.lock", "poetry.lock", "Cargo.lock"}
)
DATA = frozenset(
    [
        ".yaml",
        ".yml",
        ".env",
        ".ini",
        ".cfg",
        ".conf",
        ".toml",
        ".properties",
        ".tfvars",
        ".sh",
        ".bash",
        ".zsh",
        ".ps1",
        ".mk",
    ]
)
CODE = frozenset(
    [
        ".py",
        ".pyi",
        ".ipynb",
        ".js",
        ".jsx",
        ".ts",
        ".tsx",
        ".mjs",
        ".cjs",
        ".go",
        ".rs",
        ".java",
        ".kt",
        ".kts",
        ".scala",
        ".groovy",
        ".gradle",
        ".rb",
        ".php",
        ".cs",
        ".fs",
        ".vb",
        ".swift",
        ".c",
        ".cc",
        ".cpp",
        ".h",
        ".hpp",
        ".tf",
        ".hcl",
        ".json",
        ".jsonc",
        ".xml",
        ".lua",
        ".r",
        ".jl",
        ".ex",
        ".exs",
        ".dart",
        ".vue",
        ".svelte",
        ".sql",
        ".clj",
        ".erl",
        ".pl",
    ]
)
NAMED = ("Dockerfile", "Makefile", "Procfile", "Jenkinsfile", ".env")
RECORDS = frozenset({"base_model", "upstream_model"})
"""Keys of Assent's own documents: there a model belongs."""

_QUOTED = re.compile(r"""(?P<quote>\\?["'`])(?P<name>[A-Za-z0-9/][^"'`\\\s]{1,199})(?P=quote)""")
_VALUE = re.compile(
    r"""\s*(?:-\s+)?(?:export\s+|ENV\s+|ARG\s+|set\s+)?["']?(?P<key>[\w.-]+)["']?\s*[:=]\s*(?P<name>[^\s"'#,;]+)\s*(?:\s[#;].*)?\Z"""
)
_ITEM = re.compile(r"""\s*-\s+(?P<name>[^\s"'#:]+(?::[^\s"'#]+)?)\s*(?:\s#.*)?\Z""")
_KEY = re.compile(r"""["']?([\w.-]+)["']?\s*[:=]\s*\Z""")
_COMMENT = re.compile(r"\s*(?:#(?!\[)|//|/\*|\*(?:\s|/|\Z)|--\s|;|<!--|rem\s)", re.IGNORECASE)
_TRAILING = re.compile(r"(?:\s#\s|\s//\s|\s--\s)")
_CONTEXT = re.compile(r"model|deployment|engine|llm", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """A name in a file; line and column count from 1."""

    path: str
    line: int
    column: int
    name: Name
    text: str


@dataclass(slots=True)
class Scan:
    """What was found, and what was not read."""

    findings: list[Finding] = field(default_factory=list)
    n_files: int = 0
    n_too_large: int = 0
    n_unreadable: int = 0
    stopped: str | None = None


def scan(root: Path, *, excluded: list[str], limit_s: float) -> Scan:
    """Look through a file or a tree. Files that are ignored, too large or no source are left out."""
    found, until = Scan(), time.monotonic() + limit_s
    patterns = [glob_pattern(one) for one in excluded]
    for path, name in _files(root):
        if any(pattern.match(name) for pattern in patterns):
            continue
        if time.monotonic() > until:
            found.stopped = f"the time of {limit_s:g} s is over"
        elif found.n_files >= MAX_FILES:
            found.stopped = f"there are more than {MAX_FILES:,} files"
        elif len(found.findings) >= MAX_FINDINGS:
            found.stopped = f"there are more than {MAX_FINDINGS:,} findings"
        if found.stopped:
            return found
        _look(path, name, found)
    return found


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """List the files of a tree in order; links are not followed."""
    if not root.is_dir():
        yield root, root.name
        return
    stack: list[tuple[Path, str, list[Rule]]] = [(root, "", [])]
    while stack:
        folder, base, inherited = stack.pop()
        rules = inherited + read_rules(folder, base)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        folders = []
        for entry in entries:
            name, is_folder = base + entry.name, entry.is_dir(follow_symlinks=False)
            if is_ignored(name, rules, is_folder=is_folder):
                continue
            if is_folder and entry.name not in SKIPPED_FOLDERS:
                folders.append((Path(entry.path), f"{name}/", rules))
            elif entry.is_file(follow_symlinks=False) and _is_source(entry.name):
                yield Path(entry.path), name
        stack += reversed(folders)


def _is_source(name: str) -> bool:
    if name in SKIPPED_FILES:
        return False
    return Path(name).suffix.lower() in CODE | DATA or name.startswith(NAMED)


def _look(path: Path, name: str, found: Scan) -> None:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        found.n_unreadable += 1
        return
    if len(content) > MAX_FILE_BYTES:
        found.n_too_large += 1
        return
    found.n_files += 1
    if b"\0" in content[:8192] or not may_hold_a_name(content):
        return
    text = content.decode("utf-8", "replace")
    lines = text.split("\n")
    places = _python(text) if path.suffix in {".py", ".pyi"} else None
    for line, column, name_found in _lines(path, lines) if places is None else places:
        if not _is_allowed(lines, line):
            shown = lines[line - 1].strip()[:MAX_NAME_SHOWN]
            found.findings.append(Finding(name, line, column, name_found, shown))


def may_hold_a_name(content: bytes) -> bool:
    """Tell quickly that a file holds none: eight times as fast as one pattern of all of them."""
    lowered = content.lower()
    return any(hint in lowered for hint in HINTS) or SHORT_HINT.search(lowered) is not None


MAX_NAME_SHOWN = 200
Place = tuple[int, int, Name]


def _is_allowed(lines: list[str], line: int) -> bool:
    above = lines[line - 2] if line > 1 else ""
    return bool(ALLOW.search(lines[line - 1]) or (_COMMENT.match(above) and ALLOW.search(above)))


def _python(text: str) -> list[Place] | None:
    """Give the strings of a program that are names; None where it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        return sorted(_constants(tree, text.split("\n")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _constants(tree: ast.AST, lines: list[str]) -> Iterator[Place]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        name = recognise(node.value)
        if name is None:
            continue
        line = lines[node.lineno - 1]
        column = len(line.encode()[: node.col_offset].decode("utf-8", "replace")) + 1
        key = _KEY.search(line[: column - 1])
        if _counts(name, line, key):
            yield node.lineno, column, name


def _lines(path: Path, lines: list[str]) -> Iterator[Place]:
    is_data = path.suffix.lower() in DATA or path.name.startswith(NAMED)
    for number, line in enumerate(lines, start=1):
        if (len(line) > MAX_LINE and path.suffix != ".ipynb") or _COMMENT.match(line):
            continue
        quoted = list(_QUOTED.finditer(line))
        for match in quoted:
            key = _KEY.search(line, 0, match.start())
            name = recognise(match["name"])
            if name and not _TRAILING.search(line, 0, match.start()) and _counts(name, line, key):
                yield number, match.start("name") + 1, name
        value = None if quoted or not is_data else _VALUE.match(line) or _ITEM.match(line)
        if (
            value
            and (name := recognise(value["name"]))
            and _counts(name, line, _KEY.search(line, 0, value.start("name")))
        ):
            yield number, value.start("name") + 1, name


def _counts(name: Name, line: str, key: re.Match[str] | None) -> bool:
    if key and key[1] in RECORDS:
        return False
    return not name.context or bool(_CONTEXT.search(line))
