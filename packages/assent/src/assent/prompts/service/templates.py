"""Templates: a part of Jinja whose cost its input bounds, checked at registration, rendered in a sandbox.

Left out is what lets a short template make a long text or run for long: calls (`range` among them),
multiplication, macros, `set`, includes. Loops run over what the caller gives, three deep at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from assent.kernel.errors import Invalid, Reason, TooLarge
from assent.prompts.domain import placeholders_of, texts_of
from assent.prompts.service.schemas import filled

MAX_RENDERED = 2_000_000
MAX_ROUNDS = 100_000
MAX_LOOP_DEPTH = 3
MAX_CONSTANT = 16
MAX_GROWTH = 2
MAX_FILTERS = 20
MAX_TOKENS = 50_000
SIMPLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
MAX_TRUNCATED = 10_000

_STATEMENTS = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For)
_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos,
    nodes.Concat, nodes.Add, nodes.Sub, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
)  # fmt: skip
_REFUSED = {
    nodes.Call: "functions and methods cannot be called",
    nodes.Assign: "`set` is not offered",
    nodes.AssignBlock: "`set` is not offered",
    nodes.Mul: "`*` is not offered",
    nodes.Pow: "`**` is not offered",
    nodes.Mod: "`%` is not offered",
}
_SCALAR_FILTERS = frozenset(
    {
        "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items",
        "last", "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round",
        "select", "selectattr", "sort", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount",
    }
)  # fmt: skip
_GROWING_FILTERS = frozenset({"e", "escape", "indent", "join", "replace", "string", "tojson", "urlencode"})
_FILTERS = _SCALAR_FILTERS | _GROWING_FILTERS
_BOUND_FILTERS = _GROWING_FILTERS | {"round", "truncate"}
"""Filters whose arguments say how much they add: constants only, and small ones."""


class _Counted(ImmutableSandboxedEnvironment):
    """Gives templates nothing but their variables."""

    def __init__(self) -> None:
        # Templates make text for a model, not HTML: escaping would change what was approved.
        super().__init__(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        self.globals.clear()
        self.filters["_counted"] = _counted


_rounds_left: ContextVar[list[int]] = ContextVar("rounds_left")


def _counted(items: Any) -> Iterator[Any]:
    budget = _rounds_left.get()
    for item in items:
        budget[0] -= 1
        if budget[0] < 0:
            raise TooLarge(f"The template's loops take more than {MAX_ROUNDS:,} rounds.")
        yield item


ENVIRONMENT = _Counted()


Flaw = tuple[int, int, str]
"""Line and column, both counted from 1, and what is wrong there."""


def examine(document: Mapping[str, Any]) -> list[Reason]:
    """List every mistake of a document's templates with its line and column."""
    mistakes: list[Reason] = []
    declared, used = frozenset(document.get("variables") or {}), set(placeholders_of(document))
    read = _simple if document["syntax"] == "simple" else _jinja
    for where, text in texts_of(document):
        flaws, names = read(text)
        used |= names
        mistakes += [_mistake(where, flaw) for flaw in flaws]
        for name in sorted(names - declared):
            line, column = _place_of(text, name)
            flaw = (line, column, f"the variable {name!r} is not declared")
            mistakes.append(_mistake(where, flaw, "Declare it under `variables`, or correct its name."))
    if not mistakes:
        text = "it is declared and no text uses it"
        unused = sorted(declared - used)
        mistakes = [
            Reason(f"variables.{n}", f"variables.{n}: {text}", "Remove it, or use it.") for n in unused
        ]
    return mistakes


def _mistake(where: str, flaw: Flaw, remedy: str = "") -> Reason:
    line, column, message = flaw
    place = {"line": line, "column": column}
    return Reason(where, f"{where}, line {line}, column {column}: {message}", remedy, have=place)


