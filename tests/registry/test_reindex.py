"""The index of words is rebuilt from the documents; prompts are resolved as models are."""

import pytest
import sqlalchemy as sa

from assent.registry import service, store
from assent.registry.service import Change, Pointer, Search
from assent_client.cli.main import main
from tests.prompts.shelf import PROJECT


def refs(shelf, words, **page):
    found = shelf.read(service.search, PROJECT, Search({}, None, words), **page)
    return [one.ref for one in found]


def test_words_that_were_lost_are_found_again_in_the_same_order(shelf):
    for n in range(12):
        shelf.model(f"1.{n}.0", description=f"answers number{n} about refunds")
    whole = refs(shelf, "refunds")
    assert len(whole) == 12
    shelf.behind_the_back(sa.delete(store.texts).where(store.texts.c.seq > 4))
    assert len(refs(shelf, "refunds")) < 12

    for _ in range(2):
        with shelf.begin() as tx:
            assert service.reindex(tx) == (12, [])
        assert refs(shelf, "refunds") == whole
        assert refs(shelf, "number7") == ["support@1.7.0"]
        first = shelf.read(service.search, PROJECT, Search({}, None, "refunds"), limit=5)
        assert refs(shelf, "refunds", before=first[-1].id, limit=7) == whole[5:]
    shelf.model("2.0.0", description="about refunds too")
    assert refs(shelf, "refunds")[0] == "support@2.0.0"


def test_more_versions_than_are_read_at_once_are_all_indexed(shelf, monkeypatch):
    monkeypatch.setattr("assent.registry.store.indexing.N_CHUNK", 2)
    for n in range(5):
        shelf.model(f"1.{n}.0")
    with shelf.begin() as tx:
        assert service.reindex(tx) == (5, [])


def test_a_version_whose_document_is_gone_or_changed_is_left_out_and_named(shelf):
    kept, _ = shelf.model("1.0.0", description="about refunds")
    gone, _ = shelf.model("2.0.0", description="about refunds as well")
    other, _ = shelf.model("3.0.0", description="about refunds again")
    for version in (gone, other):
        shelf.behind_the_back(
            sa.text("DELETE FROM registry_documents WHERE digest = :d").bindparams(d=version.digest)
        )
    changed = sa.text("INSERT INTO registry_documents (digest, content) VALUES (:d, '{}')")
    shelf.behind_the_back(changed.bindparams(d=other.digest))
    with shelf.begin() as tx:
        assert service.reindex(tx) == (1, ["support@2.0.0", "support@3.0.0"])
    assert refs(shelf, "refunds") == [kept.ref]


def test_the_command_says_how_many_and_what_it_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ASSENT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ASSENT_DATABASE_URL", raising=False)
    assert main(["init", "--admin", "ada"]) == 0
    capsys.readouterr()
    assert main(["ledger", "reindex", "--json"]) == 0
    assert '"n_versions": 0' in capsys.readouterr().out


@pytest.mark.parametrize("which", ["1.0.0", "champion", "latest"])
def test_a_prompt_is_resolved_by_number_label_or_as_the_latest_in_one_query(shelf, client, which):
    version, _ = shelf.prompt(text="Hi")
    if which != "latest":
        shelf.prompt(text="Ho")
    pointer = Pointer(project=PROJECT, kind="prompt", name="greeting", label="champion")
    with shelf.begin() as tx:
        service.move_label(tx, Change(pointer=pointer), "1.0.0")
    answer = client.get(f"/resolve/prompt/greeting@{which}")
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{version.digest}"')
    assert answer.json() == {
        "kind": "prompt", "ref": "greeting@1.0.0", "digest": version.digest,
        "document": version.document, "prompts": {},
    }  # fmt: skip
    assert client.get(f"/resolve/model/greeting@{which}").status_code == 404
    statements = []
    with shelf.session.read() as reader:
        sa.event.listen(reader.conn, "before_cursor_execute", lambda *args: statements.append(args[2]))
        service.resolve(reader, PROJECT, f"greeting@{which}", "prompt")
    assert len(statements) == 1


def test_a_label_that_no_prompt_has_is_not_found(client, shelf):
    shelf.prompt(text="Hi")
    assert client.get("/resolve/prompt/greeting@champion").status_code == 404
    assert client.get("/resolve/prompt/greeting@CHAMPION").status_code == 422
