"""Signing in by password and authenticator: who gets in, and how guessing ends."""

import threading
from datetime import timedelta

import pyotp
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from assent.identity import service as identity
from assent.identity.domain.signing_in import (
    FORGOTTEN_AFTER,
    LONGEST_WAIT,
    checked_password,
    digits,
    locked_until,
    recovery_form,
    recovery_text,
    steps_around,
    wait_after,
)
from assent.kernel.clock import FakeClock
from assent.kernel.db import tables_of
from assent.kernel.errors import Invalid, Unavailable
from assent.kernel.sealing import seal, unseal
from assent.ledger import replay

PASSWORD = "correct horse battery"


class Ada:
    """A person with a password and an authenticator, and what they would type."""

    def __init__(self, door):
        self.door, self.clock = door, door.installation.clock
        self.token = door.token("ada", "engineer")
        assert self("PUT", "/v1/me/password", json={"password": PASSWORD}).status_code == 204
        self.totp = pyotp.TOTP(self("POST", "/v1/me/totp").json()["secret"])
        confirmed = self("POST", "/v1/me/totp/confirmation", json={"code": self.code()})
        assert confirmed.status_code == 201, confirmed.text
        self.recovery = confirmed.json()["recovery_codes"]
        self.clock.advance(30)

    def __call__(self, verb, path, **rest):
        return self.door(verb, path, self.token, **rest)

    def code(self):
        return self.totp.at(self.clock.now())

    def sign_in(self, password=PASSWORD, code=None, name="ada"):
        body = {"name": name, "password": password, "code": code or self.code()}
        return self.door("POST", "/v1/sign-ins/password", None, json=body)


@pytest.fixture
def ada(door):
    return Ada(door)


def test_password_and_code_give_a_token_that_is_a_fresh_sign_in(any_door):
    ada = Ada(any_door)
    answer = ada.sign_in()
    assert answer.status_code == 201
    me = any_door("GET", "/v1/me", answer.json()["token"]).json()
    assert me["name"] == "ada"
    assert me["auth_at"].startswith(f"{ada.clock.now():%Y-%m-%dT%H:%M:%S}")
    with any_door.installation.read() as reader:
        assert replay.check(reader).equal


def test_a_code_works_once(ada):
    code = ada.code()
    assert ada.sign_in(code=code).status_code == 201
    assert ada.sign_in(code=code).status_code == 401
    ada.clock.advance(30)
    assert ada.sign_in().status_code == 201


def test_a_recovery_code_works_once_however_it_is_typed(ada):
    typed = ada.recovery[0].lower().replace("-", " ")
    assert ada.sign_in(code=typed).status_code == 201
    assert ada.sign_in(code=typed).status_code == 401
    assert ada("GET", "/v1/me/credentials").json()["n_recovery_codes"] == 9


def test_of_two_sign_ins_with_one_code_at_once_one_wins(ada):
    code, statuses = ada.code(), []
    threads = [
        threading.Thread(target=lambda: statuses.append(ada.sign_in(code=code).status_code)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 401, 401, 401]


def test_whatever_is_wrong_the_answer_is_the_same(ada, door):
    door.token("bob", "engineer")
    wrong = [
        ada.sign_in(password="wrong horse battery"),
        ada.sign_in(code="000000" if ada.code() != "000000" else "111111"),
        ada.sign_in(name="nobody"),
        ada.sign_in(name="bob"),
        ada.sign_in(code="AAAA-AAAA-AAAA-AAAA"),
    ]
    told = [{k: v for k, v in answer.json().items() if k != "request_id"} for answer in wrong]
    assert {answer.status_code for answer in wrong} == {401}
    assert all(one == told[0] for one in told)


def test_a_password_without_an_authenticator_signs_nobody_in(door):
    token = door.token("bob", "engineer")
    assert door("PUT", "/v1/me/password", token, json={"password": PASSWORD}).status_code == 204
    body = {"name": "bob", "password": PASSWORD, "code": "123456"}
    assert door("POST", "/v1/sign-ins/password", None, json=body).status_code == 401


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_guessing_is_slowed_down_for_names_that_exist_and_names_that_do_not(ada, name):
    for _ in range(5):
        assert ada.sign_in("wrong", name=name).status_code == 401
    locked = ada.sign_in(name=name)
    assert (locked.status_code, locked.json()["code"]) == (429, "rate_limited")
    ada.clock.advance(16)
    assert ada.sign_in("wrong", name=name).status_code == 401
    assert ada.sign_in("wrong", name=name).status_code == 429
    ada.clock.advance(31)
    assert ada.sign_in(name=name).status_code == (201 if name == "ada" else 401)


def test_an_address_is_locked_however_many_names_it_tries(ada):
    for i in range(30):
        assert ada.sign_in("wrong", name=f"name{i}").status_code == 401
    assert ada.sign_in(name="another").status_code == 429
    elsewhere = TestClient(ada.door.installation.app, client=("192.0.2.7", 1))
    body = {"name": "ada", "password": PASSWORD, "code": ada.code()}
    assert elsewhere.post("/v1/sign-ins/password", json=body).status_code == 201


def test_parallel_guesses_do_not_outrun_the_count(ada):
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(ada.sign_in("wrong").status_code)) for _ in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [401] * 5 + [429] * 7


