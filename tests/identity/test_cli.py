"""The commands about people, their proofs and their groups, over real HTTP."""

import io
import json

import pyotp
import pytest

from assent.identity import service as identity
from assent.kernel.tx import SYSTEM
from tests.approvals.conftest import assent, furnished, served, shop  # noqa: F401 -- fixtures
from tests.approvals.shop import PROJECT

ISSUER = "https://login.example"
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _named_provider(monkeypatch):
    provider = {"name": "corp", "title": "Corp", "issuer": ISSUER, "client_id": "assent"}
    monkeypatch.setenv("ASSENT_OIDC_PROVIDERS", json.dumps([provider]))


@pytest.fixture
def typing(monkeypatch):
    """Let lines come from a pipe."""

    def typed(*lines):
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    return typed


class Authenticator:
    """Ada's, who types into it the secret that waits, and then what it shows into the command."""

    def __init__(self, shop):  # noqa: F811 -- pytest's way
        self.shop = shop

    def isatty(self):
        return False

    def readline(self):
        with self.shop.desk.read() as reader:
            secret = self.shop.desk.runtime.signers.secret
            begun = identity.pending_totp(reader, self.shop.people["ada"].id, secret)
        return pyotp.TOTP(begun.secret).at(self.shop.clock.now()) + "\n"


@pytest.fixture
def run(assent):  # noqa: F811 -- pytest's way
    """Run a command that is done; gives its value."""

    def value(who, *words):
        code, out, err = assent(who, *words, "--json")
        assert code == 0, err
        return json.loads(out)

    return value


@pytest.fixture
def protected(served, run, typing, monkeypatch):  # noqa: F811 -- pytest's way
    """Ada has a password and an authenticator; gives her recovery codes."""
    typing(PASSWORD, PASSWORD)
    run("ada", "user", "password")
    monkeypatch.setattr("sys.stdin", Authenticator(served.shop))
    return run("ada", "user", "totp")["recovery_codes"]


def test_a_password_is_set_by_typing_it_twice_and_removed(assent, run, typing):  # noqa: F811 -- pytest's way
    typing(PASSWORD, "another one")
    code, _, err = assent("ada", "user", "password")
    assert (code, "The two passwords differ." in err) == (10, True)
    typing("short", "short")
    assert assent("ada", "user", "password")[0] == 10
    typing(PASSWORD, PASSWORD)
    assert run("ada", "user", "password")["password"] is True
    assert run("ada", "user", "password", "--remove")["password"] is False
    assert assent("ada", "user", "password", "--remove")[0] == 13


def test_an_authenticator_is_set_up_gives_recovery_codes_and_is_removed(assent, run, protected):  # noqa: F811 -- pytest's way
    assert len(set(protected)) == len(protected) > 5
    assert assent("ada", "user", "totp")[0] == 15
    code, out, _ = assent("ada", "user", "totp", "--recovery")
    again = out.split("\n")[:-1]  # one a line
    assert (code, len(again)) == (0, len(protected))
    assert not set(again) & set(protected)
    assert run("ada", "user", "totp", "--remove")["totp"] is False
    assert assent("ada", "user", "totp", "--recovery")[0] != 0


def test_a_wrong_code_sets_nothing_up(assent, typing):  # noqa: F811 -- pytest's way
    typing("000000")
    code, _, err = assent("ada", "user", "totp")
    assert code == 10
    assert "Secret for your authenticator: " in err


def test_an_administrator_resets_what_a_person_lost(served, assent, run, protected):  # noqa: F811 -- pytest's way
    assert assent("bob", "user", "reset", "ada")[0] == 12
    code, _, err = assent("root", "user", "reset", "ada")
    assert (code, "Next: assent user link ada" in err, bool(protected)) == (0, True, True)
    with served.api("ada") as api:
        held = api.get("/v1/me/credentials")
    assert (held["password"], held["totp"], held["n_recovery_codes"]) == (False, False, 0)


def test_sessions_are_listed_and_ended(served, assent, run):  # noqa: F811 -- pytest's way
    assert "You are signed in nowhere." in "".join(assent("ada", "user", "sessions")[1:])
    opening = identity.Opening("link", served.shop.clock.now(), "Firefox\nof ada")
    session = served.shop.do(SYSTEM, identity.open_session, served.shop.people["ada"].id, opening)
    (seat,) = run("ada", "user", "sessions")
    assert (seat["how"], seat["agent"]) == ("link", "Firefoxof ada")
    assert assent("bob", "user", "sessions", "--end", seat["id"])[0] == 13
    assert run("ada", "user", "sessions", "--end", seat["id"]) == []
    with served.shop.desk.read() as reader:
        assert identity.find_session(reader, session.secret) is None


def test_logins_at_a_provider_are_linked_listed_and_unlinked(assent, run):  # noqa: F811 -- pytest's way
    link = ("user", "add-login", "ada", "--issuer", ISSUER, "--subject", "00u1")
    assert assent("ada", *link)[0] == 12
    (login,) = run("root", *link)
    assert (login["issuer"], login["subject"]) == (ISSUER, "00u1")
    assert assent("root", *link)[0] == 15
    assert assent("root", "user", "add-login", "ada", "--issuer", "https://x", "--subject", "1")[0] == 10
    assert [one["id"] for one in run("root", "user", "logins", "ada")] == [login["id"]]
    assert run("root", "user", "remove-login", "ada", login["id"]) == {"id": login["id"], "removed": True}
    assert "None signs them in." in "".join(assent("root", "user", "logins", "ada")[1:])
    assert assent("root", "user", "remove-login", "ada", login["id"])[0] == 13


def test_a_group_that_a_policy_names_changes_by_two_people(served, assent, run):  # noqa: F811 -- pytest's way
    served.shop.bind()
    assert "No change waits." in "".join(assent("root", "group", "changes")[1:])
    code, out, err = assent("root", "group", "add", "reviewers", "bob")
    assert (code, "another person confirms: assent group confirm" in err) == (0, True), out
    (change,) = run("rita", "group", "changes")
    assert (change["verb"], change["person"], change["group"]) == ("add", "bob", "reviewers")
    assert assent("root", "group", "confirm", change["id"])[0] == 16
    assert run("rita", "group", "confirm", change["id"])["state"] == "confirmed"
    assert "bob" in [one["name"] for one in run("ada", "group", "get", "reviewers")["members"]]

    asked = run("root", "group", "remove", "reviewers", "bob")
    assert run("root", "group", "withdraw", asked["id"])["state"] == "withdrawn"
    assert assent("rita", "group", "confirm", asked["id"])[0] == 16
    assert "bob" in [one["name"] for one in run("ada", "group", "get", "reviewers")["members"]]
    assert served.shop.read(identity.list_changes, PROJECT) == []
