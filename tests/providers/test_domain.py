"""Which endpoints, references and calendars are taken, and which are refused."""

import contextlib
import json
from datetime import date
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.kernel.errors import Invalid
from assent.providers.domain import (
    Upstream,
    checked_base_model,
    checked_source,
    checked_upstream,
    looks_like_key,
    parse_calendar,
)

GOOD = "https://api.example.com/v1"


@pytest.mark.parametrize(
    "url",
    [
        GOOD,
        "http://127.0.0.1:8409/v1",
        "http://localhost:8000",
        "http://10.1.2.3/openai/v1",
        "http://192.168.0.7:1234/v1",
        "http://[::1]:8000/v1",
        "http://[fd12:3456::1]/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "https://vllm.models.svc.cluster.local/v1",
        "https://xn--mller-kva.example/v1",
        "http://host.0x.example/v1",
    ],
)
def test_public_private_and_loopback_endpoints_are_taken(url):
    assert checked_upstream(Upstream(base_url=url)).base_url == url


def test_a_slash_at_the_end_says_nothing():
    assert checked_upstream(Upstream(base_url=f"{GOOD}//")).base_url == GOOD


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.0.1",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "metadata.google.internal",
        "METADATA.google.internal.",
        "metadata",
        "2852039166",
        "0xa9fea9fe",
        "0xa9.0xfe.0xa9.0xfe",
        "0251.0376.0251.0376",
        "169.254.43518",
        "169.254.169.254.",
        "0.0.0.0",
        "[::]",
        "255.255.255.255",
        "224.0.0.1",
        "[ff02::1]",
    ],
)
def test_where_no_model_lives_but_credentials_do_is_refused_in_every_spelling(host):
    for port in ("", ":80"):
        with pytest.raises(Invalid, match="The base URL"):
            checked_upstream(Upstream(base_url=f"http://{host}{port}/latest"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/v1",
        "ftp://api.example.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://",
        "http:///v1",
        "http://:80/v1",
        "https://user@api.example.com",
        "https://:hunter2@api.example.com",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/v1?",
        "https://api.example.com/v1#a",
        "https://api.example.com/v1 ",
        "https://api.example.com/\r\nx: y",
        "https://api.example.com\\@169.254.169.254/",
        "https://müller.example/v1",
        "https://api.example.com:0/v1",
        "https://api.example.com:99999/v1",
        "https://api.example.com:http/v1",
        "http://[::1/v1",
        "https://api.example.com/" + "a" * 2048,
    ],
)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(Invalid, match="The base URL") as refusal:
        checked_upstream(Upstream(base_url=url))
    assert "hunter2" not in str(refusal.value)


@given(st.text(max_size=60).map("http://".__add__) | st.text(max_size=60))
def test_any_text_is_taken_or_refused_with_our_words(url):
    with contextlib.suppress(Invalid):
        taken = checked_upstream(Upstream(base_url=url)).base_url
        assert urlsplit(taken).scheme in {"http", "https"}
        assert urlsplit(taken).hostname


@pytest.mark.parametrize(
    "reference",
    [
        None,
        "env:OPENAI_API_KEY",
        "env:K",
        "env:openai_key_2",
        "file:/run/secrets/key",
        "file:/etc/my keys/a.txt",
    ],
)
def test_a_key_is_named_by_a_variable_or_a_file(reference):
    assert checked_upstream(Upstream(base_url=GOOD, api_key=reference)).api_key == reference


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "sk-proj-abcDEF123",
        "hunter2",
        "env:",
        "env:sk-abc123",
        "env:sk_live_51HxyzABC",
        "env:AIzaSyD3adbeef",
        "env:q7Rt9LmN2xVb4KpW8sZc1YdF",
        "env:1A",
        "env:A B",
        "file:key",
        "file:~/key",
        "file:/secrets/sk-proj-abc123",
        "file:/a\nb",
        "ENV:A",
        "vault:secret/key",
    ],
)
def test_a_key_itself_is_refused_and_never_repeated(reference):
    with pytest.raises(Invalid, match="key") as refusal:
        checked_upstream(Upstream(base_url=GOOD, api_key=reference))
    secret = reference.partition(":")[2] if ":" in reference else reference
    told = json.dumps(refusal.value.to_wire("req_1"))
    assert len(secret) < len("key1") or secret not in told


