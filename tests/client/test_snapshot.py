"""Snapshots: nothing is believed because it arrived."""

import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from forge import NOW, Forge, b64, digest, model_document, prompt_document, route

from assent_client.errors import Invalid, Unavailable
from assent_client.snapshot import Root, Scope, SnapshotRefused, pae, verify
from assent_client.store import SnapshotStore

SCOPE = Scope("acme", "production", "gateway")


@pytest.fixture
def forge():
    return Forge()


@pytest.fixture
def store(forge, tmp_path):
    return SnapshotStore(tmp_path, forge.root, SCOPE)


def test_a_good_snapshot_is_taken_and_decides(forge):
    document = model_document()
    snapshot = verify(forge.sign(forge.payload(document)), forge.root, SCOPE)
    assert snapshot.routes["assistant"]("u", {}).value == digest(document)


def test_the_signed_bytes_are_those_of_the_dsse_specification():
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_adopted_version_is_taken(forge):
    document = model_document()
    payload = forge.payload(document)
    index = forge.adopt(digest(document))
    payload["versions"] = {digest(document): forge.version(document, index, "adopted")}
    payload["checkpoint"] = forge.checkpoint()
    assert (
        verify(forge.sign(payload), forge.root, SCOPE).payload.versions[digest(document)].admission.kind
        == "adopted"
    )


def test_every_leaf_of_a_larger_ledger_proves_its_version(forge):
    documents = [model_document(upstream_model=f"m{n}") for n in range(5)]
    snapshot = verify(forge.sign(forge.payload(*documents)), forge.root, SCOPE)
    assert len(snapshot.payload.versions) == 5


def refused(forge, payload, match):
    with pytest.raises(SnapshotRefused, match=match):
        verify(forge.sign(payload), forge.root, SCOPE)


def test_another_key_is_refused(forge):
    envelope = Forge(log_key=forge.log_key).sign(forge.payload(model_document()))
    with pytest.raises(SnapshotRefused, match="no signature by the pinned snapshot key"):
        verify(envelope, forge.root, SCOPE)


def test_a_changed_payload_is_refused(forge):
    payload = forge.payload(model_document())
    envelope = json.loads(forge.sign(payload))
    envelope["payload"] = b64(json.dumps(payload | {"serial": 99}).encode())
    with pytest.raises(SnapshotRefused, match="no signature"):
        verify(json.dumps(envelope).encode(), forge.root, SCOPE)


@pytest.mark.parametrize(
    "envelope", [b"", b"{}", b"[" * 100_000, b'{"payloadType":"x","payload":"!","signatures":[]}', b"\xff"]
)
def test_rubbish_is_refused(forge, envelope):
    with pytest.raises(SnapshotRefused):
        verify(envelope, forge.root, SCOPE)


def test_another_payload_type_is_refused(forge):
    with pytest.raises(SnapshotRefused, match="payload type"):
        verify(forge.sign(forge.payload(), payloadType="text/plain"), forge.root, SCOPE)


@pytest.mark.parametrize("name", ["project", "environment", "audience"])
def test_a_snapshot_for_another_scope_is_refused(forge, name):
    refused(forge, forge.payload(**{name: "sdk"}), name)


@pytest.mark.parametrize(
    "change",
    [{"v": 2}, {"extra": 1}, {"serial": -1}, {"issued_at": "2026-01-01T00:00:00"}, {"routes": []}, {"keys": [{"id": "k", "hash": "x", "names": []}]}],
)  # fmt: skip
def test_a_payload_out_of_form_is_refused(forge, change):
    refused(forge, forge.payload(**change), "malformed")


def test_a_document_without_its_digest_is_refused(forge):
    payload = forge.payload(model_document())
    next(iter(payload["versions"].values()))["document"]["upstream_model"] = "other"
    refused(forge, payload, "does not have its digest")


def test_a_prompt_without_its_digest_is_refused(forge):
    prompt = prompt_document()
    payload = forge.payload(model_document(prompt=digest(prompt)), prompts=(prompt,))
    next(iter(payload["versions"].values()))["prompts"][digest(prompt)]["messages"] = []
    refused(forge, payload, "does not have its digest")


def test_a_model_without_its_prompt_is_refused(forge):
    refused(forge, forge.payload(model_document(prompt=digest(prompt_document()))), "needs the prompt")


