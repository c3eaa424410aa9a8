"""Signing in at a provider: a real one on loopback, and one that forges."""

import base64
import hashlib
import hmac
import json
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from assent.app import create_app
from assent.identity import service as identity
from assent.identity.domain.oidc import Expected, proof_of
from assent.identity.service.providers import is_safe
from assent.installation import opened, prepare
from assent.kernel.clock import FakeClock
from assent.kernel.errors import Invalid, Unauthenticated
from assent.kernel.settings import load
from assent.ledger import replay
from tests.conftest import Installation, KeptJobs
from tests.console.shop import HERE, Browser

CLIENT = "assent-desk"


@contextmanager
def desk_of(folder, issuer):
    providers = [
        {"name": "corp", "title": "Corp", "issuer": issuer, "client_id": CLIENT, "client_secret": "s3cret"}
    ]
    settings = load(
        data_dir=folder / "data", public_url=HERE, oidc_providers=providers, origin="log.example/assent"
    )
    prepare(settings)
    jobs = KeptJobs()
    with opened(settings, clock=FakeClock(datetime.now(UTC)), enqueue=jobs) as runtime:
        desk = Installation(runtime, jobs)
        desk.ada = desk.person("ada", "engineer")
        desk.app = create_app(runtime)
        yield desk


def link(desk, issuer, subject="ada@corp"):
    with desk.begin() as tx:
        return identity.link_login(tx, "ada", issuer, subject)


def browser_of(desk):
    return Browser(desk.app, base_url=HERE, follow_redirects=False)


def begin(browser):
    answer = browser.get("/sign-in/oidc/corp?next=/account")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def query_of(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def local(address):
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


@pytest.fixture(scope="module")
def issuer():
    """A provider in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://localhost:{port}"
    try:
        for _ in range(150):
            try:
                if httpx.get(f"{address}/.well-known/openid-configuration").is_success:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def agree(address, subject="ada@corp"):
    """Sign in at the provider, as a person would; gives where it leads back to."""
    with httpx.Client() as client:
        answer = client.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    return local(answer.headers["location"])


def test_a_linked_login_signs_in_and_its_answer_works_once(tmp_path, issuer):
    with desk_of(tmp_path, issuer) as desk:
        link(desk, issuer)
        browser = browser_of(desk)
        assert "Corp" in browser.get("/sign-in").text
        back = agree(begin(browser))
        answer = browser.get(back)
        assert (answer.status_code, answer.headers["location"]) == (303, "/account")
        assert "ada" in browser.get("/account").text
        assert browser.get(back).status_code == 401
        with desk.read() as reader:
            assert replay.check(reader).equal


def test_a_code_that_was_used_is_refused_by_the_provider_whatever_the_state(tmp_path, issuer):
    with desk_of(tmp_path, issuer) as desk:
        link(desk, issuer)
        browser = browser_of(desk)
        back = agree(begin(browser))
        assert browser.get(back).status_code == 303
        fresh = query_of(begin(browser))["state"]
        replayed = f"/sign-in/oidc/corp/callback?state={fresh}&code={query_of(back)['code']}"
        assert browser.get(replayed).status_code == 401


def test_an_answer_in_another_browser_signs_nobody_in(tmp_path, issuer):
    with desk_of(tmp_path, issuer) as desk:
        link(desk, issuer)
        browser, victim = browser_of(desk), browser_of(desk)
        victim.get("/sign-in")
        back = agree(begin(browser))
        assert victim.get(back).status_code == 401
        assert "session" not in str(dict(victim.cookies))


def test_a_login_of_nobody_signs_nobody_in_and_its_holder_links_it(tmp_path, issuer):
    with desk_of(tmp_path, issuer) as desk:
        browser = browser_of(desk)
        refused = browser.get(agree(begin(browser), "new@corp"))
        assert refused.status_code == 401
        assert "belongs to no account" in refused.text
        with desk.begin() as tx:
            code = identity.issue_link(tx, "ada")
        browser.submit(browser.get("/sign-in"), "/sign-in", code=code)
        onward = browser.submit(browser.get("/account"), "/account/logins", provider="corp")
        address = re.search(r'href="(http://localhost[^"]+)"', onward.text)[1].replace("&amp;", "&")
        assert browser.get(agree(address, "new@corp")).headers["location"] == "/account"
        assert "new@corp" in browser.get("/account").text
        other = browser_of(desk)
        assert other.get(agree(begin(other), "new@corp")).status_code == 303
        login = re.search(r'name="login" value="(lgn_[^"]+)"', browser.get("/account").text)[1]
        browser.submit(browser.get("/account"), "/account/logins/removal", login=login)
        assert other.get(agree(begin(other), "new@corp")).status_code == 401


def test_an_answer_that_comes_too_late_signs_nobody_in(tmp_path, issuer):
    with desk_of(tmp_path, issuer) as desk:
        link(desk, issuer)
        browser = browser_of(desk)
        back = agree(begin(browser))
        desk.clock.advance(601)
        assert browser.get(back).status_code == 401


class Forger:
    """A provider whose every answer a test decides."""

    def __init__(self):
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.published = [self.key]
        self.token, self.metadata, self.asked = "", {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("content-length", 0))
                outer.asked.append(
                    (self.path, parse_qs(self.rfile.read(length).decode()), dict(self.headers))
                )
                body = json.dumps(outer.answers(self.path)).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 -- names of the standard library

            def log_message(self, *args):
                """Keep test output clean."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def answers(self, path):
        if path == "/jwks":
            return {"keys": [key.as_dict(private=False) for key in self.published]}
        if path == "/token":
            return {"id_token": self.token}
        found = {"issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize"}
        return (
            found
            | {"token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks"}
            | self.metadata
        )

    def claims(self, asked_nonce, now, **changes):
        at = int(now.timestamp())
        made = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "ada@corp",
            "nonce": asked_nonce,
            "iat": at,
            "exp": at + 300,
        }
        made |= {"auth_time": at - 5, **changes}
        return {name: value for name, value in made.items() if value is not None}

    def sign(self, claims, key=None, **header):
        return jwt.encode({"alg": "RS256", "kid": "one", **header}, claims, key or self.key)

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join(5)


