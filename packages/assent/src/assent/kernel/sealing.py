"""Secrets at rest: what the database holds of them cannot be read without the key folder.

AES-256-GCM under a key that HKDF (RFC 5869) derives from the installation's secret, one for each purpose;
what a sealed text belongs to is authenticated, so it cannot be moved to another row.
"""

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from assent.kernel.errors import Unavailable

NONCE_BYTES = 12


def derive(secret: bytes, purpose: str) -> bytes:
    """Derive the key of a purpose, 32 bytes."""
    return HKDF(hashes.SHA256(), 32, salt=None, info=f"assent {purpose}".encode()).derive(secret)


def keyed_hash(secret: bytes, purpose: str, text: str) -> str:
    """Hash a text that could be guessed, so that only the holder of the secret could try."""
    mac = hmac.HMAC(derive(secret, purpose), hashes.SHA256())
    mac.update(text.encode(errors="surrogatepass"))
    return mac.finalize().hex()


def seal(secret: bytes, purpose: str, owner: str, plain: bytes) -> str:
    """Encrypt what belongs to `owner`."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = AESGCM(derive(secret, purpose)).encrypt(nonce, plain, owner.encode())
    return base64.urlsafe_b64encode(nonce + sealed).decode()


def box_key(secret: bytes, purpose: str) -> X25519PrivateKey:
    """Derive the key that opens boxes of a purpose (`assent_client.sealed`); its public half seals them."""
    return X25519PrivateKey.from_private_bytes(derive(secret, f"box {purpose}"))


def unseal(secret: bytes, purpose: str, owner: str, sealed: str) -> bytes:
    """Decrypt. Raises: Unavailable where the key is another one, or the text was changed or moved."""
    raw = base64.urlsafe_b64decode(sealed)
    try:
        return AESGCM(derive(secret, purpose)).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], owner.encode())
    except InvalidTag as error:
        raise Unavailable(
            "A secret of the database cannot be opened with this key folder.",
            remedy="Restore the file `keys/secret` that belongs to this database.",
        ) from error