def test_a_version_of_another_project_is_refused(forge):
    refused(forge, forge.payload(model_document(project="other")), "project")


def test_a_version_without_a_leaf_in_the_ledger_is_refused(forge):
    payload = forge.payload(model_document())
    version = next(iter(payload["versions"].values()))
    version["admission"]["entry"] = b64(b'{"v":1}')
    refused(forge, payload, "does not lead to the root")


@pytest.mark.parametrize(
    ("kind", "data", "match"),
    [
        ("approvals.decision.made", {"effect": "rejected"}, "not an approval"),
        ("approvals.decision.made", {"effect": "approved", "environment": "staging"}, "does not admit"),
        (
            "approvals.decision.made",
            {"effect": "approved", "subject": "sha256:" + "0" * 64},
            "does not admit",
        ),
        ("delivery.version.adopted", {}, "no approvals.decision.made"),
        ("registry.version.registered", {}, "no approvals.decision.made"),
    ],
)
def test_a_leaf_that_does_not_admit_the_version_is_refused(forge, kind, data, match):
    document = model_document()
    payload = forge.payload(document)
    index = forge.leaf(kind, {"subject": digest(document), "environment": "production"} | data)
    payload["versions"] = {digest(document): forge.version(document, index)}
    payload["checkpoint"] = forge.checkpoint()
    refused(forge, payload, match)


def test_a_leaf_that_is_no_json_is_refused(forge):
    document = model_document()
    payload = forge.payload(document)
    forge.entries.append(b"nonsense")
    payload["versions"] = {digest(document): forge.version(document, len(forge.entries) - 1)}
    payload["checkpoint"] = forge.checkpoint()
    refused(forge, payload, "not a JSON object")


def test_an_unknown_kind_of_admission_is_refused(forge):
    payload = forge.payload(model_document())
    next(iter(payload["versions"].values()))["admission"]["kind"] = "waved_through"
    refused(forge, payload, "waved_through")


def test_a_checkpoint_of_another_ledger_is_refused(forge):
    other = Forge(snapshot_key=forge.snapshot_key)
    envelope = other.sign(other.payload(model_document()))
    with pytest.raises(SnapshotRefused):
        verify(envelope, forge.root, SCOPE)


def test_a_route_to_a_version_that_is_not_there_is_refused(forge):
    refused(forge, forge.payload(routes={"assistant": route("sha256:" + "0" * 64)}), "not in it")


def test_a_route_under_another_name_is_refused(forge):
    document = model_document()
    refused(forge, forge.payload(document, routes={"other": route(digest(document))}), "calls itself")


def test_a_broken_route_is_refused(forge):
    refused(forge, forge.payload(routes={"assistant": {}}), "missing keys")


def test_a_flag_carries_plain_values(forge):
    flag = route("on", kind="flag", key="assistant")
    snapshot = verify(forge.sign(forge.payload(routes={"assistant": flag})), forge.root, SCOPE)
    assert snapshot.routes["assistant"]("u", {}).value == "on"


def test_staleness_is_told_in_seconds(forge):
    snapshot = verify(forge.sign(forge.payload()), forge.root, SCOPE)
    assert snapshot.stale_s(NOW) == 0
    assert snapshot.stale_s(NOW + timedelta(hours=2)) == 3600


def test_the_store_serves_the_last_good_snapshot_after_a_restart(forge, store, tmp_path):
    taken = store.offer(forge.sign(forge.payload(model_document())))
    again = SnapshotStore(tmp_path, forge.root, SCOPE)
    assert again.load().envelope == taken.envelope
    assert again.current.position == taken.position


def test_a_snapshot_serves_before_it_is_on_the_disk(forge, store, tmp_path):
    store.offer(forge.sign(forge.payload(serial=5)))
    taken = store.take(forge.sign(forge.payload(serial=6)))
    assert store.current is taken
    assert SnapshotStore(tmp_path, forge.root, SCOPE).load().payload.serial == 5
    store.keep()
    assert SnapshotStore(tmp_path, forge.root, SCOPE).load().payload.serial == 6


def test_what_is_on_the_disk_is_not_written_again(forge, store, tmp_path):
    store.keep()
    assert list(tmp_path.iterdir()) == []
    store.offer(forge.sign(forge.payload(serial=5)))
    again = SnapshotStore(tmp_path, forge.root, SCOPE)
    again.load()
    files = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    for one in (store, again):
        one.keep()
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == files


