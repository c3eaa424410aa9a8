"""The HTTP client that the command line and scripts speak to a server with."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Self
from urllib.parse import quote, urlsplit

import httpx

from assent_client.errors import Internal, Invalid, Unavailable, from_wire

__all__ = ["Api", "ServerEvent"]

DEFAULT_URL = "http://127.0.0.1:8400"
CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
STREAM_IDLE_TIMEOUT_S = 90.0
PAGE_LIMIT = 100_000
"""Pages read before a server that never ends its list is given up."""

_HEADER_SAFE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One server-sent event; `data` is its parsed JSON."""

    event: str
    data: Any
    id: str | None = None


class Api:
    """Requests to one server as one caller, within one project where the path needs it.

    Every refusal is raised as its class of `assent_client.errors`, reasons included.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: str | None = None,
        project: str | None = None,
        *,
        timeout_s: float = READ_TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = _checked_url(url)
        self.project = project
        headers = {"accept": "application/json", "user-agent": "assent-client"}
        if token:
            headers["authorization"] = f"Bearer {_checked_token(token)}"
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            transport=transport,
            verify=True if self.url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        )  # reading all certificates takes 40 to 130 ms; a plain address needs none

    def __enter__(self) -> Self:
        """Keep connections open for the length of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close connections."""
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def path(self, *parts: str | int) -> str:
        """Give the path of something in the project: `path("models", name)`."""
        if not self.project:
            raise Invalid("No project is chosen.", remedy="Give --project NAME or set ASSENT_PROJECT.")
        return self.within(self.project, *parts)

    def within(self, project: str, *parts: str | int) -> str:
        """Give the path of a project, or of something in it."""
        return self.join("v1", "projects", project, *parts)

    @staticmethod
    def join(*parts: str | int) -> str:
        """Join parts to a path; none of them can leave its place."""
        return "".join(f"/{quote(str(part), safe='@:')}" for part in parts)

    def get(self, path: str, **query: Any) -> Any:
        """Read one thing."""
        return _body(self._send("GET", path, query=query))

    def get_with_etag(self, path: str, **query: Any) -> tuple[Any, str | None]:
        """Read one thing and the tag that a conditional change of it needs."""
        response = self._send("GET", path, query=query)
        return _body(response), response.headers.get("etag")

    def read(self, path: str, *, accept: str = "*/*", **query: Any) -> bytes:
        """Read a body that is not JSON: a card in Markdown, a tile, a pack."""
        return self._send("GET", path, query=query, headers={"accept": accept}).content

    def download(self, path: str, out: IO[bytes], **query: Any) -> int:
        """Write a body of any length to a file as it comes; give its bytes."""
        n_bytes = 0
        with self._streamed(path, query, {"accept": "*/*"}) as response:
            for part in response.iter_bytes():
                n_bytes += out.write(part)
        return n_bytes

    def fetch(self, path: str, headers: Mapping[str, str], **query: Any) -> httpx.Response:
        """Ask with headers of one's own, and give the whole answer; 304 is one."""
        return self._send("GET", path, query=query, headers=headers)

    def post(self, path: str, body: Any = None, *, if_match: str | None = None, **query: Any) -> Any:
        """Make one thing; bytes travel as they are, anything else as JSON."""
        return _body(self._send("POST", path, body=body, query=query, headers=_match(if_match)))

    def put(self, path: str, body: Any = None, *, if_match: str | None = None, **query: Any) -> Any:
        """Set one thing; bytes travel as they are, anything else as JSON."""
        return _body(self._send("PUT", path, body=body, query=query, headers=_match(if_match)))

    def patch(self, path: str, body: Any, *, if_match: str | None = None, **query: Any) -> Any:
        """Change parts of one thing."""
        return _body(self._send("PATCH", path, body=body, query=query, headers=_match(if_match)))

    def delete(self, path: str, *, if_match: str | None = None, **query: Any) -> Any:
        """Remove one thing."""
        return _body(self._send("DELETE", path, query=query, headers=_match(if_match)))

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Give every item of a paged list, fetching pages as they are needed."""
        cursor = None
        for _ in range(PAGE_LIMIT):
            page = self.get(path, **query, cursor=cursor)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise Internal(f"{self.url}{path} did not answer with a page of items.")
            yield from page["items"]
            if page.get("next") in {None, cursor}:
                return
            cursor = page["next"]

    def stream(self, path: str, *, last_event_id: str | None = None, **query: Any) -> Iterator[ServerEvent]:
        """Give server-sent events until the server ends the stream."""
        headers = {"accept": "text/event-stream"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        with self._streamed(path, query, headers) as response:
            yield from _events(response.iter_lines())

    @contextmanager
    def _streamed(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(STREAM_IDLE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        request = self._http.build_request(
            "GET", path, params=_query(query), headers=headers, timeout=timeout
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                if not response.is_success:
                    response.read()
                    raise _problem(response)
                yield response
            finally:
                response.close()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        content, kind = _encode(body)
        sent = {**(headers or {}), **({"content-type": kind} if kind else {})}
        try:
            response = self._http.request(
                method, path, content=content, params=_query(query or {}), headers=sent
            )
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
            return response
        raise _problem(response)

    def _unreachable(self, error: httpx.TransportError) -> Unavailable:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return Unavailable(
                f"No server answers at {self.url}: {error}.",
                remedy="Start one with `assent serve`, or set ASSENT_URL (--url) to where yours runs.",
            )
        if isinstance(error, httpx.TimeoutException):
            return Unavailable(
                f"The server at {self.url} did not answer in time.",
                remedy="Look at its log, then try again; the request may have been carried out.",
            )
        return Unavailable(
            f"The connection to {self.url} broke: {str(error) or type(error).__name__}.",
            remedy="Try again; the request may have been carried out. If it repeats, look at its log.",
        )


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise Invalid(f"Not the address of a server: {url!r}.", remedy=f"Give one like {DEFAULT_URL}.")
    return url.rstrip("/")


def _checked_token(token: str) -> str:
    token = token.strip()
    if not _HEADER_SAFE.fullmatch(token):
        raise Invalid(
            "The token holds characters that no token has.", remedy="Copy it again, without blanks or quotes."
        )
    return token


def _match(tag: str | None) -> dict[str, str]:
    return {} if tag is None else {"if-match": tag if tag.endswith('"') else f'"{tag}"'}


def _query(query: Mapping[str, Any]) -> httpx.QueryParams:
    many = ((key, value if isinstance(value, list | tuple) else [value]) for key, value in query.items())
    flat = ((key, one) for key, values in many for one in values if one is not None)
    return httpx.QueryParams(
        [(key, str(one).lower() if isinstance(one, bool) else str(one)) for key, one in flat]
    )


def _encode(body: Any) -> tuple[bytes | None, str | None]:
    if body is None:
        return None, None
    if isinstance(body, bytes):
        return body, "application/octet-stream"
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode(), "application/json"
    except (TypeError, ValueError) as error:
        raise Invalid(
            f"This cannot be sent as JSON: {error}.", remedy="Use finite numbers and plain text."
        ) from error


def _body(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as error:
        kind = response.headers.get("content-type", "no content type")
        raise Internal(f"{response.url} answered {kind} where JSON was expected.") from error


def _problem(response: httpx.Response) -> Exception:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict) and ("code" in problem or "detail" in problem):
        return from_wire(problem, response.status_code)
    return Unavailable(
        f"{response.url} answered {response.status_code} {response.reason_phrase}, but not as Assent does.",
        remedy="Check that ASSENT_URL (--url) is the address of an Assent server, not of a proxy between.",
    )


def _events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    """Parse an event stream. Source: WHATWG HTML, section 9.2.6."""
    kind, data, last_id = "message", list[str](), None
    for line in lines:
        if not line:
            if data:
                yield ServerEvent(kind, _event_data("\n".join(data)), last_id)
            kind, data = "message", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            kind = value
        elif field == "data":
            data.append(value)
        elif field == "id":
            last_id = value


def _event_data(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