@pytest.fixture
def forger():
    made = Forger()
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path, forger):
    with desk_of(tmp_path, forger.issuer) as made:
        link(made, forger.issuer)
        yield made


def come_back(desk, forger, **changes):
    """Sign in with a token of these claims, signed as it should be."""
    browser = browser_of(desk)
    asked = query_of(begin(browser))
    forger.token = forger.sign(forger.claims(asked["nonce"], desk.clock.now(), **changes))
    return browser, browser.get(f"/sign-in/oidc/corp/callback?state={asked['state']}&code=c")


def test_the_forger_can_tell_the_truth(desk, forger):
    browser, answer = come_back(desk, forger)
    assert answer.status_code == 303
    assert "Sign in again" not in browser.get("/account").text


def test_the_code_is_traded_with_the_verifier_of_its_challenge(desk, forger):
    browser = browser_of(desk)
    asked = query_of(begin(browser))
    assert (asked["code_challenge_method"], asked["max_age"]) == ("S256", "600")
    assert asked["redirect_uri"] == f"{HERE}/sign-in/oidc/corp/callback"
    forger.token = forger.sign(forger.claims(asked["nonce"], desk.clock.now()))
    browser.get(f"/sign-in/oidc/corp/callback?state={asked['state']}&code=c")
    form, headers = next((form, headers) for path, form, headers in forger.asked if path == "/token")
    hashed = hashlib.sha256(form["code_verifier"][0].encode()).digest()
    assert base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() == asked["code_challenge"]
    assert headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT], "azp": "another"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"nonce": "another"},
        {"nonce": None},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sub": 7},
        {"exp": None},
        {"exp": "never"},
        {"iat": None},
        {"iat": True},
    ],
)
def test_a_token_that_was_made_for_something_else_is_refused(desk, forger, changes):
    _, answer = come_back(desk, forger, **changes)
    assert answer.status_code == 401
    assert "not accepted" in answer.text


@pytest.mark.parametrize(("name", "shift", "status"), [
    ("exp", -59, 303), ("exp", -61, 401), ("iat", 59, 303), ("iat", 61, 401), ("nbf", 59, 303), ("nbf", 61, 401),
    ("auth_time", 59, 303), ("auth_time", 61, 401), ("iat", -90000, 401),
])  # fmt: skip
def test_clocks_may_differ_by_a_minute(desk, forger, name, shift, status):
    at = int(desk.clock.now().timestamp()) + shift
    assert come_back(desk, forger, **{name: at})[1].status_code == status


@pytest.mark.parametrize("auth_time", [None, -700])
def test_an_old_or_untold_sign_in_at_the_provider_is_no_fresh_one_here(desk, forger, auth_time):
    at = None if auth_time is None else int(desk.clock.now().timestamp()) + auth_time
    browser, answer = come_back(desk, forger, auth_time=at)
    assert answer.status_code == 303
    assert "Sign in again" in browser.get("/account").text


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _by_public_key(forger, claims):
    """Sign as whoever hopes that the public key is taken for a shared secret."""
    signed = f"{b64({'alg': 'HS256', 'kid': 'one'})}.{b64(claims)}"
    mac = hmac.digest(forger.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _own_key(forger, claims):
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)


FORGERIES = {
    "alg none": lambda f, c: f"{b64({'alg': 'none', 'kid': 'one'})}.{b64(c)}.",
    "HS256 under the public key": _by_public_key,
    "another key of the same id": lambda f, c: f.sign(c, RSAKey.generate_key(2048, {"kid": "one"})),
    "a key that is not published": lambda f, c: f.sign(c, RSAKey.generate_key(2048), kid="two"),
    "a changed claim": lambda f, c: re.sub(r"\.[^.]+\.", f".{b64({**c, 'sub': 'root'})}.", f.sign(c)),
    "a key in its own header": _own_key,
    "no token at all": lambda f, c: "x.y.z",
    "nothing": lambda f, c: "",
    "a number": lambda f, c: 7,
}