def test_ways_of_signing_in_change_only_shortly_after_a_sign_in(ada):
    ada.clock.advance(601)
    for verb, path, body in (
        ("PUT", "/v1/me/password", {"password": PASSWORD}),
        ("DELETE", "/v1/me/password", None),
        ("POST", "/v1/me/totp", None),
        ("POST", "/v1/me/totp/confirmation", {"code": "123456"}),
        ("DELETE", "/v1/me/totp", None),
        ("POST", "/v1/me/recovery-codes", None),
    ):
        answer = ada(verb, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
        assert "assent login --name" in answer.json()["remedy"]
    made = ada("POST", "/v1/tokens", json={"name": "made by an old one"}).json()["token"]
    assert ada.door("PUT", "/v1/me/password", made, json={"password": PASSWORD}).status_code == 401


def test_a_service_account_has_no_password(door):
    assert door("POST", "/v1/services", json={"name": "bot"}).status_code == 201
    door("POST", "/v1/bindings", json={"account": "bot", "role": "engineer"})
    token = door("POST", "/v1/tokens", json={"name": "x", "owner": "bot"}).json()["token"]
    assert door("PUT", "/v1/me/password", token, json={"password": PASSWORD}).status_code == 403


def test_an_authenticator_counts_only_once_it_is_confirmed_in_time(door):
    token = door.token("bob", "engineer")
    clock = door.installation.clock
    first = door("POST", "/v1/me/totp", token).json()
    assert first["uri"].startswith("otpauth://totp/Assent:bob?secret=")
    for code in ("000000", "12345x", "      "):
        assert door("POST", "/v1/me/totp/confirmation", token, json={"code": code}).status_code == 422
    clock.advance(599)
    second = door("POST", "/v1/me/totp", token).json()
    assert second["secret"] != first["secret"]
    old = pyotp.TOTP(first["secret"]).at(clock.now())
    assert door("POST", "/v1/me/totp/confirmation", token, json={"code": old}).status_code == 422
    code = pyotp.TOTP(second["secret"]).at(clock.now())
    assert door("POST", "/v1/me/totp/confirmation", token, json={"code": code}).status_code == 201
    assert door("POST", "/v1/me/totp", token).status_code == 409


def test_an_enrolment_that_waits_too_long_is_void(desk):
    bob = desk.person("bob", "engineer")
    secret = desk.runtime.signers.secret
    with desk.begin(bob) as tx:
        begun = identity.begin_totp(tx, bob.id, secret)
    with desk.read() as reader:
        assert identity.pending_totp(reader, bob.id, secret) == begun
    assert begun.drawing.startswith("<svg")
    desk.clock.advance(901)
    with desk.read() as reader:
        assert identity.pending_totp(reader, bob.id, secret) is None
    with desk.begin(bob) as tx, pytest.raises(Invalid):
        identity.confirm_totp(tx, bob.id, pyotp.TOTP(begun.secret).at(desk.clock.now()), secret)


def test_new_recovery_codes_end_the_old_ones_and_removing_ends_all(ada):
    new = ada("POST", "/v1/me/recovery-codes").json()["recovery_codes"]
    assert len(set(new)) == 10
    assert ada.sign_in(code=ada.recovery[0]).status_code == 401
    assert ada.sign_in(code=new[0]).status_code == 201
    assert ada("DELETE", "/v1/me/totp").status_code == 204
    assert ada("DELETE", "/v1/me/totp").status_code == 404
    assert ada("POST", "/v1/me/recovery-codes").status_code == 404
    assert ada.sign_in(code=new[1]).status_code == 401


def test_a_removed_password_signs_nobody_in(ada):
    assert ada("DELETE", "/v1/me/password").status_code == 204
    assert ada("DELETE", "/v1/me/password").status_code == 404
    assert ada.sign_in().status_code == 401


def test_an_administrator_resets_shortly_after_signing_in(ada, door):
    with door.installation.begin() as tx:
        person = identity.get_account(tx, "ada").id
        session = identity.open_session(tx, person, identity.Opening("link", tx.now()))
    assert door("DELETE", "/v1/people/ada/credentials", ada.token).status_code == 403
    assert door("DELETE", "/v1/people/ada/credentials").status_code == 204
    assert ada("GET", "/v1/me/credentials").json() == {
        "password": False,
        "totp": False,
        "n_recovery_codes": 0,
    }
    with door.installation.read() as reader:
        assert identity.find_session(reader, session.secret) is None
    assert door("DELETE", "/v1/people/ada/credentials").status_code == 204
    door.installation.clock.advance(700)
    assert door("DELETE", "/v1/people/ada/credentials").status_code == 401


def test_sessions_are_listed_and_ended_one_by_one(ada, door):
    with door.installation.begin() as tx:
        person = identity.get_account(tx, "ada").id
        opening = identity.Opening("link", tx.now(), "Browser\x00" + "x" * 400)
        first = identity.open_session(tx, person, opening)
        second = identity.open_session(tx, person, identity.Opening("password", tx.now()))
    shown = ada("GET", "/v1/me/sessions").json()["items"]
    assert {one["how"] for one in shown} == {"link", "password"}
    assert all(len(one["agent"]) <= 200 and "\x00" not in one["agent"] for one in shown)
    gone = identity.session_id(first.secret)
    assert ada("DELETE", f"/v1/me/sessions/{gone}").status_code == 204
    assert ada("DELETE", f"/v1/me/sessions/{gone}").status_code == 404
    with door.installation.read() as reader:
        assert identity.find_session(reader, first.secret) is None
        assert identity.find_session(reader, second.secret) is not None
    assert ada("PUT", "/v1/me/password", json={"password": PASSWORD}).status_code == 204
    assert ada("GET", "/v1/me/sessions").json()["items"] == []


def test_a_session_whose_proof_has_no_time_is_never_fresh(desk):
    ada = desk.person("ada", "engineer")
    with desk.begin(ada) as tx:
        session = identity.open_session(tx, ada.id, identity.Opening("oidc", None))
    with desk.read() as reader:
        found = identity.find_session(reader, session.secret)
    assert found.auth_at is None
    assert found.age_s(desk.clock.now()) == float("inf")
    assert found.actor.auth_at is None


def test_neither_ledger_nor_database_holds_what_signs_in(ada, door):
    used = ada.sign_in("wrong pass typed into the name")
    assert used.status_code == 401
    ada.sign_in(name="hunter2-typed-as-name")
    held = b""
    with door.installation.read() as reader:
        for kind in ("governed", "body", "operational"):
            for table in tables_of(kind):
                for row in reader.conn.execute(sa.select(table)):
                    held += repr(tuple(row)).encode()
    for path in door.installation.runtime.settings.data_dir.rglob("*"):
        if path.is_file() and "keys" not in path.parts:
            held += path.read_bytes()
    for secret in (PASSWORD, ada.totp.secret, *ada.recovery, "hunter2-typed-as-name"):
        assert secret.encode() not in held


def test_the_last_use_of_a_token_is_kept_to_the_minute(ada):
    def used():
        return {t["used_at"] for t in ada("GET", "/v1/tokens").json()["items"]}

    ada.clock.advance(60)
    first = used()
    ada.clock.advance(59)
    assert used() == first
    ada.clock.advance(1)
    assert used() != first


def test_a_sealed_secret_opens_for_its_owner_under_its_key_only():
    key = bytes(32)
    sealed = seal(key, "totp", "ada", b"secret")
    assert unseal(key, "totp", "ada", sealed) == b"secret"
    assert seal(key, "totp", "ada", b"secret") != sealed
    for other in ((b"1" * 32, "totp", "ada"), (key, "other", "ada"), (key, "totp", "bob")):
        with pytest.raises(Unavailable):
            unseal(*other, sealed)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "5 characters"),
        ("x" * 257, "257 characters"),
        ("aaaaaaaaaaaaaaaa", "different characters"),
        ("my name is ADA too", "the account's name"),
        ("correct\thorse battery", "control characters"),
    ],
)
def test_a_weak_password_is_refused_with_its_fault(password, why):
    with pytest.raises(Invalid, match=why):
        checked_password(password, "ada")


