"""The forms of request that are governed, and which providers understand them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from assent_client import observe
from assent_client.calls.edit import Editor
from assent_client.calls.editors import EmbeddingsEditor, MessagesEditor, ResponsesEditor
from assent_client.calls.readers import Read, read_answer, read_event
from assent_client.calls.stream import Outcome


@dataclass(frozen=True, slots=True)
class Dialect:
    """One form: where it is asked here and upstream, and how its requests and answers are read."""

    name: str
    path: bytes
    target: str
    kinds: frozenset[str]
    """Kinds of provider that understand it."""
    editor: type[Editor]
    read: Read
    read_event: Read
    is_home: bool = True
    """Whether every version of such a provider must be callable by it."""
    operation: str = observe.CHAT
    """What its calls are observed as."""


_OPENAI: Final = frozenset({"openai", "azure"})
CHAT: Final = Dialect(
    "chat", b"/v1/chat/completions", "/chat/completions", _OPENAI, Editor, Outcome.read, Outcome.read_event
)
RESPONSES: Final = Dialect(
    "responses", b"/v1/responses", "/responses", _OPENAI, ResponsesEditor, read_answer, read_event,
    is_home=False,
)  # fmt: skip
EMBEDDINGS: Final = Dialect(
    "embeddings", b"/v1/embeddings", "/embeddings", _OPENAI, EmbeddingsEditor, read_answer, read_event,
    is_home=False, operation="embeddings",
)  # fmt: skip
MESSAGES: Final = Dialect(
    "messages",
    b"/v1/messages",
    "/messages",
    frozenset({"anthropic"}),
    MessagesEditor,
    read_answer,
    read_event,
)
DIALECTS: Final[Mapping[bytes, Dialect]] = {d.path: d for d in (CHAT, RESPONSES, EMBEDDINGS, MESSAGES)}


def spoken_by(kind: str) -> list[Dialect]:
    """List the forms that a kind of provider understands."""
    return [dialect for dialect in DIALECTS.values() if kind in dialect.kinds]
