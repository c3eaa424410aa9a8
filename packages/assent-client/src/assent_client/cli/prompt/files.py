"""Prompts as files beside the code: written out, compared, registered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from assent_client.cli.strict_yaml import Document, parse, read
from assent_client.durable import replace
from assent_client.errors import AssentError, Conflict, Invalid, NotFound, Reason, TooLarge

if TYPE_CHECKING:
    from assent_client.api import Api

__all__ = [
    "MAX_FILES",
    "Local",
    "Step",
    "author_form",
    "local_files",
    "plan_pull",
    "plan_push",
    "write",
    "written",
]

MAX_FILES = 1000
MAX_BYTES = 1_500_000
KINDS = (".yaml", ".yml", ".json")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_KEPT = ("description", "tags", "tools", "response_format", "parameters")


@dataclass(frozen=True, slots=True)
class Local:
    """A prompt in a file: what would be registered, and under which name."""

    path: Path
    name: str
    body: Mapping[str, Any]

    @property
    def refs(self) -> set[str]:
        """Give the prompts, by name@version, that are fragments of it."""
        fragments = self.body.get("fragments")
        refs = fragments.values() if isinstance(fragments, Mapping) else ()
        return {ref for ref in refs if isinstance(ref, str)}

    @property
    def needs(self) -> set[str]:
        """Give the names of the prompts that are fragments of it."""
        return {ref.partition("@")[0] for ref in self.refs}


@dataclass(frozen=True, slots=True)
class Step:
    """What a push or a pull does with one prompt: `action` is register, write, same or refused."""

    name: str
    action: str
    path: Path
    version: str | None = None
    bump: str | None = None
    interface: tuple[str, ...] = ()
    content: bytes | None = None

    def to_wire(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {
            "name": self.name,
            "action": self.action,
            "version": self.version,
            "bump": self.bump,
            "interface": list(self.interface),
            "path": str(self.path),
        }


def local_files(folder: Path) -> list[Local]:
    """Read the prompts of a folder, fragments before what includes them. Raises: Invalid, TooLarge."""
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}.", remedy="Give the folder that holds the prompts.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix in KINDS and path.is_file())
    if len(paths) > MAX_FILES:
        raise TooLarge(f"{folder} holds {len(paths):,} files; {MAX_FILES:,} are read.")
    found: dict[str, Local] = {}
    for path in paths:
        one = _local(read(path, MAX_BYTES))
        if one.name in found:
            raise Invalid(
                f"{path} and {found[one.name].path} are both the prompt {one.name}.",
                remedy="Keep one of them.",
            )
        found[one.name] = one
    return list(_ordered(found))


def _local(document: Document) -> Local:
    path, value = document.path, document.value
    if not isinstance(value, dict):
        raise Invalid(f"{path} holds no prompt.", remedy="Write a mapping with text or messages.")
    name = value.get("name", path.stem)
    if not isinstance(name, str) or not NAME.match(name):
        raise Invalid(f"{path}: {str(name)[:80]!r} is no name.", remedy="Use a-z, 0-9 and . _ -")
    return Local(path, name, {**value, "name": name})


def _ordered(found: Mapping[str, Local]) -> Iterator[Local]:
    """Give each prompt after those it includes. Raises: Invalid (they include each other)."""
    left = dict(found)
    while left:
        ready = [one for one in left.values() if not (one.needs - {one.name}) & left.keys()]
        if not ready:
            raise Invalid(
                f"These prompts include each other: {', '.join(sorted(left))}.",
                remedy="Fragments may not be recursive: take one of them out.",
            )
        for one in ready:
            yield left.pop(one.name)


def plan_push(api: Api, prompts: list[Local], *, register: bool) -> list[Step]:
    """Say, for each file, what it would be; with `register`, do it.

    Every file is tried; without `register` those whose fragments would come with this push have no version
    yet. Raises: Invalid that names every file that is refused, and why.
    """
    steps, mistakes, coming = [], list[Reason](), set[str]()
    for one in prompts:
        try:
            if one.refs & coming:  # a fragment that is not registered yet: the server cannot read this one
                step = Step(one.name, "register", one.path)
            else:
                step = _push(api, one, register=register)
            if step.action == "register" and not register:
                coming.add(f"{step.name}@{step.version}")
            steps.append(step)
        except AssentError as error:
            reasons = error.reasons or (Reason("", error.message, error.remedy or ""),)
            mistakes += [Reason(f"{one.path}", r.message, r.remedy) for r in reasons]
    if mistakes:
        done = sum(step.action == "register" for step in steps) if register else 0
        raise Invalid(
            f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''} in prompts; {done} were registered.",
            remedy="Correct them and push again: what is registered stays as it is.",
            reasons=mistakes,
        )
    return steps


def _push(api: Api, one: Local, *, register: bool) -> Step:
    found = api.post(api.path("prompts"), one.body, check=True)
    interface = tuple(f"{change['where']}: {change['what']}" for change in found["interface"])
    if found["exists"]:
        return Step(one.name, "same", one.path, found["version"])
    if register:
        found = {**found, "version": api.post(api.path("prompts"), one.body)["version"]}
    return Step(one.name, "register", one.path, found["version"], found["bump"], interface)


def plan_pull(api: Api, folder: Path, refs: list[str], *, force: bool) -> list[Step]:
    """Compare the newest versions, or those that are named, with the files of a folder.

    Raises: Conflict that names every file which holds what is not registered.
    """
    wanted = refs or sorted({one["name"] for one in api.pages(api.path("prompts"))})
    if len(wanted) > MAX_FILES:
        raise TooLarge(f"There are {len(wanted):,} prompts; {MAX_FILES:,} are pulled at once.")
    held = {one.name: one for one in local_files(folder)} if folder.is_dir() else {}
    steps, lost = [], list[Reason]()
    for ref in wanted:
        name, _, version = ref.partition("@")
        found = api.get(api.path("prompts", name, version or "latest"))
        local = held.get(name)
        registered = None if local is None else _registered(api, local)
        if local is not None and registered == found["digest"]:
            steps.append(Step(name, "same", local.path, found["version"]))
            continue
        step = _pull(folder, found, local)
        if local is not None and registered is None and not force:
            text = f"{step.path} holds changes that are not registered"
            lost.append(Reason(name, text, "Push them first, or pull with --force."))
        steps.append(step)
    if lost:
        raise Conflict("Pulling would lose work; nothing was written.", reasons=lost)
    return steps


def _pull(folder: Path, found: Mapping[str, Any], held: Local | None) -> Step:
    name = found["name"]
    if not isinstance(name, str) or not NAME.match(name):
        raise Invalid(f"The server named a prompt {str(name)[:80]!r}; no file can be called so.")
    body = author_form(found["document"])
    suffix, content = written(body, f"{found['ref']} {found['digest']}")
    path = folder / f"{name}{suffix}" if held is None else held.path.with_suffix(suffix)
    return Step(name, "write", path, found["version"], content=content)


def _registered(api: Api, held: Local) -> str | None:
    """Give the digest of what a file holds, if it is registered."""
    body = {key: value for key, value in held.body.items() if key not in {"bump", "version"}}
    try:
        found = api.post(api.path("prompts"), body, check=True)
    except (Invalid, NotFound, Conflict):
        return None
    return str(found["digest"]) if found["exists"] else None


def author_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a registered document as its author would: fragments as marks, without what follows by itself."""
    messages = document.get("source") or document["messages"]
    body: dict[str, Any] = {"name": document["name"]}
    body |= {key: document[key] for key in _KEPT if document.get(key)}
    if document["syntax"] != "jinja":
        body["syntax"] = document["syntax"]
    placed = {one["placeholder"] for one in messages if "placeholder" in one}
    if variables := {k: v for k, v in document["variables"].items() if k not in placed}:
        body["variables"] = variables
    if fragments := document.get("fragments"):
        body["fragments"] = {alias: one["ref"] for alias, one in fragments.items()}
    first = messages[0]
    if document["format"] == "text" and first.keys() == {"role", "content"} and first["role"] == "system":
        return body | {"text": first["content"]}
    return body | {"format": document["format"], "messages": messages}


class _Writer(yaml.SafeDumper):
    """Writes long texts as blocks, and nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 -- the library's signature
        return True


def _text(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Writer.add_representer(str, _text)


def written(body: Mapping[str, Any], title: str) -> tuple[str, bytes]:
    """Write a prompt as YAML, or as JSON where YAML would not come back the same; gives the suffix too."""
    text = yaml.dump(dict(body), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=100)
    content = f"# {title}\n{text}".encode("utf-8", "surrogatepass")
    try:
        if parse(content, Path("written")).value == body:
            return ".yaml", content
    except Invalid:
        pass
    return ".json", (json.dumps(body, indent=2, ensure_ascii=True) + "\n").encode()


def write(step: Step) -> None:
    """Put a pulled prompt into its file. Raises: Invalid."""
    if step.content is None:
        return
    try:
        step.path.parent.mkdir(parents=True, exist_ok=True)
        replace(step.path, step.content)
        step.path.chmod(0o644)
    except OSError as error:
        raise Invalid(f"{step.path} cannot be written: {error.strerror}.") from error