def test_a_good_password_is_kept_in_its_normal_form():
    assert checked_password("cafe\u0301 de la gare", "ada") == "caf\u00e9 de la gare"


@given(st.integers(0, 10**6), st.sampled_from(["account", "address"]))
def test_the_wait_grows_and_is_bounded(n, kind):
    assert wait_after(n, kind) <= wait_after(n + 1, kind) <= LONGEST_WAIT < FORGOTTEN_AFTER
    now = FakeClock().now()
    assert locked_until(n, now, kind) - now == wait_after(n, kind)


def test_the_first_failures_cost_nothing():
    assert wait_after(4, "account") == timedelta(0)
    assert wait_after(5, "account") == timedelta(seconds=15)
    assert wait_after(29, "address") == timedelta(0)


@given(st.binary(min_size=10, max_size=10))
def test_a_recovery_code_is_read_as_it_was_written(random):
    text = recovery_text(random)
    assert recovery_form(text) == text.replace("-", "")
    assert recovery_form(text.lower()) == recovery_form(text)


@given(st.text(max_size=30))
def test_any_text_is_a_code_or_none(text):
    assert digits(text) == "" or len(digits(text)) == 6
    assert recovery_form(text) == "" or len(recovery_form(text)) == 16


def test_codes_of_the_neighbouring_steps_are_accepted():
    now = FakeClock().now()
    step = int(now.timestamp()) // 30
    assert steps_around(now) == (step - 1, step, step + 1)
