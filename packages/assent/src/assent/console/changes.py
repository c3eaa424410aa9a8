"""What a version changes against the one that is live, document by document."""

from collections.abc import Sequence
from dataclasses import dataclass

from assent.approvals import service as approvals
from assent.cards import service as cards
from assent.delivery import service as delivery
from assent.kernel.tx import Reader
from assent.web.diff import Field, document_diff


@dataclass(frozen=True, slots=True)
class Change:
    """One document before and after, field by field."""

    title: str
    fields: Sequence[Field]


def live_digest(reader: Reader, project: str, environment: str, name: str) -> str | None:
    """Find which version has the traffic of a name in an environment, canaries apart."""
    for live in delivery.list_live(reader, project, environment):
        if live.route.key == name:
            return live.route.stable
    return None


def changes(reader: Reader, project: str, before: str | None, after: str) -> list[Change]:
    """Compare two versions with their prompts, whole; `before` None means that all is new."""
    new = delivery.find_subject(reader, project, after)
    old = delivery.find_subject(reader, project, before) if before else None
    compared = [Change("Version", document_diff(old.document if old else None, new.document))]
    old_prompts = list(old.prompts.values()) if old else []
    for i, prompt in enumerate(new.prompts.values()):
        earlier = old_prompts[i] if i < len(old_prompts) else None
        compared.append(Change(f"Prompt {prompt.get('name', i + 1)}", document_diff(earlier, prompt)))
    compared += [
        Change(f"Prompt {earlier.get('name', '')}, gone", document_diff(earlier, {}))
        for earlier in old_prompts[len(new.prompts) :]
    ]
    return compared


def about(request: approvals.Request) -> str:
    """Give the digest of the version that a request is about: for a card, the version that it describes."""
    return request.manifest.get("version of the card", request.subject)


def card_changes(reader: Reader, request: approvals.Request) -> tuple[str, list[Change]]:
    """Compare a card with the one before it, section by section; says in words which that is."""
    found = cards.list_(reader, request.project, {"name": request.name, "digest": request.subject}, limit=1)
    if not found:
        return "", []
    compared = cards.compare(reader, request.project, found[0].id)
    return told(compared), [Change("Card", compared.fields)]


def told(compared: cards.Comparison) -> str:
    """Say in words what a card is compared with; nothing where there is no other."""
    before = compared.before
    if before is None:
        return ""
    how = "was published before" if before.published_at is not None else f"is a {before.state}"
    return f"Against the card of {before.ref}, revision {before.revision}, that {how}."
