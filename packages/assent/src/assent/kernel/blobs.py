"""Bodies by their digest: files that are complete or absent, never half written."""

import os
import tempfile
from pathlib import Path

from assent.kernel.canonical import digest_bytes, is_digest
from assent.kernel.errors import Invalid, NotFound


class Blobs:
    """A content-addressed store: `root/ab/cdef…`, one file a body."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, digest: str) -> Path:
        if not is_digest(digest):
            raise Invalid(f"{digest!r} is not a digest of the form sha256:<64 hex digits>.")
        name = digest.removeprefix("sha256:")
        return self._root / name[:2] / name[2:]

    def put(self, content: bytes) -> str:
        """Store `content` durably (file and folder are synced) and give its digest."""
        digest = digest_bytes(content)
        path = self._path(digest)
        if path.exists():
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as part:
            try:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).replace(path)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
        return digest

    def get(self, digest: str) -> bytes:
        """Read a body and check it. Raises: NotFound (never stored, or erased), Invalid (changed on disk)."""
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"The body {digest} is not stored here; it may have been erased.") from None
        if digest_bytes(content) != digest:
            raise Invalid(
                f"The body {digest} was changed on disk.", remedy="Restore the blob store from a backup."
            )
        return content

    def exists(self, digest: str) -> bool:
        """Tell whether the body is stored."""
        return self._path(digest).exists()

    def erase(self, digest: str) -> None:
        """Remove a body for good; what the ledger says of it stays verifiable."""
        self._path(digest).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
