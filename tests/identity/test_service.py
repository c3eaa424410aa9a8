"""Accounts, roles, groups, tokens, links, sessions, keys: what each may and what it never may."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from assent.identity import service as identity
from assent.identity.domain import Binding, Permission
from assent.identity.service.credentials import hashed
from assent.kernel.db import tables_of
from assent.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from assent.kernel.tx import SYSTEM, Actor
from assent.ledger import service as ledger

HOSTILE = [
    "",
    "A",
    "-a",
    ".a",
    "a b",
    "a/b",
    "a\n",
    "a\x00",
    "é",
    "a" * 64,
    "../x",
    "<b>",
    "a'--",
    "\u202ea",
    "\ud800",
]


@pytest.fixture
def shop(desk):
    with desk.begin() as tx:
        identity.create_project(tx, "shop", "The shop")
        identity.create_environment(tx, "shop", "production", protected=True)
        identity.create_group(tx, "shop", "risk")
    return desk


def do(desk, action, *args, by=SYSTEM, **kwargs):
    with desk.begin(by) as tx:
        return action(tx, *args, **kwargs)


def ask(desk, question, *args, **kwargs):
    with desk.read() as reader:
        return question(reader, *args, **kwargs)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_invalid_for_whatever_is_named(shop, name):
    for action, args, kwargs in (
        (identity.add_person, (name,), {}),
        (identity.add_service, (name,), {}),
        (identity.create_project, (name,), {}),
        (identity.create_environment, ("shop", name), {"protected": True}),
        (identity.create_group, ("shop", name), {}),
        (identity.issue_key, ("shop", "production", "app", [name]), {}),
    ):
        with pytest.raises(Invalid, match="is not a name for"):
            do(shop, action, *args, **kwargs)


@pytest.mark.parametrize("name", ["a", "0", "a.b_c-d", "a" * 63])
def test_an_ordinary_name_is_accepted(desk, name):
    assert do(desk, identity.add_person, name).display_name == name


def test_a_name_belongs_to_one_account_of_either_kind(desk):
    ada = do(desk, identity.add_person, "ada", "Ada L.")
    desk.clock.advance(1)
    bot = do(desk, identity.add_service, "bot")
    for action in (identity.add_person, identity.add_service):
        for name in ("ada", "bot", ada.id, bot.id):
            with pytest.raises(Conflict, match="already"):
                do(desk, action, name)
    assert ask(desk, identity.list_accounts) == [ada, bot]
    assert ask(desk, identity.get_account, ada.id) == ask(desk, identity.get_account, "ada") == ada
    with pytest.raises(NotFound, match="no account 'bob'"):
        ask(desk, identity.get_account, "bob")


def test_a_persons_name_stands_outside_the_ledger(desk):
    do(desk, identity.add_person, "ada-lovelace", "Countess of Lovelace")
    assert not [e for e in entries(desk) if b"ovelace" in e]


def test_a_role_is_given_once_and_taken_away(shop):
    do(shop, identity.add_person, "ada")
    ada = ask(shop, identity.get_account, "ada").id
    before = len(entries(shop))
    for _ in range(2):
        do(shop, identity.bind, "ada", "operator", "shop")
    assert len(entries(shop)) == before + 1
    assert ask(shop, identity.roles_of, ada) == [Binding("operator", "shop")]
    actor = Actor(ada, "person")
    assert ask(shop, identity.authorised, actor, Permission.ROLLOUT_START, "shop")
    assert not ask(shop, identity.authorised, actor, Permission.ROLLOUT_START, "bank")
    with pytest.raises(NotFound, match=r"does not hold 'operator' in '\*'"):
        do(shop, identity.unbind, "ada", "operator")
    do(shop, identity.unbind, "ada", "operator", "shop")
    assert not ask(shop, identity.authorised, actor, Permission.ROLLOUT_START, "shop")


def test_a_role_needs_an_account_a_role_and_a_project_that_exist(shop):
    do(shop, identity.add_person, "ada")
    with pytest.raises(NotFound, match="account 'bob'"):
        do(shop, identity.bind, "bob", "admin")
    with pytest.raises(Invalid, match="no role"):
        do(shop, identity.bind, "ada", "king")
    with pytest.raises(NotFound, match="no project 'bank'"):
        do(shop, identity.bind, "ada", "admin", "bank")


def test_projects_environments_and_groups_are_made_once(shop):
    assert [p.title for p in ask(shop, identity.list_projects)] == ["The shop"]
    assert ask(shop, identity.get_environment, "shop", "production").protected
    for action, args in (
        (identity.create_project, ("shop",)),
        (identity.create_group, ("shop", "risk")),
    ):
        with pytest.raises(Conflict, match="already"):
            do(shop, action, *args)
    with pytest.raises(Conflict, match="already"):
        do(shop, identity.create_environment, "shop", "production", protected=False)
    with pytest.raises(NotFound, match="no environment 'staging'") as missing:
        ask(shop, identity.get_environment, "shop", "staging")
    assert missing.value.remedy == "Its environments: production."
    with pytest.raises(NotFound, match="no project"):
        do(shop, identity.create_group, "bank", "risk")


def test_a_full_project_takes_a_group_with_as_many_statements_as_an_empty_one(shop):
    def n_statements(action, *args):
        said = []
        with shop.begin() as tx:
            sa.event.listen(tx.conn, "before_cursor_execute", lambda *args: said.append(args[2]))
            action(tx, *args)
        return len(said)

    alone = n_statements(identity.create_group, "shop", "g"), n_statements(identity.list_groups, "shop")
    with shop.begin() as tx:
        for n in range(20):
            identity.create_group(tx, "shop", f"g{n}")
    full = n_statements(identity.create_group, "shop", "last"), n_statements(identity.list_groups, "shop")

    assert full == alone
    assert list(ask(shop, identity.list_groups, "shop")) == sorted(
        ["g", "last", "risk", *(f"g{n}" for n in range(20))]
    )


def test_membership_counts_from_when_it_began_until_it_ends(shop):
    ada = do(shop, identity.add_person, "ada").id
    asked_at = shop.clock.now()
    shop.clock.advance(10)
    for _ in range(2):
        do(shop, identity.add_member, "shop", "risk", "ada")
    joined_at = shop.clock.now()
    shop.clock.advance(10)
    assert ask(shop, identity.list_groups, "shop") == {"risk": {ada: joined_at}}
    assert ask(shop, identity.groups_of, "shop", ada) == {"risk"}
    assert ask(shop, identity.groups_of, "shop", ada, at=asked_at) == frozenset()
    assert ask(shop, identity.groups_of, "shop", ada, at=joined_at) == {"risk"}
    assert ask(shop, identity.groups_of, "bank", ada) == frozenset()
    do(shop, identity.remove_member, "shop", "risk", ada)
    assert ask(shop, identity.groups_of, "shop", ada, at=joined_at) == frozenset()
    do(shop, identity.add_member, "shop", "risk", ada)
    assert ask(shop, identity.groups_of, "shop", ada, at=joined_at) == frozenset(), (
        "joining again begins anew"
    )


def test_a_group_holds_people_that_exist(shop):
    do(shop, identity.add_service, "bot")
    do(shop, identity.add_person, "ada")
    with pytest.raises(Invalid, match="only people vote"):
        do(shop, identity.add_member, "shop", "risk", "bot")
    with pytest.raises(NotFound, match="no account 'bob'"):
        do(shop, identity.add_member, "shop", "risk", "bob")
    with pytest.raises(NotFound, match="no group 'law'"):
        do(shop, identity.add_member, "shop", "law", "ada")
    for name in ("ada", "bob"):
        with pytest.raises(NotFound, match="is not a member"):
            do(shop, identity.remove_member, "shop", "risk", name)


def test_a_token_stands_for_its_owner_until_it_expires(desk):
    ada = desk.person("ada", "engineer")
    secret = do(desk, identity.issue_token, ada.id, "laptop", None, timedelta(days=2), by=ada)
    held = ask(desk, identity.authenticate, secret)
    assert (held.account, held.kind, held.scopes, held.auth_at) == (ada.id, "person", None, ada.auth_at)
    desk.clock.advance(2 * 86400 - 1)
    ask(desk, identity.authenticate, secret)
    desk.clock.advance(1)
    with pytest.raises(Unauthenticated, match="expired on 2026-01-03 00:00 UTC"):
        ask(desk, identity.authenticate, secret)


def test_making_a_token_with_a_token_is_no_sign_in(desk):
    ada = desk.person("ada", "engineer")
    desk.clock.advance(3600)
    secret = desk.token(ada)
    assert ask(desk, identity.authenticate, secret).auth_at == ada.auth_at < desk.clock.now()


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=-1), timedelta(days=366, seconds=1)])
def test_a_token_lives_at_most_a_year_and_a_day(desk, life):
    ada = desk.person("ada", "engineer")
    with pytest.raises(Invalid, match="lives 1 to 366 days"):
        do(desk, identity.issue_token, ada.id, "x", None, life, by=ada)


def test_a_token_is_issued_for_oneself_or_a_service_never_for_another_person(desk):
    ada, root = desk.person("ada", "engineer"), desk.person("root", "admin")
    bot = do(desk, identity.add_service, "bot")
    with pytest.raises(Invalid, match="ada is another person") as refused:
        do(desk, identity.issue_token, "ada", "x", None, by=root)
    assert "assent user link ada" in refused.value.remedy
    held = ask(desk, identity.authenticate, do(desk, identity.issue_token, "bot", "x", None, by=root))
    assert (held.account, held.kind, held.auth_at) == (bot.id, "service", None)
    with pytest.raises(NotFound, match="no account"):
        do(desk, identity.issue_token, "bob", "x", None, by=ada)


def test_a_limited_token_makes_no_token_that_can_do_more(desk):
    ada = desk.person("ada", "engineer")
    limited = Actor(ada.id, "person", ada.auth_at, ("identity.token.issue", "identity.self.read"))
    held = ask(desk, identity.authenticate, desk.token(limited))
    assert held.scopes == limited.scopes
    with pytest.raises(Invalid, match=r"do not hold registry\.version\.register"):
        desk.token(limited, ["registry.version.register"])
    assert ask(desk, identity.authenticate, desk.token(limited, ["identity.self.read"])).scopes == (
        "identity.self.read",
    )


def test_a_revoked_token_is_refused_and_revoking_again_changes_nothing(desk):
    ada, bob = desk.person("ada", "engineer"), desk.person("bob", "engineer")
    secret = desk.token(ada)
    [row] = ask(desk, identity.list_tokens, ada.id)
    for token in (row["id"], "tok_none"):
        with pytest.raises(NotFound, match="You have no token"):
            do(desk, identity.revoke_token, token, any_owner=False, by=bob)
    for _ in range(2):
        do(desk, identity.revoke_token, row["id"], any_owner=True, by=bob)
    before = len(entries(desk))
    do(desk, identity.revoke_token, row["id"], any_owner=False, by=ada)
    assert len(entries(desk)) == before
    with pytest.raises(Unauthenticated, match="was revoked"):
        ask(desk, identity.authenticate, secret)
    with pytest.raises(Unauthenticated, match="not known"):
        ask(desk, identity.authenticate, "assent_pat_nothing")


def test_a_link_signs_its_person_in_once(desk):
    ada = desk.person("ada", "reviewer")
    code = do(desk, identity.issue_link, "ada")
    desk.clock.advance(15 * 60 - 1)
    session = do(desk, identity.redeem_link, code)
    assert session.actor == Actor(ada.id, "person", desk.clock.now())
    assert ask(desk, identity.find_session, session.secret) == session
    for redeem in (identity.redeem_link, identity.redeem_link_for_token):
        with pytest.raises(Unauthenticated, match="does not work"):
            do(desk, redeem, code)


def test_signing_in_is_recorded_as_the_persons_own_act(desk):
    ada = desk.person("ada", "reviewer")
    do(desk, identity.redeem_link, do(desk, identity.issue_link, ada.id))
    with desk.read() as reader:
        assert list(ledger.leaves(reader, 0, 1000))[-1].actor == ada.id


@pytest.mark.parametrize("redeem", [identity.redeem_link, identity.redeem_link_for_token])
def test_a_link_is_dead_after_fifteen_minutes(desk, redeem):
    desk.person("ada")
    code = do(desk, identity.issue_link, "ada")
    desk.clock.advance(15 * 60)
    for each in (code, "no such code"):
        with pytest.raises(Unauthenticated, match="older than 15 minutes"):
            do(desk, redeem, each)


def test_a_link_gives_a_token_of_twelve_hours_with_a_fresh_sign_in(desk):
    desk.person("ada")
    desk.clock.advance(60)
    held = ask(
        desk,
        identity.authenticate,
        do(desk, identity.redeem_link_for_token, do(desk, identity.issue_link, "ada")),
    )
    assert held.auth_at == desk.clock.now()
    assert held.expires_at == desk.clock.now() + timedelta(hours=12)


def test_a_link_is_for_a_person_that_exists(desk):
    do(desk, identity.add_service, "bot")
    with pytest.raises(Invalid, match="is a service account"):
        do(desk, identity.issue_link, "bot")
    with pytest.raises(NotFound, match="no account"):
        do(desk, identity.issue_link, "bob")


def test_a_session_ends_by_signing_out_and_by_age(desk):
    desk.person("ada")
    first, second = (do(desk, identity.redeem_link, do(desk, identity.issue_link, "ada")) for _ in range(2))
    do(desk, identity.end_session, first.secret)
    assert ask(desk, identity.find_session, first.secret) is None
    desk.clock.advance(12 * 3600 - 1)
    assert ask(desk, identity.find_session, second.secret) is not None
    desk.clock.advance(1)
    assert ask(desk, identity.find_session, second.secret) is None


def test_a_revoked_key_vanishes_from_those_in_force(shop):
    do(shop, identity.create_environment, "shop", "staging", protected=False)
    do(shop, identity.issue_key, "shop", "production", "app", [])
    do(shop, identity.issue_key, "shop", "production", "web", ["b", "a", "b"])
    do(shop, identity.issue_key, "shop", "staging", "web", ["*"])
    one, two = ask(shop, identity.application_keys, "shop", "production")
    assert (one.names, two.names) == (("*",), ("b", "a"))
    before = len(entries(shop))
    for _ in range(2):
        do(shop, identity.revoke_key, "shop", one.id)
    assert len(entries(shop)) == before + 1
    assert ask(shop, identity.application_keys, "shop", "production") == [two]
    assert len(ask(shop, identity.list_keys, "shop")) == 3
    assert [k["revoked_at"] for k in ask(shop, identity.list_keys, "shop", "production")] == [
        shop.clock.now(),
        None,
    ]
    assert not {"hash", "key"} & set(ask(shop, identity.list_keys, "shop")[0])


def test_a_key_has_limits_until_others_are_set(shop):
    do(shop, identity.issue_key, "shop", "production", "app", [])
    (key,) = (one["id"] for one in ask(shop, identity.list_keys, "shop"))
    assert ask(shop, identity.key_limits, [key]) == {}
    wanted = {"requests_per_minute": 60, "tokens_per_minute": None}
    for _ in range(2):
        assert do(shop, identity.limit_key, "shop", key, wanted) == {"requests_per_minute": 60}
    assert ask(shop, identity.key_limits, [key]) == {key: {"requests_per_minute": 60}}
    do(shop, identity.limit_key, "shop", key, {"tokens_per_day": 10**12})
    assert ask(shop, identity.key_limits, [key]) == {key: {"tokens_per_day": 10**12}}
    do(shop, identity.limit_key, "shop", key, {})
    assert ask(shop, identity.key_limits, [key]) == {}


def test_a_limit_is_refused_with_every_reason(shop):
    do(shop, identity.issue_key, "shop", "production", "app", [])
    (key,) = (one["id"] for one in ask(shop, identity.list_keys, "shop"))
    with pytest.raises(Invalid) as refusal:
        do(
            shop,
            identity.limit_key,
            "shop",
            key,
            {"per_hour": 1, "tokens_per_day": 0, "requests_per_minute": 10**13},
        )
    assert {reason.id for reason in refusal.value.reasons} == {
        "per_hour",
        "tokens_per_day",
        "requests_per_minute",
    }
    with pytest.raises(NotFound):
        do(shop, identity.limit_key, "shop", "key_none", {"tokens_per_day": 1})
    do(shop, identity.revoke_key, "shop", key)
    with pytest.raises(Conflict):
        do(shop, identity.limit_key, "shop", key, {"tokens_per_day": 1})


def test_a_budget_is_an_amount_of_a_currency(shop):
    do(shop, identity.issue_key, "shop", "production", "app", [])
    (key,) = (one["id"] for one in ask(shop, identity.list_keys, "shop"))
    wanted = {"cost_per_day": 12.50, "cost_per_month": "800", "currency": "EUR"}
    held = {"cost_per_day": "12.5", "cost_per_month": "800", "currency": "EUR"}
    assert do(shop, identity.limit_key, "shop", key, wanted) == held
    assert ask(shop, identity.key_limits, [key]) == {key: held}
    assert ask(shop, identity.get_key, "shop", key)["name"] == "app"
    with pytest.raises(NotFound):
        ask(shop, identity.get_key, "shop", "key_none")


@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        ({"cost_per_day": "5"}, "currency"),
        ({"currency": "USD"}, "currency"),
        ({"cost_per_day": "5", "currency": "usd"}, "currency"),
        ({"cost_per_day": "0", "currency": "USD"}, "cost_per_day"),
        ({"cost_per_day": "-1", "currency": "USD"}, "cost_per_day"),
        ({"cost_per_day": "NaN", "currency": "USD"}, "cost_per_day"),
        ({"cost_per_day": True, "currency": "USD"}, "cost_per_day"),
        ({"cost_per_month": "much", "currency": "USD"}, "cost_per_month"),
        ({"cost_per_month": "1000000001", "currency": "USD"}, "cost_per_month"),
        ({"cost_per_month": "0.0000001", "currency": "USD"}, "cost_per_month"),
        ({"tokens_per_day": True}, "tokens_per_day"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(shop, wanted, wrong):
    do(shop, identity.issue_key, "shop", "production", "app", [])
    (key,) = (one["id"] for one in ask(shop, identity.list_keys, "shop"))
    with pytest.raises(Invalid) as refusal:
        do(shop, identity.limit_key, "shop", key, wanted)
    assert {reason.id for reason in refusal.value.reasons} == {wrong}


def test_a_key_needs_a_name_and_a_place(shop):
    with pytest.raises(Invalid, match="which application holds it"):
        do(shop, identity.issue_key, "shop", "production", "  ", ["*"])
    with pytest.raises(NotFound, match="no environment"):
        do(shop, identity.issue_key, "shop", "moon", "app", ["*"])
    for project, key in (("shop", "key_none"), ("bank", "key_none")):
        with pytest.raises(NotFound, match="has no key"):
            do(shop, identity.revoke_key, project, key)


def test_the_first_administrator_is_made_once(desk):
    secret = do(desk, identity.bootstrap, "root")
    held = ask(desk, identity.authenticate, secret)
    assert ask(desk, identity.roles_of, held.account) == [Binding("admin", "*")]
    assert held.auth_at == desk.clock.now()
    assert do(desk, identity.bootstrap, "other") is None
    assert [a.name for a in ask(desk, identity.list_accounts)] == ["root"]


@pytest.mark.parametrize("secret", ["admin", "assent_pat_", "assent_pat_" + "x" * 31, "x" * 60])
def test_a_weak_first_token_is_refused_and_nobody_is_added(desk, secret):
    with pytest.raises(Invalid, match="too weak"):
        do(desk, identity.bootstrap, "root", secret)
    assert ask(desk, identity.list_accounts) == []
    assert do(desk, identity.bootstrap, "root", "assent_pat_" + "x" * 32) == "assent_pat_" + "x" * 32


def entries(desk):
    with desk.read() as reader:
        return [leaf.entry for leaf in ledger.leaves(reader, 0, 1000)]


def test_no_secret_stands_in_the_ledger_or_in_any_table(shop):
    ada = shop.person("ada", "engineer")
    code, unused = do(shop, identity.issue_link, "ada"), do(shop, identity.issue_link, "ada")
    issued = [
        code,
        unused,
        shop.token(ada),
        do(shop, identity.redeem_link, code).secret,
        do(shop, identity.redeem_link_for_token, do(shop, identity.issue_link, "ada")),
        do(shop, identity.issue_key, "shop", "production", "app", ["*"]),
    ]
    hashes = [hashed(each) for each in issued]
    written = b"\n".join(entries(shop)).decode()
    with shop.read() as reader:
        rows = {
            kind: repr([reader.conn.execute(sa.select(t)).all() for t in tables_of(kind)])
            for kind in ("governed", "body", "operational")
        }
    assert len(set(issued)) == 6
    for secret, hash_ in zip(issued, hashes, strict=True):
        assert secret not in written + "".join(rows.values())
        assert hash_ not in written + rows["governed"] + rows["body"]
        assert hash_ in rows["operational"]
