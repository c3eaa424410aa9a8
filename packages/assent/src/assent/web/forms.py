"""Forms from browsers: reading them within bounds, and proof that they came from our own pages.

A page sets a random cookie and puts HMAC(cookie, "form") into its forms. Another site can neither read the
cookie nor set it (`__Host-`), and browsers name the origin of a POST, which must be ours. The cookie outlives
a sign-in, so a page that was open while its reader signed in again can still be sent.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from assent.kernel.errors import Forbidden, Invalid, TooLarge
from assent.web.uploads import MULTIPART, read_parts

MAX_BYTES = 128 * 1024
MAX_UPLOAD_BYTES = 1_000_000
MAX_FIELDS = 100
MAX_DIGITS = 18
URL_ENCODED = "application/x-www-form-urlencoded"
TOKEN_FIELD = "form_token"  # noqa: S105 -- the name of a field
LOOPBACK = {"localhost", "127.0.0.1", "::1", "[::1]"}


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a posted form; the last value of a repeated one."""

    fields: Mapping[str, str]

    def text(self, name: str, *, required: bool = False, limit: int = 10_000) -> str:
        """Give a field without outer white space. Raises: Invalid."""
        value = self.fields.get(name, "").replace("\r\n", "\n").strip()
        if required and not value:
            raise Invalid(f"The field {name!r} is empty.", remedy="Fill it in and send the form again.")
        if len(value) > limit:
            raise Invalid(f"The field {name!r} has {len(value)} characters; {limit} are allowed.")
        return value

    def whole(self, name: str) -> int:
        """Give a field that the page itself filled with a whole number. Raises: Invalid."""
        text = self.text(name)
        if not text.isascii() or not text.isdecimal() or len(text) > MAX_DIGITS:
            raise Invalid(f"The field {name!r} must be a whole number.", remedy="Open the page again.")
        return int(text)


def keeps_cookies(request: Request) -> bool:
    """Tell whether a browser may hold our cookies: over https, or on this machine."""
    return request.url.scheme == "https" or request.url.hostname in LOOPBACK


def cookie_name(request: Request, stem: str) -> str:
    """Name a cookie so that the browser itself guards it; raises Forbidden on plain HTTP beyond this machine.

    `__Host-` needs https. On loopback the port joins the name, because browsers share cookies between ports.
    """
    if request.url.scheme == "https":
        return f"__Host-assent_{stem}"
    if request.url.hostname in LOOPBACK:
        return f"assent_{stem}_{request.url.port or 80}"
    raise Forbidden(
        "Signing in needs https; plain http is served to this machine only.",
        remedy="Open the console by its https address, or by http://127.0.0.1 on the machine itself.",
    )


def set_cookie(
    request: Request, response: Response, stem: str, value: str, max_age_s: int | None = None
) -> None:
    """Set a cookie that scripts cannot read and other sites cannot cause to be sent."""
    response.set_cookie(
        cookie_name(request, stem),
        value,
        max_age=max_age_s,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response, stem: str) -> None:
    """Remove a cookie."""
    secure = request.url.scheme == "https"
    response.delete_cookie(cookie_name(request, stem), path="/", secure=secure, httponly=True, samesite="lax")


def form_secret(request: Request) -> tuple[str, bool]:
    """Give the secret behind this browser's forms, and whether it is new and must be set."""
    held = request.cookies.get(cookie_name(request, "form"), "")
    return (held, False) if len(held) == len(secrets.token_urlsafe(32)) else (secrets.token_urlsafe(32), True)


def form_token(secret: str) -> str:
    """Derive what a form carries from what the cookie carries."""
    return hmac.new(secret.encode(), b"assent form", hashlib.sha256).hexdigest()


def _origin_is_ours(request: Request) -> bool:
    origin = request.headers.get("origin")
    if origin is not None:
        parts = urlsplit(origin)
        return (parts.scheme, parts.netloc) == (request.url.scheme, request.url.netloc)
    return request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}


def sent_from_here(request: Request) -> bool:
    """Tell whether the browser itself names one of our pages as where the form was filled in."""
    return request.headers.get("origin") is not None and _origin_is_ours(request)


def check_form(request: Request, form: Form) -> None:
    """Refuse a form that did not come from one of our pages in this browser. Raises: Forbidden."""
    held = request.cookies.get(cookie_name(request, "form"), "")
    sent = form.fields.get(TOKEN_FIELD, "")
    proven = bool(held) and hmac.compare_digest(form_token(held).encode(), sent.encode())
    if not (proven and _origin_is_ours(request)):
        request.state.is_unproven = True
        raise Forbidden(
            "This form did not come from a page of this console in this browser, so nothing was done.",
            remedy="Allow cookies for this address, open the page again and send its form.",
        )


async def posted_form(request: Request) -> Form:
    """Read a form and check where it came from. Raises: Invalid, TooLarge, Forbidden."""
    return await read_form(request, MAX_BYTES, MAX_FIELDS)


async def posted_upload(request: Request) -> Form:
    """Read a form that may have a text file in it, likewise."""
    return await read_form(request, MAX_UPLOAD_BYTES, MAX_FIELDS)


async def read_form(request: Request, max_bytes: int, max_fields: int) -> Form:
    """Read a form within bounds of its own. Raises: Invalid, TooLarge, Forbidden."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in {URL_ENCODED, MULTIPART}:
        raise Invalid(f"A form must be {URL_ENCODED}, not {media_type or 'untyped'}.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"A form may have {max_bytes:,} bytes.", remedy="Shorten the text.")
    if media_type == MULTIPART:
        fields = await read_parts(request.headers, bytes(body), max_fields)
    else:
        fields = _url_encoded(bytes(body), max_fields)
    form = Form(fields)
    request.state.posted = form
    check_form(request, form)
    return form


def _url_encoded(body: bytes, max_fields: int) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=max_fields)
    except ValueError as error:
        raise Invalid(f"The form cannot be read: {error}.") from error
    return dict(pairs)
