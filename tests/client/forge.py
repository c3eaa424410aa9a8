"""Make signed snapshots for tests: keys, a ledger of a few leaves, an envelope."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assent_client.snapshot import PAYLOAD_TYPE, Root, pae
from assent_client.verify.merkle import leaf_hash, node_hash
from assent_client.verify.note import make_vkey, sign_note

ORIGIN = "test.example/ledger"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def digest(document: Any) -> str:
    return "sha256:" + hashlib.sha256(rfc8785.dumps(document)).hexdigest()


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def tree(leaves: list[bytes]) -> bytes:
    """Give the root over leaf hashes, straight from RFC 6962's definition."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(tree(leaves[:k]), tree(leaves[k:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """Give the audit path of a leaf, straight from RFC 6962's definition."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*path(index, leaves[:k]), tree(leaves[k:])]
    return [*path(index - k, leaves[k:]), tree(leaves[:k])]


def prompt_document(content: str = "You are kind.", **changes: Any) -> dict[str, Any]:
    return {
        "kind": "prompt",
        "project": "acme",
        "name": "support",
        "format": "chat",
        "syntax": "jinja",
        "messages": [{"role": "system", "content": content}],
        "variables": {},
    } | changes


def model_document(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "model",
        "project": "acme",
        "name": "assistant",
        "base_model": "gpt",
        "provider": "main",
        "upstream_model": "upstream-1",
        "prompt": None,
        "parameters": {},
        "open_parameters": {},
        "client_system": "refuse",
    } | changes


def route(stable: str, canary: str | None = None, share: int = 0, **changes: Any) -> dict[str, Any]:
    variants = {"stable": stable} | ({"canary": canary} if canary else {})
    split = [{"variant": "canary", "start": 0, "end": share}] if share else []
    split.append({"variant": "stable", "start": share, "end": 1_000_000})
    return {
        "key": "assistant",
        "kind": "model",
        "variants": variants,
        "split": split,
        "rules": [],
        "unit": "user",
        "algo": "b2b64-v1",
        "salt": "salt",
        "off": "stable",
        "enabled": True,
        "rollout": "ro_1" if canary else None,
        "generation": 1,
    } | changes


@dataclass
class Forge:
    """An installation in small: it admits documents and signs snapshots."""

    log_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    snapshot_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    entries: list[bytes] = field(default_factory=lambda: [b'{"v":1,"type":"kernel.log.opened"}'])

    @property
    def root(self) -> Root:
        log = self.log_key.public_key().public_bytes_raw()
        snapshot = self.snapshot_key.public_key().public_bytes_raw()
        return Root(ORIGIN, make_vkey(ORIGIN, log), make_vkey(ORIGIN + "/snapshot", snapshot))

    def leaf(self, type_: str, data: dict[str, Any]) -> int:
        entry = {"v": 1, "type": type_, "ev": 1, "id": f"evt_{len(self.entries)}", "data": data}
        self.entries.append(rfc8785.dumps(entry))
        return len(self.entries) - 1

    def approve(self, subject: str, environment: str = "production", effect: str = "approved") -> int:
        data = {"subject": subject, "environment": environment, "effect": effect}
        return self.leaf("approvals.decision.made", data)

    def adopt(self, subject: str, environment: str = "production") -> int:
        return self.leaf("delivery.version.adopted", {"subject": subject, "environment": environment})

    def checkpoint(self) -> str:
        leaves = [leaf_hash(entry) for entry in self.entries]
        text = f"{ORIGIN}\n{len(leaves)}\n{b64(tree(leaves))}\n"
        return sign_note(text, ORIGIN, self.log_key.public_key().public_bytes_raw(), self.log_key.sign)

    def version(
        self, document: dict[str, Any], index: int, kind: str = "approved", **changes: Any
    ) -> dict[str, Any]:
        leaves = [leaf_hash(entry) for entry in self.entries]
        admission = {
            "kind": kind,
            "index": index,
            "entry": b64(self.entries[index]),
            "proof": [b64(node) for node in path(index, leaves)],
        }
        ref = f"{document['name']}@1.0.0"
        return {
            "ref": ref,
            "document": document,
            "prompts": {},
            "deprecation": None,
            "admission": admission,
        } | changes

    def payload(
        self, *documents: dict[str, Any], prompts: tuple[Any, ...] = (), **changes: Any
    ) -> dict[str, Any]:
        """Approve documents and route the first to everybody."""
        indexes = [self.approve(digest(document)) for document in documents]
        with_prompts = {digest(prompt): prompt for prompt in prompts}
        versions = {
            digest(document): self.version(document, index, prompts=with_prompts)
            for document, index in zip(documents, indexes, strict=True)
        }
        return {
            "v": 1,
            "project": "acme",
            "environment": "production",
            "audience": "gateway",
            "epoch": 1,
            "serial": len(self.entries),
            "issued_at": NOW.isoformat(),
            "expires_at": (NOW + timedelta(hours=1)).isoformat(),
            "checkpoint": self.checkpoint(),
            "routes": {"assistant": route(next(iter(versions)))} if documents else {},
            "versions": versions,
            "gone": {},
            "providers": {},
            "keys": [],
            "limits": {},
        } | changes

    def sign(self, payload: dict[str, Any] | bytes, **changes: Any) -> bytes:
        content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signature = b64(self.snapshot_key.sign(pae(PAYLOAD_TYPE, content)))
        envelope = {
            "payloadType": PAYLOAD_TYPE,
            "payload": b64(content),
            "signatures": [{"keyid": "snapshot", "sig": signature}],
        }
        return json.dumps(envelope | changes).encode()
