"""Boxes that only the holder of a key opens: who writes them cannot read them again.

A box is base64url of an ephemeral X25519 public key (32 bytes) and AES-256-GCM under HKDF-SHA256 of the
shared secret, with both public keys as `info` and the owner's name authenticated. A key is used once, so the
nonce is zero. Sources: RFC 7748, RFC 5869, NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE = bytes(12)


def seal_to(key: bytes, owner: str, plain: bytes) -> str:
    """Put what belongs to `owner` into a box for the holder of `key` (public, 32 bytes)."""
    once = X25519PrivateKey.generate()
    shared = once.exchange(X25519PublicKey.from_public_bytes(key))
    mine = once.public_key().public_bytes_raw()
    sealed = _cipher(shared, mine, key).encrypt(_NONCE, plain, owner.encode())
    return base64.urlsafe_b64encode(mine + sealed).decode()


def open_sealed(key: X25519PrivateKey, owner: str, box: str) -> bytes:
    """Open a box. Raises: ValueError where it is none of this owner and key."""
    try:
        raw = base64.urlsafe_b64decode(box)
        theirs, sealed = raw[:KEY_BYTES], raw[KEY_BYTES:]
        shared = key.exchange(X25519PublicKey.from_public_bytes(theirs))
        return _cipher(shared, theirs, key.public_key().public_bytes_raw()).decrypt(
            _NONCE, sealed, owner.encode()
        )
    except (binascii.Error, InvalidTag) as error:
        raise ValueError("this box cannot be opened with this key") from error


def _cipher(shared: bytes, once: bytes, key: bytes) -> AESGCM:
    info = b"assent sealed box v1" + once + key
    return AESGCM(HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(shared))
