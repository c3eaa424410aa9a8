"""What parameters mean that several operations have: one text for each, where the route says nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_IRREGULAR: Final = {"people": "person", "policies": "policy", "{kind}": "flag or segment", "cards": "card"}
_PATH: Final = {
    "about": "`name@version` of a model version, or the name of a system.",
    "card": "Id of the card, or `name@version` of a model version: its newest card.",
    "change": "Id of the change.",
    "digest": "Digest of the version: `sha256:…`.",
    "entry": "Id or index of the entry.",
    "environment": "Name of the environment.",
    "group": "Name of the group.",
    "kind": "`flags` or `segments`.",
    "label": "Name of the label.",
    "model": "Name of the model as its provider calls it.",
    "path": "Path of the tile. Source: c2sp.org/tlog-tiles.",
    "person": "Name of the person.",
    "project": "Name of the project.",
    "prompt": "Name of the prompt.",
    "ref": "`name@number`, `name@label` or `name@latest`.",
    "role": "Which role of the system.",
    "suite": "Name of the suite.",
    "version": "Number of the version, such as `2.1.0`.",
}
_QUERY: Final = {
    "account": "Name or id of the account.",
    "actor": "Name or id of who did it.",
    "against": "What it is compared with: a number, `name@number`, or a card's id.",
    "back_s": "How long ago the reference window was, in seconds.",
    "base_model": "Name of the base model.",
    "catalogue": "Id of the catalogue.",
    "check": "Whether only to check, and to keep nothing.",
    "cursor": "`next` of the page before.",
    "days": "How many days to look back.",
    "digest": "Digest: `sha256:…`.",
    "environment": "Name of the environment.",
    "filter": "A comparison of fields, such as `tier >= limited AND NOT label = production`.",
    "flip": "Those that only one side got right: `gained` or `lost`.",
    "format": "In which format.",
    "fresh": "Whether to ask again what has an answer already.",
    "from_at": "From this time on (RFC 3339).",
    "kind": "Of which kind.",
    "last_s": "How many seconds to look back.",
    "limit": "How many items at most.",
    "live": "Whether only what is live.",
    "metric": "Name of the metric.",
    "model": "Name of the model as its provider calls it.",
    "name": "Name to look for.",
    "open": "Whether only what is open still.",
    "other": "Id of the run to compare with.",
    "outcome": "Which outcome.",
    "owed": "Whether only those whose review is owed.",
    "owner": "Name of the owner.",
    "plan": "Digest of the plan.",
    "policy": "`name@version` of the policy.",
    "project": "Name of the project; `*` is all.",
    "prompt": "`name@version` of the prompt, or its name.",
    "provider": "Name of the provider.",
    "q": "Words to look for.",
    "reason": "Why somebody does it.",
    "registered_by": "Name of who registered it.",
    "request": "Id of the request.",
    "role": "Name of the role.",
    "rollout": "Id of the rollout.",
    "route": "Name of the route.",
    "side": "`candidate` or `baseline`.",
    "since": "From this time on (RFC 3339).",
    "stage": "In which stage of its life.",
    "standing": "In which standing.",
    "state": "In which state.",
    "status": "Which status.",
    "subject": "`name@version` or digest of what it is about.",
    "subscription": "Name of the subscription.",
    "suite": "`name@version` of the suite, or its name.",
    "tag": "A tag that it has.",
    "template": "Which template.",
    "through": "Name of the model that answers.",
    "tier": "Which tier.",
    "time": "At what time (RFC 3339).",
    "to_at": "Up to this time (RFC 3339).",
    "type": "Type of the event; one that ends with a dot means all that begin so.",
    "until": "Up to this time (RFC 3339).",
    "verdict": "Which verdict.",
    "version": "`name@version`, or a version's number.",
    "window_s": "Length of the window, in seconds.",
    "within_days": "Within how many days it ends.",
}


def meaning(path: str, parameter: Mapping[str, Any]) -> str | None:
    """Say what a parameter of an operation means; None where nothing is known of it."""
    name: str = parameter["name"]
    if parameter["in"] == "query":
        return _QUERY.get(name)
    if parameter["in"] != "path":
        return None
    if name not in {"name", "id"}:
        return _PATH.get(name, f"Id of the {name.replace('_', ' ')}.")
    plural = path.partition("/{" + name)[0].rpartition("/")[2]
    noun = _IRREGULAR.get(plural, plural.removesuffix("s")).replace("-", " ")
    return f"{'Name' if name == 'name' else 'Id'} of the {noun}."
