"""Keys that old versions of tools wrote into their results are not kept."""

import re

_NAMES = rb"api[_-]?key|authorization|x-api-key|api[_-]?token|access[_-]?token"
_KEY = re.compile(
    rb'("(?:' + _NAMES + rb')"\s*:\s*")((?:[^"\\]|\\.){8,}?)(")',
    re.IGNORECASE,
)
_HIDDEN = re.compile(rb"\[?redacted\]?|\{\{.*|\$\{.*|\*+", re.IGNORECASE)


def scrubbed(content: bytes) -> bytes:
    """Give the file with the value of every field named like a key hidden; most are as they were."""

    def hide(found: re.Match[bytes]) -> bytes:
        return found[0] if _HIDDEN.fullmatch(found[2]) else found[1] + b"[REDACTED]" + found[3]

    return _KEY.sub(hide, content)