def _simple(text: str) -> tuple[list[Flaw], set[str]]:
    names = {match[1] for match in SIMPLE.finditer(text)}
    starts = {match.start() for match in SIMPLE.finditer(text)}
    flaws = [
        (*_line_column(text, match.start()), "`{{` is not followed by a name and `}}`")
        for match in re.finditer(r"\{\{", text)
        if not {match.start(), match.start() + 1} & starts
    ]
    return flaws, names


def _line_column(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _jinja(text: str) -> tuple[list[Flaw], set[str]]:
    try:
        words = (kind for _, kind, _ in ENVIRONMENT.lex(text) if kind != "data")
        if next(islice(words, MAX_TOKENS, None), None) is not None:
            return [(1, 1, f"it has more than {MAX_TOKENS:,} words and signs within its tags")], set()
        tree = ENVIRONMENT.parse(text)
        if flaws := [(line, _tag_column(text, line), message) for line, message in _violations(tree)]:
            return flaws, set()  # nothing is compiled before: that alone would work `"a" * 10**9` out
        names = meta.find_undeclared_variables(tree)
        _compiled(text)
    except TemplateSyntaxError as error:
        return [(error.lineno, _tag_column(text, error.lineno), error.message or "syntax error")], set()
    except (RecursionError, SyntaxError, MemoryError, OverflowError, ValueError) as error:
        return [(1, 1, f"it is nested too deeply or cannot be compiled ({type(error).__name__})")], set()
    return [], names


def _tag_column(text: str, line: int) -> int:
    """Give the column of the first tag on a line; 1 where the tag began on a line before."""
    lines = text.split("\n")
    found = re.search(r"\{[{%#]", lines[line - 1]) if line <= len(lines) else None
    return found.start() + 1 if found else 1


def _place_of(text: str, name: str) -> tuple[int, int]:
    """Find where a template first uses a variable: outside its plain text, and not as an attribute."""
    word = re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w)")
    for tag in re.finditer(r"\{\{.*?\}\}|\{%.*?%\}", text, re.DOTALL):
        if found := word.search(tag[0]):
            return _line_column(text, tag.start() + found.start())
    return 1, 1


