"""Write the documents that follow from the code: events, permissions, settings, errors.

make docs
"""

import ast
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

from assent.identity.domain import ROLES, Permission
from assent.kernel.settings import Settings
from assent_client.errors import ERRORS
from tests.architecture.house_rules import ROOT, EventClass, events, server_slices


def _table(heads: list[str], rows: list[list[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def events_text() -> str:
    """All events by slice, with what they carry."""
    text = (
        "# Events\n\nEverything that happens is one of these, recorded once and never changed; its leaf in the ledger "
        "is canonical JSON\n`{v, type, ev, id, at, actor, reason, data}`, where `data` holds the fields below and `ev` "
        "is the version of the type.\nTypes read `slice.noun.past`. `make docs` writes this file from the code.\n"
    )
    by_slice: dict[str, list[EventClass]] = {}
    for event in events():
        by_slice.setdefault(event.module.slice, []).append(event)
    for name in server_slices():
        if name in by_slice:
            rows = [
                [f"`{event.type}`", str(event.version), _what(event), _fields(event)]
                for event in sorted(by_slice[name], key=lambda one: one.key)
            ]
            text += f"\n## {name}\n" + _table(["type", "ev", "what happened", "fields"], rows)
    return text


def _what(event: EventClass) -> str:
    return (ast.get_docstring(event.node) or "").split("\n\n")[0].replace("\n", " ")


def _fields(event: EventClass) -> str:
    carried = getattr(import_module(event.module.name), event.node.name)
    return ", ".join(f"`{one.name}`" for one in fields(carried)) or "none"


def permissions_text() -> str:
    """All permissions, and which roles hold them."""
    roles = list(ROLES)
    rows = [[f"`{one}`", *("yes" if one in ROLES[role] else "" for role in roles)] for one in Permission]
    return (
        "# Permissions\n\nA permission reads `slice.noun.verb`. Roles are sets of permissions, held everywhere or in "
        "one project; a token can do\nno more than its owner, and less where it has scopes. Nobody may vote by being "
        "admin. `make docs` writes this file.\n\n" + _table(["permission", *roles], rows)
    )


def settings_text() -> str:
    """All settings of an installation."""
    rows = [
        [
            f"`ASSENT_{name.upper()}`",
            field.description or "",
            f"`{field.default}`" if field.default not in {None, ""} else "none",
        ]
        for name, field in Settings.model_fields.items()
    ]
    return (
        "# Settings\n\nRead once at start from environment variables; a wrong one stops the start and is named. "
        "The command line reads\n`ASSENT_URL`, `ASSENT_TOKEN` and `ASSENT_PROJECT` instead. `make docs` writes this file.\n\n"
        + _table(["variable", "meaning", "default"], rows)
    )


def errors_text() -> str:
    """All errors on the wire, in the SDK and as exit codes."""
    rows = [
        [
            f"`{cls.code}`",
            str(cls.status),
            str(cls.exit_code),
            f"`{cls.__name__}`",
            (cls.__doc__ or "").split("\n")[0],
        ]
        for cls in ERRORS.values()
    ]
    rows.append(
        ["`internal`", "500", "70", "`Internal`", "A defect: the id finds the detail in the server's log."]
    )
    return (
        "# Errors\n\nOne closed set for API, SDK and command line. On the wire each is an RFC 9457 problem "
        "(`application/problem+json`):\n\n```json\n"
        '{"type": "urn:assent:error:refused", "title": "Refused", "status": 409, "code": "refused",\n'
        ' "detail": "2 conditions are not fulfilled.", "remedy": null, "request_id": "req_…",\n'
        ' "reasons": [{"id": "votes", "message": "…", "have": 0, "need": 1, "remedy": "Ask a reviewer."}]}\n```\n\n'
        "A refusal lists every reason at once, each with what was found, what is needed and what to do.\n\n"
        + _table(["code", "status", "exit code", "class in `assent_client.errors`", "meaning"], rows)
        + "\nOther exit codes: 0 done, 1 fail (a verdict, or `--check` found a difference), 2 usage, 3 inconclusive, "
        "130 interrupted.\n"
    )


DOCUMENTS = {
    "docs/events.md": events_text,
    "docs/permissions.md": permissions_text,
    "docs/settings.md": settings_text,
    "docs/errors.md": errors_text,
}


def main(root: Path = ROOT) -> int:
    """Write them all."""
    for path, text in DOCUMENTS.items():
        (root / path).write_text(text(), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
