"""Render the prompts that an environment serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from assent_client.calls.prompting import Messages, VariablesRefused
from assent_client.calls.refusals import Refusal
from assent_client.decide import Decision
from assent_client.errors import Invalid
from assent_client.pinned import Pinned

_MOST_KEPT: Final = 256
_decode = msgspec.json.Decoder(list[dict[str, Any]]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt with its variables filled in, and what was decided.

    `version` is its number, or its digest where a system pins it; `route` is what served it, and `decision`
    is None where no unit was named.
    """

    name: str
    messages: Sequence[Mapping[str, Any]]
    digest: str
    version: str
    route: str
    decision: Decision | None
    document: Mapping[str, Any]

    @property
    def text(self) -> str:
        """Give a prompt of one text. Raises: Invalid where it has several messages or parts."""
        content = self.messages[0].get("content") if len(self.messages) == 1 else None
        if not isinstance(content, str):
            raise Invalid(f"{self.name} is not one text.", remedy="Use its messages.")
        return content


class Renderer:
    """Prompts compiled once each, as many as a snapshot usually has."""

    def __init__(self) -> None:
        self._compiled: dict[str, Messages] = {}

    def render(self, pinned: Pinned, variables: Mapping[str, Any]) -> Prompt:
        """Fill in the variables. Raises: Invalid (missing, unknown or unfit ones; a template that fails)."""
        document = pinned.document
        name = str(document["name"])
        try:
            rendered = self._messages(pinned).render(variables)
        except VariablesRefused as refusal:
            raise Invalid(f"{name}: template variables {refusal.found}.") from None
        except (Refusal, ValueError) as error:
            raise Invalid(f"{name} cannot be rendered: {error}") from None
        return Prompt(
            name=name,
            messages=_decode(b"[" + rendered + b"]"),
            digest=pinned.digest,
            version=pinned.number or pinned.digest,
            route=pinned.route,
            decision=pinned.decision,
            document=document,
        )

    def _messages(self, pinned: Pinned) -> Messages:
        found = self._compiled.get(pinned.digest)
        if found is None:
            if len(self._compiled) >= _MOST_KEPT:
                self._compiled = {}
            found = self._compiled[pinned.digest] = Messages(pinned.document)
        return found
