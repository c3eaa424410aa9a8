"""Every command line that a document shows can be typed: its words, options and arguments are there."""

import functools
import re
import shlex
from itertools import takewhile

import pytest
from typer import BadParameter
from typer.core import TyperGroup

from assent_client.cli import tree
from tests.architecture.house_rules import ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```[a-z]*\n(.*?)^```|((?:^    .*\n)+)", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"^\s*(?:[$] )?((?:assent|as [a-z]+) (?:.|(?<=\\)\n)+)$", re.MULTILINE)
INLINE = re.compile(r"`(assent [^`]+)`")
COMMAND = re.compile(r"\bassent ([a-z][a-z-]*) ([a-z][a-z-]*)")
ELLIPSIS = "…"  # stands for what the reader knows
USAGE_ERROR = BadParameter.__base__
SHELL = {">", "|", "&", "&&"}


def shown():
    """Give (command line, whether it is whole) of what stands in blocks, and of what stands in a sentence."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        whole = [line for block in BLOCK.finditer(text) for line in LINE.findall(block[0])]
        for command in dict.fromkeys([*whole, *INLINE.findall(text)]):
            name = f"{path.relative_to(ROOT)}: {command[:60]}"
            yield pytest.param(command.replace("\\\n", " "), command in whole, id=name)


@functools.cache
def at(path):
    """Give the command that the words of a path name, None where there is none; each takes a while to load."""
    if not path:
        return tree.root()
    context = at(path[:-1]).make_context(path[-1], [], resilient_parsing=True)
    return at(path[:-1]).get_command(context, path[-1])


def find(words):
    """Give the command that words begin with, the words that named it, and those that are left."""
    path, rest = (), list(words)
    while isinstance(at(path), TyperGroup) and rest and rest[0] != ELLIPSIS and not rest[0].startswith("-"):
        assert at((*path, rest[0])) is not None, f"{' '.join(('assent', *path))} has no {rest[0]!r}"
        path = (*path, rest.pop(0))
    return at(path), ["assent", *path], rest


@pytest.mark.parametrize(("command", "whole"), list(shown()))
def test_a_command_of_a_document_can_be_typed(command, whole, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = list(takewhile(lambda word: word not in SHELL, shlex.split(command, comments=True)))
    words = words[2 if words[0] == "as" else 1 :]  # `as ada …` is `assent …` by ada
    found, path, words = find(words)
    if isinstance(found, TyperGroup):
        return
    fault = typed(found, path[-1], words)
    stands_for = any(word.isupper() or "|" in word or ELLIPSIS in word for word in words)
    excused = {
        None: True,
        "MissingParameter": not whole,
        "BadOptionUsage": not whole,
        "BadParameter": stands_for,
    }
    assert excused.get(fault), f"{command}: {fault}"


def typed(command, name, words):
    """Give what is wrong with the words of a command, without running it."""
    try:
        command.make_context(name, list(words))
    except USAGE_ERROR as error:
        return type(error).__name__
    return None


def told():
    """Give the commands that errors, pages and examples tell people to type: `assent NOUN VERB`."""
    for folder in ("packages", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".html", ".yaml"}:
                for words in COMMAND.findall(path.read_text(encoding="utf-8")):
                    yield path.relative_to(ROOT), words


def test_every_command_that_the_product_tells_people_to_type_is_there():
    nouns = {noun for noun, command in commands(at(())) if isinstance(command, TyperGroup)}
    verbs = {(noun, verb) for noun in nouns for verb, _ in commands(find([noun])[0])}
    wrong = [(str(path), *words) for path, words in told() if words[0] in nouns and words not in verbs]
    assert not wrong


def commands(group):
    """Give the commands of a group by their names."""
    context = group.make_context("assent", [], resilient_parsing=True)
    return [(name, group.get_command(context, name)) for name in group.list_commands(context)]