def test_a_disk_that_was_full_is_tried_again(forge, store, tmp_path):
    store.offer(forge.sign(forge.payload(serial=5)))
    mark = next(tmp_path.glob("*.mark.json"))
    mark.unlink()
    mark.mkdir()  # nothing can be put in its place
    store.offer(forge.sign(forge.payload(serial=6)))
    assert "could not be written" in store.trouble
    mark.rmdir()
    store.keep()
    assert SnapshotStore(tmp_path, forge.root, SCOPE).load().payload.serial == 6


def test_a_bad_snapshot_leaves_the_good_one_in_use(forge, store):
    good = store.offer(forge.sign(forge.payload(model_document(), serial=5)))
    with pytest.raises(SnapshotRefused):
        store.offer(forge.sign(forge.payload(serial=6, environment="staging")))
    assert store.current is good
    assert "environment" in store.trouble


def test_the_same_snapshot_again_changes_nothing(forge, store):
    envelope = forge.sign(forge.payload(model_document()))
    assert store.offer(envelope) is store.offer(envelope)


def test_a_lower_serial_is_refused_even_after_the_copy_was_lost(forge, store, tmp_path):
    store.offer(forge.sign(forge.payload(serial=9)))
    old = forge.sign(forge.payload(serial=8))
    with pytest.raises(SnapshotRefused, match="behind"):
        store.offer(old)
    next(tmp_path.glob("*.snapshot.json")).unlink()
    with pytest.raises(SnapshotRefused, match="behind"):
        SnapshotStore(tmp_path, forge.root, SCOPE).offer(old)


def test_a_new_epoch_may_begin_with_a_lower_serial(forge, store):
    store.offer(forge.sign(forge.payload(serial=9)))
    assert store.offer(forge.sign(forge.payload(serial=2, epoch=2))).position == (2, 2)


def test_of_two_with_one_serial_the_later_issued_wins(forge, store):
    store.offer(forge.sign(forge.payload(serial=9)))
    with pytest.raises(SnapshotRefused, match="issued before"):
        store.offer(forge.sign(forge.payload(serial=9, issued_at=(NOW - timedelta(1)).isoformat())))
    later = (NOW + timedelta(1)).isoformat()
    assert store.offer(forge.sign(forge.payload(serial=9, issued_at=later))).payload.issued_at > NOW


def test_a_spoilt_copy_on_disk_is_kept_out_with_the_reason(forge, store, tmp_path):
    store.offer(forge.sign(forge.payload(model_document())))
    copy = next(tmp_path.glob("*.snapshot.json"))
    copy.write_bytes(copy.read_bytes()[:-40])
    again = SnapshotStore(tmp_path, forge.root, SCOPE)
    assert again.load() is None
    assert "malformed" in again.trouble


def test_an_empty_folder_holds_no_snapshot(store):
    assert store.load() is None
    assert store.trouble is None


def test_a_spoilt_mark_is_reported(forge, store, tmp_path):
    store.offer(forge.sign(forge.payload()))
    next(tmp_path.glob("*.mark.json")).write_bytes(b"{")
    assert "mark" in SnapshotStore(tmp_path, forge.root, SCOPE).trouble


def test_a_full_disk_does_not_hold_up_a_rollback(forge, store, tmp_path):
    store.offer(forge.sign(forge.payload(serial=5)))
    for file in tmp_path.iterdir():
        file.unlink()
    tmp_path.rmdir()
    assert store.offer(forge.sign(forge.payload(serial=6))) is store.current
    assert "could not be written" in store.trouble


def test_a_folder_that_cannot_be_made_is_reported(forge, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used"):
        SnapshotStore(tmp_path / "file" / "x", forge.root, SCOPE)


def test_a_root_document_survives_its_own_form(forge):
    assert Root.parse(forge.root.to_json()) == forge.root


@pytest.mark.parametrize("change", [{"log_vkey": "x"}, {"origin": "elsewhere"}, {"snapshot_vkey": None}])
def test_a_root_document_out_of_form_is_refused(forge, change):
    with pytest.raises(Invalid):
        Root.parse(json.dumps(json.loads(forge.root.to_json()) | change))


def test_one_key_for_both_purposes_is_refused():
    key = Ed25519PrivateKey.generate()
    with pytest.raises(Invalid, match="must differ"):
        Root.parse(Forge(log_key=key, snapshot_key=key).root.to_json())
