"""Strike out of texts what has the form of a secret or of personal data, and cut them.

Names and postal addresses of people have no pattern and stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from assent_client.credentials import SECRETS
from assent_client.personal import CHECKS, PERSONAL

CUT: Final = "[cut]"
_MARGIN: Final = 8192
"""So much beyond the cut is looked at too: no form is longer, so none is cut into pieces that stay unseen."""

NEEDS: Final[Mapping[str, str]] = {
    "aws": "AKIA|ASIA", "github": "gh[pousr]_|github_pat_", "gitlab": "glpat-", "slack": r"xox|slack\.com",
    "stripe": "k_live_", "google": "AIza", "openai": "sk-", "anthropic": "sk-ant-", "huggingface": "hf_",
    "npm": "npm_", "pypi": "pypi-", "sendgrid": r"SG\.", "jwt": r"\.eyJ", "private_key": "PRIVATE KEY",
    "url_password": "://", "assignment": "(?i)passw|secret|api|token",
    "email": "@", "phone": r"\+[1-9]", "card": r"\d(?:[ -]?\d){12}", "ssn": r"-\d\d-",
    "nhs": r"\d[ -]\d\d\d[ -]",
    "ip": r"\d\.\d|[0-9A-Fa-f:]:", "iban": r"[A-Z]\d\d",
}  # fmt: skip
"""What stands in every match of a form, and is found ten times as fast as the form is found missing."""

Check = Callable[[str], bool]
_FORMS: Final[list[tuple[re.Pattern[str], str, re.Pattern[str], Check | None]]] = [
    *((re.compile(NEEDS[kind]), "[secret]", re.compile(form), None) for kind, form in SECRETS.items()),
    *(
        (re.compile(NEEDS[kind]), f"[{kind}]", re.compile(form), CHECKS.get(kind))
        for kind, form in PERSONAL.items()
    ),
]


def redact(text: str) -> tuple[str, int]:
    """Give the text with `[secret]` or `[email]`, `[card]`… in each place, and how many places those are."""
    n = 0
    for needed, mark, pattern, check in _FORMS:
        if needed.search(text) is None:
            continue

        def strike(match: re.Match[str], mark: str = mark, check: Check | None = check) -> str:
            nonlocal n
            if check is not None and not check(match[0]):
                return match[0]
            n += 1
            return mark

        text = pattern.sub(strike, text)
    return text, n


def cut(text: str, most: int, *, keep_end: bool = False) -> tuple[str, bool]:
    """Give at most `most` bytes (UTF-8) of a text, `[cut]` where the rest stood, and whether it was cut."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode(), False
    kept = (raw[-most:] if keep_end else raw[:most]).decode("utf-8", "ignore")
    return (CUT + kept if keep_end else kept + CUT), True


def prepared(text: str, most: int, *, keep_end: bool = False) -> tuple[str, int, bool]:
    """Redact a text and cut it: what may be kept, how many places were struck out, whether it was cut."""
    near, is_long = cut(text, most + _MARGIN, keep_end=keep_end)
    clean, n = redact(near.removesuffix(CUT).removeprefix(CUT) if is_long else near)
    kept, is_cut = cut(clean, most, keep_end=keep_end)
    if is_long and not is_cut:  # what was struck out made it short enough: it is cut all the same
        kept = CUT + kept if keep_end else kept + CUT
    return kept, n, is_long or is_cut
