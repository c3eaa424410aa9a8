"""Fragments: a prompt within a prompt, put in at registration and pinned to a digest.

A text says `{{> alias}}`, and the document `fragments: {alias: name@1.2.0}`. What is registered holds the
whole text, so that nothing is looked up when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from assent.kernel.errors import Reason
from assent.prompts.domain.document import MAX_DOCUMENT_BYTES, VARIABLE, Mistakes

MARK = re.compile(r"\{\{>\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\}\}")
MAX_FRAGMENTS = 50
MAX_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Fragment:
    """A registered prompt as a part of another. `within`: the names of all prompts in it, its own too."""

    ref: str
    digest: str
    document: Mapping[str, Any]
    within: frozenset[str]
    depth: int

    @property
    def text(self) -> str | None:
        """Give its one text; None where it is more than a text."""
        messages = self.document["messages"]
        content = messages[0].get("content") if len(messages) == 1 else None
        return content if isinstance(content, str) else None


def refs_of(raw: Mapping[str, Any], mistakes: Mistakes) -> dict[str, str]:
    """Read which fragments an author names: alias and name@number."""
    value = raw.get("fragments")
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > MAX_FRAGMENTS:
        text = f"fragments must be a mapping of at most {MAX_FRAGMENTS} aliases to NAME@VERSION"
        mistakes.append(Reason("fragments", text))
        return {}
    found = {}
    for alias, ref in value.items():
        ref_text = ref.get("ref") if isinstance(ref, Mapping) else ref
        if not isinstance(alias, str) or not VARIABLE.match(alias) or not isinstance(ref_text, str):
            where = f"fragments.{str(alias)[:80]}"
            mistakes.append(Reason(where, f"{where} must read `alias: NAME@VERSION`"))
        else:
            found[alias] = ref_text
    return found


@dataclass(slots=True)
class Composition:
    """Puts fragments into texts, and counts what that adds up to before it is built."""

    name: str
    syntax: str
    fragments: Mapping[str, Fragment]
    mistakes: Mistakes
    used: set[str] = field(default_factory=set)
    left: int = MAX_DOCUMENT_BYTES

    def check(self) -> None:
        """Refuse fragments that cannot be part of this prompt."""
        for alias, one in self.fragments.items():
            for message, remedy in self._flaws(one):
                where = f"fragments.{alias}"
                self.mistakes.append(Reason(where, f"{where}: {one.ref} {message}", remedy))

    def _flaws(self, one: Fragment) -> list[tuple[str, str]]:
        flaws = []
        if self.name in one.within:
            text = "is made of this prompt itself" if one.depth else "is this prompt itself"
            flaws.append((text + ": fragments may not be recursive", "Take that part out."))
        if one.depth + 1 > MAX_DEPTH:
            flaws.append((f"is nested {one.depth} deep; {MAX_DEPTH} at most", "Flatten it."))
        if one.text is None or one.document["tools"] or one.document["response_format"]:
            flaws.append(("is more than a text", "A fragment is a text prompt without tools."))
        if one.document["syntax"] != self.syntax:
            text = f"is written in {one.document['syntax']}, this prompt in {self.syntax}"
            flaws.append((text, "Use one syntax for both."))
        return flaws

    def text(self, text: str, where: str) -> str:
        """Give a text with its fragments."""
        pieces, at = list[str](), 0
        self._take(len(text), where)
        for mark in MARK.finditer(text):
            pieces.append(text[at : mark.start()])
            at = mark.end()
            pieces.append(self._part(mark[1], text, mark.start(), where))
        return "".join([*pieces, text[at:]])

    def _part(self, alias: str, text: str, offset: int, where: str) -> str:
        self.used.add(alias)
        one = self.fragments.get(alias)
        if one is None:
            line, column = text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
            message = f"{where}, line {line}, column {column}: the fragment {alias!r} is not named"
            remedy = f"Write `fragments: {{{alias}: NAME@VERSION}}`."
            self.mistakes.append(Reason(where, message, remedy, have={"line": line, "column": column}))
            return ""
        part = one.text or ""
        return part if self._take(len(part), where) else ""

    def _take(self, n: int, where: str) -> bool:
        """Count characters; the first that is too much is the one that is told."""
        had, self.left = self.left, self.left - n
        if self.left < 0 <= had:
            text = f"{where}: with its fragments the prompt has more than {MAX_DOCUMENT_BYTES:,} characters"
            self.mistakes.append(Reason(where, text, "Include less, or give long texts as variables."))
        return self.left >= 0


def compose(raw: Mapping[str, Any], composition: Composition) -> dict[str, Any]:
    """Give what an author wrote with every fragment in its place, and the variables that they bring."""
    composition.check()
    composed = {key: value for key, value in raw.items() if key != "fragments"}
    if isinstance(raw.get("text"), str):
        composed["text"] = composition.text(raw["text"], "text")
    if isinstance(raw.get("messages"), list):
        composed["messages"] = [
            _message(message, f"messages[{index}].content", composition)
            for index, message in enumerate(raw["messages"])
        ]
    for alias in sorted(composition.fragments.keys() - composition.used):
        where = f"fragments.{alias}"
        composition.mistakes.append(Reason(where, f"{where}: no text uses it", f"Write {{{{> {alias}}}}}."))
    own = raw.get("variables")
    if composition.fragments and (own is None or isinstance(own, Mapping)):
        composed["variables"] = {**_brought(composition, own or {}), **(own or {})}
    return composed


def _message(message: Any, where: str, composition: Composition) -> Any:
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, str):
        return {**message, "content": composition.text(content, where)}
    if isinstance(content, list):
        parts = [
            {**part, "text": composition.text(part["text"], f"{where}[{number}].text")}
            if isinstance(part, Mapping) and isinstance(part.get("text"), str)
            else part
            for number, part in enumerate(content)
        ]
        return {**message, "content": parts}
    return message


def _brought(composition: Composition, own: Mapping[str, Any]) -> dict[str, Any]:
    """Gather the variables of fragments; where two declare one differently the author must."""
    found: dict[str, Any] = {}
    for alias, one in composition.fragments.items():
        for name, declared in one.document["variables"].items():
            if name not in own and found.get(name, declared) != declared:
                text = f"variables.{name}: {alias} declares it in another way than another fragment"
                composition.mistakes.append(Reason(f"variables.{name}", text, "Declare it here."))
            found[name] = declared
    return found


def pins(raw: Mapping[str, Any], fragments: Mapping[str, Fragment]) -> dict[str, Any]:
    """Say in the document what it was made from: each fragment by digest, and the messages as written."""
    if not fragments:
        return {}
    text = raw.get("text")
    source = raw.get("messages") if text is None else [{"role": "system", "content": text}]
    named = {alias: {"ref": one.ref, "digest": one.digest} for alias, one in fragments.items()}
    return {"fragments": named, "source": source}