@pytest.mark.parametrize("kind", FORGERIES)
@pytest.mark.filterwarnings("ignore")
def test_a_forged_token_is_refused(desk, forger, kind):
    browser = browser_of(desk)
    asked = query_of(begin(browser))
    forger.token = FORGERIES[kind](forger, forger.claims(asked["nonce"], desk.clock.now()))
    answer = browser.get(f"/sign-in/oidc/corp/callback?state={asked['state']}&code=c")
    assert answer.status_code == 401
    assert browser.get("/account").status_code == 303


def test_a_new_key_of_the_provider_is_found_and_an_old_one_ends(desk, forger):
    assert come_back(desk, forger)[1].status_code == 303
    forger.published = [forger.key, RSAKey.generate_key(2048, {"kid": "two"})]
    old, forger.key = forger.key, forger.published[1]
    desk.clock.advance(61)
    browser = browser_of(desk)
    asked = query_of(begin(browser))
    forger.token = forger.sign(forger.claims(asked["nonce"], desk.clock.now()), kid="two")
    assert browser.get(f"/sign-in/oidc/corp/callback?state={asked['state']}&code=c").status_code == 303
    forger.published, forger.key = [forger.key], old
    desk.clock.advance(3600)
    assert come_back(desk, forger)[1].status_code == 401


@pytest.mark.parametrize("metadata", [
    {"issuer": "https://evil.example"}, {"token_endpoint": "http://evil.example/token"}, {"jwks_uri": None},
])  # fmt: skip
def test_a_provider_that_says_it_is_another_or_leads_elsewhere_is_not_used(desk, forger, metadata):
    forger.metadata = metadata
    assert browser_of(desk).get("/sign-in/oidc/corp").status_code == 503


def test_a_provider_that_the_settings_do_not_name_does_not_exist(desk):
    assert browser_of(desk).get("/sign-in/oidc/evil").status_code == 404
    assert browser_of(desk).get("/sign-in/oidc/evil/callback?state=x&code=y").status_code == 401


def test_a_provider_that_refuses_or_answers_nothing_signs_nobody_in(desk, forger):
    browser = browser_of(desk)
    asked = query_of(begin(browser))
    answer = browser.get(f"/sign-in/oidc/corp/callback?state={asked['state']}&error=access_denied")
    assert answer.status_code == 401


def test_a_login_belongs_to_one_person(desk, forger):
    desk.person("bob", "engineer")
    with desk.begin() as tx, pytest.raises(Exception, match="belongs to an account already"):
        identity.link_login(tx, "bob", forger.issuer, "ada@corp")


def test_an_administrator_links_and_unlinks_over_http(desk, forger):
    root = desk.token(desk.person("root", "admin"))
    ada = desk.token(desk.ada)
    client, path = browser_of(desk), "/v1/people/ada/logins"
    body = {"issuer": forger.issuer, "subject": "second@corp"}
    assert client.post(path, json=body, headers={"authorization": f"Bearer {ada}"}).status_code == 403
    headers = {"authorization": f"Bearer {root}"}
    unknown = client.post(path, json={**body, "issuer": "https://evil.example"}, headers=headers)
    assert unknown.status_code == 422
    made = client.post(path, json=body, headers=headers)
    assert made.status_code == 201
    assert len(client.get(path, headers=headers).json()["items"]) == 2
    assert client.delete(f"{path}/{made.json()['id']}", headers=headers).status_code == 204
    assert client.delete(f"{path}/{made.json()['id']}", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "issuer", ["http://corp.example", "ftp://corp.example", "", "https://corp.example/?x=1", "corp"]
)
def test_an_issuer_must_be_reached_safely(issuer, tmp_path):
    with pytest.raises(Invalid):
        load(
            data_dir=tmp_path,
            oidc_providers=[{"name": "corp", "title": "Corp", "issuer": issuer, "client_id": "x"}],
        )
    assert is_safe("https://corp.example")


@pytest.mark.parametrize("value", [-1, 2**37, float("inf"), float("nan"), "1", None, [], True])
def test_a_time_that_is_none_is_refused(value):
    now = FakeClock().now()
    claims = {"iss": "i", "aud": ["c"], "sub": "s", "nonce": "n", "iat": value, "exp": value}
    with pytest.raises(Unauthenticated):
        proof_of(claims, Expected("i", "c", "n"), now)


def test_a_proof_is_never_from_the_future():
    now = FakeClock().now()
    at = int(now.timestamp())
    claims = {
        "iss": "i",
        "aud": "c",
        "sub": "s",
        "nonce": "n",
        "iat": at,
        "exp": at + 9,
        "auth_time": at + 30,
    }
    assert proof_of(claims, Expected("i", "c", "n"), now).auth_at == now
