from typing import Annotated
from urllib.parse import urlencode

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse

from assent.kernel.errors import Invalid
from assent.web import forms
from assent.web.api import install_errors
from assent.web.forms import TOKEN_FIELD, Form, form_secret, form_token, posted_form, set_cookie
from assent.web.headers import SECURITY_HEADERS, SecurityHeaders

HERE = "http://127.0.0.1:8400"
SECRET = "s" * 43


def build():
    app = FastAPI()
    install_errors(app)

    @app.post("/echo")
    def echo(form: Annotated[Form, Depends(posted_form)]):
        return dict(form.fields)

    @app.get("/secret")
    def secret(request: Request):
        return form_secret(request)

    @app.get("/cookie")
    def cookie(request: Request):
        response = PlainTextResponse("")
        set_cookie(request, response, "session", "v", 60)
        return response

    app.add_middleware(SecurityHeaders)
    return app


def browser(base=HERE, held=SECRET):
    name = "__Host-assent_form" if base.startswith("https") else "assent_form_8400"
    return TestClient(build(), base_url=base, cookies={name: held} if held else {})


def send(client, fields, **headers):
    return client.post("/echo", data={TOKEN_FIELD: form_token(SECRET), **fields}, headers=headers)


def test_a_form_of_ours_is_read():
    answer = send(browser(), {"a": "1", "b": "two words"}, origin=HERE)

    assert answer.status_code == 200
    assert answer.json()["b"] == "two words"


@pytest.mark.parametrize(
    ("held", "token", "headers"),
    [
        (None, form_token(SECRET), {}),  # no cookie
        (SECRET, "", {}),  # no token
        (SECRET, SECRET, {}),  # the cookie itself is not the token
        (SECRET, form_token("t" * 43), {}),  # another browser's
        (SECRET, "\N{SNOWMAN}", {}),  # not even ASCII
        (SECRET, form_token(SECRET), {"origin": "https://evil.example"}),
        (SECRET, form_token(SECRET), {"origin": "null"}),
        (SECRET, form_token(SECRET), {"origin": "http://127.0.0.1:9999"}),  # another program on this machine
        (SECRET, form_token(SECRET), {"origin": "https://127.0.0.1:8400"}),
        (SECRET, form_token(SECRET), {"sec-fetch-site": "cross-site"}),
        (SECRET, form_token(SECRET), {"sec-fetch-site": "same-site"}),
    ],
)
def test_a_form_from_elsewhere_is_refused(held, token, headers):
    answer = browser(held=held).post("/echo", data={TOKEN_FIELD: token}, headers=headers)

    assert answer.status_code == 403
    assert "nothing was done" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{}", "application/json", 422),
        (b"--x--", "multipart/form-data; boundary=x", 403),  # a form without fields
        (b"--x", "multipart/form-data; boundary=y", 422),
        (b"--x--", "multipart/form-data", 422),
        (b"a=1", "", 422),
        (b"a=%ff", "application/x-www-form-urlencoded", 422),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 422),
        (urlencode([("f", "x")] * 101).encode(), "application/x-www-form-urlencoded", 422),
        (b"a=" + b"x" * forms.MAX_BYTES, "application/x-www-form-urlencoded", 413),
    ],
)
def test_rubbish_is_refused_with_what_is_wrong(content, media_type, status):
    answer = browser().post("/echo", content=content, headers={"content-type": media_type})

    assert answer.status_code == status
    assert answer.json()["detail"]


def test_a_field_is_trimmed_and_bounded():
    form = Form({"a": " x\r\ny ", "b": ""})

    assert form.text("a") == "x\ny"
    assert form.text("missing") == ""
    with pytest.raises(Invalid, match="empty"):
        form.text("b", required=True)
    with pytest.raises(Invalid, match="allowed"):
        form.text("a", limit=2)


def test_a_browser_keeps_its_secret_and_a_new_one_gets_one():
    assert browser().get("/secret").json() == [SECRET, False]
    secret, new = browser(held=None).get("/secret").json()
    assert new
    assert len(secret) == 43


@pytest.mark.parametrize(
    ("base", "starts", "secure"),
    [("https://assent.example", "__Host-assent_session=", True), (HERE, "assent_session_8400=", False)],
)
def test_cookies_are_guarded_by_their_name_and_flags(base, starts, secure):
    line = browser(base).get("/cookie").headers["set-cookie"]

    assert line.startswith(starts)
    assert "HttpOnly" in line
    assert "Path=/" in line
    assert "SameSite=lax" in line
    assert ("Secure" in line) is secure
    assert "Domain" not in line


def test_plain_http_from_elsewhere_gets_no_cookie():
    answer = browser("http://assent.example", held=None).get("/cookie")

    assert answer.status_code == 403
    assert "https" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/secret", "/missing"])
def test_every_answer_carries_the_security_headers(path):
    answer = browser().get(path)

    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert "strict-transport-security" not in answer.headers


def test_the_content_policy_allows_no_inline_code_and_no_evaluation():
    policy = SECURITY_HEADERS["Content-Security-Policy"]

    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_https_is_pinned_once_it_was_used():
    assert browser("https://assent.example").get("/secret").headers["strict-transport-security"]
