"""Static files, held in memory and addressed by their content.

`/static/<first 16 hex of SHA-256>/<path>`: an address never changes its content, so browsers
keep it for ever.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from assent.kernel.errors import NotFound

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served."""

    path: str
    content: bytes
    media_type: str
    version: str

    @property
    def url(self) -> str:
        """Give the address that names the content."""
        return f"/static/{self.version}/{self.path}"


def _walk(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry


def _load() -> dict[str, StaticFile]:
    loaded = {}
    for path, entry in _walk(files("assent.web") / "static"):
        media_type = MEDIA_TYPES.get(path[path.rfind(".") :])
        if media_type:
            content = entry.read_bytes()
            loaded[path] = StaticFile(path, content, media_type, hashlib.sha256(content).hexdigest()[:16])
    return loaded


STATIC_FILES = _load()


def static_url(path: str) -> str:
    """Give the address of a static file. Raises: NotFound."""
    try:
        return STATIC_FILES[path].url
    except KeyError:
        raise NotFound(f"There is no static file {path!r}.") from None


def serve_static(request: Request) -> Response:
    """Serve a file under the address of its content; another version of it is not found."""
    found = STATIC_FILES.get(request.path_params["path"])
    if found is None or found.version != request.path_params["version"]:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": FOR_EVER})


static_route = Route("/static/{version}/{path:path}", serve_static, methods=["GET", "HEAD"], name="static")
