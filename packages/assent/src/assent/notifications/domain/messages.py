"""What is told of an event: names, numbers and a link, no secret and no text that a person wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ABOUT = (
    "name", "number", "ref", "environment", "kind", "label", "stage", "status", "effect", "verdict",
    "outcome", "because", "guard", "automatic", "step", "rollout", "request", "incident", "break_glass",
    "run", "tier", "policy_ref", "successor_ref", "sunset_at", "starts_at", "brownouts", "days", "dependents",
    "applications", "n_calls", "base_model", "ends_on", "versions", "live", "expires_at", "ends_at",
    "second_by", "review_by", "waiver", "group", "verb", "subscription", "channel", "kinds",
    "says", "until", "severity", "alert",
)  # fmt: skip
"""Fields of events that are told: identifiers, states, times and figures; all else stays in the ledger."""

PING = "notifications.subscription.tested"
MAX_LINE = 150
MAX_SLACK = 2300
MAX_LISTED = 200
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class Heard:
    """An event that is told: a leaf of the ledger, or a test, which has none (`index` None).

    `at` is RFC 3339 in UTC, as the leaf has it.
    """

    type: str
    at: str
    project: str
    index: int | None
    event: str | None
    fields: Mapping[str, Any]


def ping(project: str, name: str, at: str) -> Heard:
    """Make what `assent hook test` sends."""
    return Heard(PING, at, project, None, None, {"name": name})


def link(heard: Heard, base_url: str) -> str:
    """Give the page of the console where the event can be looked at; nothing is decided by following it."""
    said = {key: value for key, value in heard.fields.items() if isinstance(value, str) and value}
    place = f"{base_url}/projects/{quote(heard.project, safe='')}"
    if heard.index is None:
        return f"{place}/notifications"
    if heard.type.startswith("monitoring.incident.") and "incident" in said:
        return f"{place}/incidents/{quote(said['incident'], safe='')}"
    for key, path in (("rollout", "rollouts"), ("request", "requests")):
        if key in said:
            return f"{place}/{path}/{quote(said[key], safe='')}"
    if "name" in said and "number" in said and heard.type.startswith(("registry.version", "retirement.")):
        return f"{place}/versions/{quote(said['name'], safe='')}/{quote(said['number'], safe='')}"
    if heard.type.startswith("monitoring.alert."):
        return f"{place}/alerts"
    return f"{place}/ledger?before={heard.index + 1}"


def body(heard: Heard, base_url: str) -> dict[str, Any]:
    """Write a webhook's JSON: {type, timestamp, data{project, leaf, event, subject, about, link}}."""
    subject = heard.fields.get("subject")
    return {
        "type": heard.type,
        "timestamp": heard.at,
        "data": {
            "project": heard.project,
            "leaf": heard.index,
            "event": heard.event,
            "subject": subject if isinstance(subject, str) else None,
            "about": _about(heard),
            "link": link(heard, base_url),
        },
    }


def headline(heard: Heard) -> str:
    """Say in a line what happened: `rollout rolled back: support in production`."""
    if heard.type == PING:
        return f"test of the subscription {_line(heard.fields['name'])}"
    what = " ".join(heard.type.split(".")[1:]).replace("_", " ")
    said = {key: value for key, value in heard.fields.items() if isinstance(value, str)}
    name = next((said[key] for key in ("ref", "name", "base_model", "group") if said.get(key)), "")
    if name and "ref" not in said and "number" in said:
        name = f"{name}@{said['number']}"
    where = f" in {said['environment']}" if "environment" in said else ""
    return _line(what + (f": {name}" if name else "") + where)


def slack(heard: Heard, base_url: str) -> dict[str, Any]:
    """Write the payload of a Slack-compatible incoming webhook."""
    text = f"[{heard.project}] {headline(heard)}"
    lines = "\n".join(f"{key}: {value}" for key, value in _lines(heard))
    shown = f"*{_escaped(text)}*\n{_escaped(lines[:MAX_SLACK])}"
    section = {"type": "mrkdwn", "text": f"{shown}\n<{link(heard, base_url)}|Look at it in Assent>"}
    return {"text": _escaped(text), "blocks": [{"type": "section", "text": section}]}


def email(heard: Heard, base_url: str) -> tuple[str, str]:
    """Give the subject, one line of ASCII, and the text of an e-mail."""
    lines = "\n".join(f"{key}: {value}" for key, value in _lines(heard))
    text = (
        f"{headline(heard)}\n\n{lines}\n\nLook at it, and decide there:\n{link(heard, base_url)}\n\n"
        "-- \nAssent sent this because a subscription of the project names these addresses.\n"
    )
    return f"[Assent {_line(heard.project)}] {headline(heard)}", text


def _about(heard: Heard) -> dict[str, Any]:
    said = heard.fields
    return {
        key: list(value)[:MAX_LISTED] if isinstance(value, list | tuple) else value
        for key in ABOUT
        if (value := said.get(key)) is not None
    }


def _lines(heard: Heard) -> list[tuple[str, str]]:
    """List what is told, as people read it."""
    told = {"project": heard.project, "time": f"{heard.at[:10]} {heard.at[11:19]} UTC", **_about(heard)}
    return [(key.replace("_", " "), _text(value)) for key, value in told.items()]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _UNPRINTABLE.sub(" ", str(value))


def _line(text: str) -> str:
    """Make one short line of printable ASCII: nothing in it ends a header."""
    return _UNPRINTABLE.sub(" ", text)[:MAX_LINE].strip()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
