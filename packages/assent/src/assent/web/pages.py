"""Pages: Jinja templates that escape everything, fail on what is missing, and know our filters."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from assent.kernel.clock import to_text
from assent.web import charts
from assent.web.forms import TOKEN_FIELD, form_secret, form_token, keeps_cookies, set_cookie
from assent.web.static_files import static_url
from assent.web.status import look

# No evaluation of attribute code, no style element of its own, no page cache in the browser's storage.
HTMX_SETTINGS = json.dumps({"includeIndicatorCSS": False, "history": False, "mode": "same-origin"})
HEX_SHOWN = 12


def time_element(moment: datetime) -> Markup:
    """Show a moment in UTC, with its exact form for machines."""
    utc = moment.astimezone(UTC)
    shown = f"{utc.day} {utc:%b %Y, %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(to_text(utc), shown)


def digest_element(digest: str) -> Markup:
    """Show the start of a digest; the whole of it is there to copy and to hear."""
    hexes = digest.removeprefix("sha256:")
    short = f"{hexes[:HEX_SHOWN]}…" if len(hexes) > HEX_SHOWN else hexes
    return Markup('<code class="digest" title="{}"><span class="hidden-text">{}</span>{}</code>').format(
        digest, digest, Markup('<span aria-hidden="true">{}</span>').format(short)
    )


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    if math.isinf(seconds):
        return "an unknown time"
    whole = round(seconds)
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts = []
    for name, size in units:
        if whole >= size:
            parts.append(f"{whole // size} {name}")
            whole %= size
    return " ".join(parts[:2]) or "0 s"


def count(n: int) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plain(value: Any) -> str:
    """Write a JSON value for people: text as it is, the rest as JSON."""
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    )


def environment(*loaders: BaseLoader) -> Environment:
    """Make the environment of all pages; further loaders bring a slice's own templates."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader("assent.web"), *loaders]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "when": time_element,
        "digest": digest_element,
        "duration": duration,
        "count": count,
        "percent": charts.percent,
        "plain": plain,
    }
    made.globals |= {
        "static_url": static_url,
        "look": look,
        "charts": charts,
        "token_field": TOKEN_FIELD,
        "htmx_settings": HTMX_SETTINGS,
    }
    return made


class Pages:
    """Renders templates into answers."""

    def __init__(self, *loaders: BaseLoader) -> None:
        self.environment = environment(*loaders)

    def render(
        self, request: Request, template: str, view: Mapping[str, Any], *, status: int = 200
    ) -> HTMLResponse:
        """Give a page, never cached, whose forms this browser can send back."""
        secret, new = form_secret(request) if keeps_cookies(request) else ("", False)
        text = self.environment.get_template(template).render(
            {"person": None, "project": "", "places": (), **view},
            request=request,
            form_token=form_token(secret) if secret else "",
        )
        response = HTMLResponse(text, status, headers={"Cache-Control": "no-store"})
        if new:
            set_cookie(request, response, "form", secret)
        return response
