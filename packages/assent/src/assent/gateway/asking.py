"""Ask a version's guardrails outside about one call, in their order: each sees what the one before left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from assent.gateway.hooks import HookFailed, Hooks
from assent.gateway.recorder import Chosen
from assent_client.calls.guarding import stopped_by
from assent_client.calls.hooks import Hook
from assent_client.calls.refusals import Refusal
from assent_client.calls.texts import ASKED, texts_answered, texts_asked, with_texts

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


async def judge_request(hooks: Hooks, chosen: Chosen) -> None:
    """Ask the guardrails that stand before the upstream; texts that they replace are replaced.

    Raises: Refusal (422 where one blocks, 503 where one that fails closed gives no answer).
    """
    asked = texts_asked(chosen.ask.fields)
    texts = await _judged(hooks, chosen, chosen.version.guards.before, asked)
    if texts != asked:
        _put(chosen, texts)
        chosen.body = chosen.version.editor(chosen.dialect).edit(chosen.ask)


def _put(chosen: Chosen, texts: Sequence[str]) -> None:
    fields = chosen.ask.fields
    keys = [key for key in ASKED if key in fields]
    found = with_texts([{"content": _decode(fields[key])} for key in keys], texts)
    fields.update({key: _encode(one["content"]) for key, one in zip(keys, found, strict=True)})


async def judge_answer(hooks: Hooks, chosen: Chosen, body: bytes, *, is_stream: bool) -> bytes:
    """Ask the guardrails that stand after the upstream; gives the answer as they leave it.

    A stream cannot be written anew: where one replaces, it is blocked. Raises: Refusal, as above.
    """
    guards = chosen.version.guards.after
    try:
        answered = texts_answered(body, is_stream=is_stream)
    except (msgspec.MsgspecError, RecursionError):
        chosen.note(guards)
        raise stopped_by(guards[0].name) from None
    texts = await _judged(hooks, chosen, guards, answered, may_replace=not is_stream)
    return body if texts == answered else _encode(with_texts(_decode(body), texts))


async def _judged(
    hooks: Hooks, chosen: Chosen, guards: Sequence[Hook], texts: list[str], *, may_replace: bool = True
) -> list[str]:
    for hook in guards:
        try:
            verdict = await hooks.ask(hook, _facts(chosen), texts)
        except HookFailed:
            if not hook.is_open:
                raise _unavailable(hook) from None
            chosen.unguarded = True
            continue
        if verdict.action == "allow":
            continue
        chosen.note([hook])
        if verdict.action == "block" or not may_replace:
            raise stopped_by(hook.name)
        texts = verdict.texts
    return texts


async def watch(hooks: Hooks, chosen: Chosen, body: bytes | None, *, is_stream: bool) -> None:
    """Ask the guardrails that only record; `body` is the whole answer, None where there is none.

    What cannot be looked at counts as a hit where the guardrail fails closed.
    """
    for hook in chosen.version.guards.watching:
        if hook.on == "answer" and body is None:
            continue
        try:
            texts = _texts(chosen, hook, body or b"", is_stream=is_stream)
            is_hit = (await hooks.ask(hook, _facts(chosen), texts)).action != "allow"
        except (HookFailed, msgspec.MsgspecError, RecursionError):
            is_hit = not hook.is_open
            chosen.unguarded |= hook.is_open
        chosen.note([hook] if is_hit else [])


def _texts(chosen: Chosen, hook: Hook, body: bytes, *, is_stream: bool) -> list[str]:
    return (
        texts_asked(chosen.ask.fields) if hook.on == "request" else texts_answered(body, is_stream=is_stream)
    )


def _facts(chosen: Chosen) -> Mapping[str, str]:
    payload, version = chosen.served.payload, chosen.version
    return {
        "project": payload.project,
        "environment": payload.environment,
        "version": version.ref,
        "digest": version.digest,
    }


def _unavailable(hook: Hook) -> Refusal:
    """Refuse without the cause: that is for who runs the gateway, and stands in its log."""
    message = (
        f"The guardrail {hook.name} of the approved version could not be asked, and nothing "
        "passes without it. Try again later."
    )
    return Refusal(503, "guardrail_unavailable", message, retry_after_s=1)
