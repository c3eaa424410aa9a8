from datetime import timedelta

import pytest
import sqlalchemy as sa

from assent.identity.domain import (
    EnvironmentCreated,
    KeyIssued,
    MemberAdded,
    MemberRemoved,
    ProjectCreated,
    TokenIssued,
    TokenRevoked,
)
from assent.kernel.tx import Projector
from assent.ledger import replay
from assent_client.verify.merkle import VerificationError


def checked(installed, **options):
    with installed.session.read() as reader:
        return replay.check(reader, **options)


@pytest.fixture
def lived_in(installed):
    now = installed.session.ports.clock.now()
    expires = now + timedelta(hours=1)
    installed.record(
        ProjectCreated(project="Ärger", title="größer"),
        ProjectCreated(project="a", title="A"),
        ProjectCreated(project="Z", title="Z"),
        EnvironmentCreated(project="a", name="production", protected=True),
        MemberAdded(project="a", group="g", person="usr_1"),
        MemberAdded(project="a", group="g", person="usr_2"),
        TokenIssued(
            token="t1", account="usr_1", name="ci", scopes=("a.b.c",), auth_at=None, expires_at=expires
        ),
        KeyIssued(key="k1", project="a", environment="production", name="app", names=("*",)),
    )
    installed.record(MemberRemoved(project="a", group="g", person="usr_2"), TokenRevoked(token="t1"))
    return installed


def test_an_untouched_database_is_what_its_ledger_says(lived_in):
    seen = []
    found = checked(lived_in, on_progress=lambda done, size: seen.append((done, size)))
    assert found.equal
    assert (found.n_leaves, found.n_rows, found.n_differences, found.differences) == (10, 7, 0, [])
    assert seen == [(10, 10)]


def test_an_empty_database_is_what_its_ledger_says(installed):
    assert checked(installed) == replay.Replay(0, checked(installed).n_tables, 0, 0, [])


@pytest.mark.parametrize(
    ("edit", "place", "expected", "found"),
    [
        (
            "UPDATE identity_projects SET title = 'other' WHERE name = 'a'",
            ("identity_projects", {"name": "a"}, "title"), "A", "other",
        ),
        (
            "UPDATE identity_environments SET protected = false",
            ("identity_environments", {"project": "a", "name": "production"}, "protected"), True, False,
        ),
        (
            "UPDATE identity_tokens SET scopes = '[\"a.b.c\",\"x.y.z\"]'",
            ("identity_tokens", {"id": "t1"}, "scopes"), '["a.b.c"]', '["a.b.c","x.y.z"]',
        ),
        (
            "UPDATE identity_tokens SET revoked_at = NULL",
            ("identity_tokens", {"id": "t1"}, "revoked_at"), "2026-01-01T00:00:00.000000Z", None,
        ),
        (
            "UPDATE identity_keys SET names = 'no json'",
            ("identity_keys", {"id": "k1"}, "names"), '["*"]', "no json",
        ),
    ],
)  # fmt: skip
def test_an_edited_value_is_named_with_table_row_and_column(lived_in, edit, place, expected, found):
    table, _, column = place
    lived_in.behind_the_back(edit)
    result = checked(lived_in)
    assert not result.equal
    [difference] = result.differences
    assert (difference.table, difference.key, difference.column) == place
    assert (difference.expected, difference.found) == (expected, found)
    assert f"{table}[" in str(difference)
    assert f".{column}: expected {difference.expected!r}, found {difference.found!r}" in str(difference)


@pytest.mark.parametrize("name", ["Z", "a", "Ärger"])
def test_a_missing_row_is_named(lived_in, name):
    lived_in.behind_the_back(sa.text("DELETE FROM identity_projects WHERE name = :n").bindparams(n=name))
    [difference] = checked(lived_in).differences
    assert (difference.table, difference.key, difference.column) == (
        "identity_projects",
        {"name": name},
        None,
    )
    assert difference.expected["name"] == name
    assert difference.found is None
    assert str(difference) == f"identity_projects[name={name!r}]: the row is missing"


@pytest.mark.parametrize("name", ["A", "m", "Ö", "zz"])
def test_an_extra_row_is_named(lived_in, name):
    added = sa.text("INSERT INTO identity_projects VALUES (:n, 'x', '2026-01-01T00:00:00.000000Z')")
    lived_in.behind_the_back(added.bindparams(n=name))
    [difference] = checked(lived_in).differences
    assert (difference.key, difference.column, difference.expected) == ({"name": name}, None, None)
    assert difference.found["title"] == "x"
    assert str(difference) == f"identity_projects[name={name!r}]: the row is not from the ledger"


def test_a_key_of_another_type_is_an_extra_row(lived_in):
    if lived_in.session.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's columns hold their type only")
    lived_in.behind_the_back("UPDATE identity_projects SET name = x'61' WHERE name = 'a'")
    assert {(d.key["name"], d.column) for d in checked(lived_in).differences} == {("a", None), (b"a", None)}


def test_differences_beyond_a_thousand_are_counted_and_not_listed(installed):
    installed.fill(1003)
    installed.behind_the_back("UPDATE identity_projects SET title = ''")
    found = checked(installed)
    assert (found.n_differences, len(found.differences)) == (1003, 1000)


def test_a_missing_leaf_ends_the_replay(lived_in):
    lived_in.behind_the_back("DELETE FROM ledger_leaves WHERE idx = 4")
    with pytest.raises(VerificationError, match="leaf 4 is missing") as caught:
        checked(lived_in)
    assert caught.value.index == 4


def test_a_leaf_that_no_projection_knows_ends_the_replay(lived_in):
    lived_in.session.ports = type(lived_in.session.ports)(
        lived_in.session.ports.clock, lived_in.session.ports.blobs, Projector([]), lived_in.port, None
    )
    with pytest.raises(VerificationError, match="leaf 0 cannot be replayed: No projection knows") as caught:
        checked(lived_in)
    assert caught.value.index == 0


def test_a_leaf_that_the_tables_refuse_ends_the_replay(lived_in):
    lived_in.behind_the_back(
        "UPDATE ledger_leaves SET entry = (SELECT entry FROM ledger_leaves WHERE idx = 0) WHERE idx = 1"
    )
    with pytest.raises(VerificationError, match="leaf 1 cannot be replayed") as caught:
        checked(lived_in)
    assert caught.value.index == 1


def test_a_replay_does_not_see_what_is_written_meanwhile(lived_in):
    with lived_in.session.read() as reader:
        replay.check(reader)
        lived_in.record(ProjectCreated(project="later", title=""))
        assert replay.check(reader).n_leaves == 10
    assert checked(lived_in).n_leaves == 11
