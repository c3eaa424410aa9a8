"""Signing keys outside the database: files with mode 0600, one key for each purpose."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent.kernel.errors import Frozen, Invalid

SECRET_BYTES = 32


class Signer(Protocol):
    """What signs: a file's key here, a key service elsewhere."""

    name: str
    public_key: bytes

    def sign(self, message: bytes) -> bytes:
        """Give the Ed25519 signature, 64 bytes."""
        ...


class FileSigner:
    """An Ed25519 key in a PEM file."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = name
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign (RFC 8032)."""
        return self._key.sign(message)


@dataclass(frozen=True, slots=True)
class Signers:
    """The keys of an installation: the ledger's and the snapshots' are never the same."""

    ledger: Signer
    snapshot: Signer
    secret: bytes
    """32 bytes for keyed hashes: sessions, unit ids."""


def load_signers(folder: Path, origin: str) -> Signers:
    """Open the keys, or make them at the first start. Raises: Invalid, Frozen (folder not writable)."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        ledger = _load(folder / "ledger.pem")
        snapshot = _load(folder / "snapshot.pem")
        secret = _read_or_write(folder / "secret", secrets.token_bytes(SECRET_BYTES))
    except OSError as error:
        raise Frozen(
            f"The key folder {folder} cannot be used: {error.strerror}.",
            remedy="Give this user read and write access to it, or set ASSENT_DATA_DIR to a folder of yours.",
        ) from error
    if len(secret) != SECRET_BYTES:
        raise Invalid(
            f"{folder / 'secret'} holds {len(secret)} bytes instead of {SECRET_BYTES}.",
            remedy="Restore it from a backup.",
        )
    return Signers(FileSigner(origin, ledger), FileSigner(f"{origin}/snapshot", snapshot), secret)


def _load(path: Path) -> Ed25519PrivateKey:
    fresh = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = _read_or_write(path, fresh)
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Invalid(
            f"{path} is not a private key in PEM form: {error}", remedy="Restore it from a backup."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Invalid(f"{path} is not an Ed25519 key.", remedy="Restore it from a backup.")
    return key


def _read_or_write(path: Path, fresh: bytes) -> bytes:
    """Read the file; if there is none, write `fresh` completely or not at all, even with several starters."""
    if not path.exists():
        part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(handle, fresh)
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(part, path)
        except FileExistsError:
            pass  # another process was first; its key counts
        finally:
            part.unlink()
    return path.read_bytes()