def _violations(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Give the line and a sentence for everything that this part of Jinja leaves out."""
    stack: list[tuple[nodes.Node, int, int]] = [(tree, 0, 1)]
    while stack:
        node, depth, line = stack.pop()
        line, depth = getattr(node, "lineno", None) or line, depth + isinstance(node, nodes.For)
        if message := _refusal(node, depth) or next(filter(None, map(_growth_refusal, _values(node))), None):
            yield line, message
        else:
            stack.extend((child, depth, line) for child in node.iter_child_nodes())


def _values(node: nodes.Node) -> Iterable[nodes.Node]:
    """Give the whole expressions that stand in a statement."""
    if isinstance(node, nodes.Output):
        return node.nodes
    if isinstance(node, nodes.If):
        return [node.test]
    return [node.iter, *([node.test] if node.test else [])] if isinstance(node, nodes.For) else ()


def _growth_refusal(value: nodes.Node) -> str | None:
    """Refuse expressions that could multiply the length of what they are given again and again."""
    filters = [*([value] if isinstance(value, nodes.Filter) else ()), *value.find_all(nodes.Filter)]
    if len(filters) > MAX_FILTERS:
        return f"there are more than {MAX_FILTERS} filters in one expression"
    if sum(one.name in _GROWING_FILTERS for one in filters) > MAX_GROWTH:
        growing = ", ".join(sorted(_GROWING_FILTERS))
        return f"at most {MAX_GROWTH} of {growing} can be applied in one expression"
    built = (nodes.Concat, nodes.Add)
    for one in filters:
        if one.node is not None and (isinstance(one.node, built) or one.node.find(built) is not None):
            return f"the filter {one.name!r} is applied to a text that was put together"
    return None


def _refusal(node: nodes.Node, depth: int) -> str | None:
    if not isinstance(node, _STATEMENTS + _EXPRESSIONS):
        return _REFUSED.get(type(node), f"`{type(node).__name__.lower()}` is not offered")
    if isinstance(node, nodes.For):
        return _loop_refusal(node, depth)
    if isinstance(node, nodes.Filter):
        return _filter_refusal(node)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        return f"the attribute {node.attr!r} is private"
    return None


def _loop_refusal(node: nodes.For, depth: int) -> str | None:
    if depth > MAX_LOOP_DEPTH:
        return f"loops are nested more than {MAX_LOOP_DEPTH} deep"
    if node.recursive:
        return "a loop cannot be recursive"
    if not _is_given(node.iter):
        return "a loop runs over a variable, or a part of one"
    return None


def _is_given(node: nodes.Node) -> bool:
    """Tell whether a value is a piece of the caller's, or a list of constants: nothing that was built up."""
    if isinstance(node, nodes.Filter):
        return node.node is not None and node.name in _SCALAR_FILTERS and _is_given(node.node)
    if isinstance(node, nodes.Getattr | nodes.Getitem):
        return _is_given(node.node)
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(isinstance(item, nodes.Const) for item in node.items)
    return isinstance(node, nodes.Name)


def _filter_refusal(node: nodes.Filter) -> str | None:
    if node.name not in _FILTERS:
        return f"the filter {node.name!r} is not offered; there are {', '.join(sorted(_FILTERS))}"
    arguments: list[nodes.Node] = [*node.args, *(pair.value for pair in node.kwargs)]
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return f"the filter {node.name!r} takes no `*` arguments"
    if node.name == "map" and node.args:
        return "`map` takes `attribute=` only"
    most = MAX_TRUNCATED if node.name == "truncate" else MAX_CONSTANT
    if node.name in _BOUND_FILTERS and not all(_is_small(argument, most) for argument in arguments):
        return (
            f"{node.name!r} takes constants only: texts up to {MAX_CONSTANT} characters, numbers up to {most}"
        )
    return None


def _is_small(node: nodes.Node, most: int) -> bool:
    value = node.value if isinstance(node, nodes.Const) else ...
    if isinstance(value, str):
        return len(value) <= MAX_CONSTANT
    return value is None or (isinstance(value, int) and abs(value) <= most)


@lru_cache(maxsize=256)
def _compiled(text: str) -> Template:
    """Compile a template with its loops counted."""
    tree = ENVIRONMENT.parse(text)
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None, lineno=loop.lineno)
    code = ENVIRONMENT.compile(tree)
    return Template.from_code(ENVIRONMENT, code, {})


def render(document: Mapping[str, Any], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fill in a document's messages.

    Raises: Invalid with every variable that is missing, unknown or out of its schema, or with the fault of
    the template; TooLarge.
    """
    values = filled(document.get("variables") or {}, given)
    _rounds_left.set([MAX_ROUNDS])
    left, messages = MAX_RENDERED, list[dict[str, Any]]()
    for message in document.get("messages") or ():
        if "placeholder" in message:
            messages += values[message["placeholder"]] or ()
            continue
        content = message.get("content")
        if isinstance(content, str):
            content = _text(document, content, values, left)
            left -= len(content)
        elif isinstance(content, list):
            parts: list[Any] = []
            for part in content:
                own = part
                if isinstance(part.get("text"), str):
                    own = {**part, "text": _text(document, part["text"], values, left)}
                    left -= len(own["text"])
                parts.append(own)
            content = parts
        messages.append({**message, "content": content})
    return messages


def _text(document: Mapping[str, Any], text: str, values: Mapping[str, Any], left: int) -> str:
    pieces: list[str] = []
    try:
        if document.get("syntax") == "simple":
            made: Iterator[str] = iter([SIMPLE.sub(lambda match: _plain(values[match[1]]), text)])
        else:
            made = _compiled(text).generate(values)
        for piece in made:
            left -= len(piece)
            if left < 0:
                raise TooLarge(f"The prompt renders to more than {MAX_RENDERED:,} characters.")
            pieces.append(piece)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"The prompt cannot be rendered: {error}.") from error
    return "".join(pieces)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else msgspec.json.encode(value).decode()
