"""Keys in files: private, made once, never replaced."""

import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from assent.kernel.errors import Frozen, Invalid
from assent.kernel.signing import load_signers

ORIGIN = "log.example/assent"
STARTER = (
    "import sys, pathlib; from assent.kernel.signing import load_signers\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "made = load_signers(pathlib.Path(sys.argv[1]), 'o')\n"
    "print(made.ledger.public_key.hex(), made.snapshot.public_key.hex(), made.secret.hex())"
)


def test_keys_are_made_once_and_only_their_user_may_read_them(tmp_path):
    folder = tmp_path / "keys"
    made = load_signers(folder, ORIGIN)
    again = load_signers(folder, ORIGIN)
    assert made.ledger.public_key == again.ledger.public_key != made.snapshot.public_key
    assert (made.secret, len(made.secret)) == (again.secret, 32)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == {"ledger.pem": 0o600, "snapshot.pem": 0o600, "secret": 0o600}


def test_a_signature_verifies_with_the_public_key_alone(tmp_path):
    signer = load_signers(tmp_path, ORIGIN).ledger
    Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signer.sign(b"text"), b"text")
    assert signer.name == ORIGIN
    assert load_signers(tmp_path, ORIGIN).snapshot.name == f"{ORIGIN}/snapshot"


def test_processes_that_start_at_once_get_the_same_keys(tmp_path):
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, tmp_path / "keys"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for each in starters:
        assert each.stdout.readline() == "ready\n"
    for each in starters:
        each.stdin.write("\n")
        each.stdin.flush()
    said = [each.communicate(timeout=60)[0] for each in starters]
    assert [each.returncode for each in starters] == [0, 0]
    assert said[0] == said[1]
    assert len(list((tmp_path / "keys").iterdir())) == 3


def rsa_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("name", ["ledger.pem", "snapshot.pem"])
@pytest.mark.parametrize("content", [b"", b"not a key", "rsa"])
def test_a_damaged_key_is_named_and_not_replaced(tmp_path, name, content):
    load_signers(tmp_path, ORIGIN)
    content = rsa_key() if content == "rsa" else content
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=name) as refused:
        load_signers(tmp_path, ORIGIN)
    assert refused.value.remedy == "Restore it from a backup."
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_secret_is_named_and_never_used(tmp_path, content):
    load_signers(tmp_path, ORIGIN)
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(Invalid, match=rf"secret holds {len(content)} bytes instead of 32"):
        load_signers(tmp_path, ORIGIN)


def test_a_key_folder_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "keys").write_text("a file stands here")
    with pytest.raises(Frozen, match=r"key folder .*keys cannot be used: File exists") as refused:
        load_signers(tmp_path / "keys", ORIGIN)
    assert "ASSENT_DATA_DIR" in refused.value.remedy