def test_names_of_keys_do_not_look_like_keys():
    for name in (
        "OPENAI_API_KEY",
        "key",
        "MY_COMPANY_PRODUCTION_OPENAI_KEY_EU_WEST_2",
        "key.v2.production.Main.txt",
    ):
        assert not looks_like_key(name)


def test_every_mistake_is_told_at_once():
    with pytest.raises(Invalid) as refusal:
        checked_upstream(
            Upstream(base_url="x", kind="soap", api_key="sk-1", connect_timeout_s=0, idle_timeout_s=4000)
        )
    assert [reason.id for reason in refusal.value.reasons] == [
        "base_url", "api_key", "connect_timeout_s", "idle_timeout_s", "kind",
    ]  # fmt: skip


def test_only_azure_names_the_version_of_its_api_in_the_address():
    url = "https://acme.openai.azure.com/openai?api-version=2024-10-21"
    assert checked_upstream(Upstream(base_url=url, kind="azure")).base_url == url
    for kind, odd in (("openai", url), ("azure", url + "&key=1"), ("azure", url.replace("2024", "x"))):
        with pytest.raises(Invalid, match="query"):
            checked_upstream(Upstream(base_url=odd, kind=kind))


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3600.5, float("nan"), float("inf")])
def test_a_timeout_is_a_positive_number_of_seconds(seconds):
    with pytest.raises(Invalid, match="first_token_timeout_s must be"):
        checked_upstream(Upstream(base_url=GOOD, first_token_timeout_s=seconds))


def test_timeouts_are_kept_to_the_millisecond():
    assert checked_upstream(Upstream(base_url=GOOD, connect_timeout_s=0.0123)).connect_timeout_s == 0.012


@pytest.mark.parametrize("name", ["", " gpt", "a b", "-x", "gpt\n", "a" * 201, "größe"])
def test_a_base_models_name_is_plain(name):
    with pytest.raises(Invalid, match="name of a base model"):
        checked_base_model(name)


@pytest.mark.parametrize(
    "source", ["", "their blog", "ftp://a.example", "https://", "http://[::1", "https://a b"]
)
def test_a_source_is_the_address_of_a_page(source):
    with pytest.raises(Invalid, match="address of a page"):
        checked_source(source)


def a_calendar(**changes):
    end = {"base_model": "m-1", "announced": "2026-01-01", "shut_down": "2026-06-01"}
    provider = {"name": "acme", "source": "https://acme.example/ends", "as_of": "2026-02-01", "ends": [end]}
    return {"providers": [provider | changes]}


def test_a_base_model_is_found_by_its_name_and_beside_its_provider():
    calendar = parse_calendar(a_calendar())
    for name in ("m-1", "acme/m-1"):
        end = calendar.find(name)
        assert (end.ends_on, end.as_of) == (date(2026, 6, 1), date(2026, 2, 1))
        assert (end.source, end.announced_on) == ("https://acme.example/ends", date(2026, 1, 1))
    assert calendar.find("other/m-1") is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"providers": 1},
        {"providers": ["x"]},
        a_calendar(as_of="soon"),
        a_calendar(ends=[{"base_model": "m"}]),
        a_calendar(source="a page"),
    ],
)
def test_a_calendar_that_is_none_is_refused(document):
    with pytest.raises(Invalid):
        parse_calendar(document)


def test_a_calendar_names_a_model_once():
    twice = a_calendar()["providers"][0]["ends"] * 2
    with pytest.raises(Invalid, match="m-1 twice"):
        parse_calendar(a_calendar(ends=twice))
