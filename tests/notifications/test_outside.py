"""Where outgoing calls may lead, and what receivers can do to them."""

import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from assent.kernel.clock import FakeClock
from assent.kernel.errors import Invalid
from assent.kernel.settings import load
from assent.notifications.service.outside import Outside, post, resolve
from tests.notifications.conftest import Answer, receiving

HEADERS = {"content-type": "application/json"}


def made(tmp_path, *, addresses=None, **settings):
    asked = []

    def named(host, port):
        asked.append(host)
        return addresses or resolve(host, port)

    found = Outside(load(data_dir=tmp_path, **settings), b"s" * 32, FakeClock(), resolve=named)
    return found, asked


@pytest.fixture
def local(tmp_path):
    return made(tmp_path, hook_http=True, hook_allow=("127.0.0.1/32",))[0]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("127.8.9.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("fd12:3456::1", "private"),
        ("100.64.0.1", "reserved"),
        ("198.18.0.1", "private"),
        ("192.0.2.1", "private"),
        ("240.0.0.1", "private"),
        ("2001:db8::1", "private"),
        ("::7f00:1", "reserved"),
        ("fec0::1", "private"),
        ("64:ff9b::a00:1", "private"),
        ("2002:a00:1::1", "private"),
        ("169.254.169.254", "metadata"),
        ("::ffff:169.254.169.254", "metadata"),
        ("64:ff9b::a9fe:a9fe", "metadata"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fd00:ec2::254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("168.63.129.16", "metadata"),
        ("224.0.0.1", "no host"),
        ("ff02::1", "no host"),
        ("0.0.0.0", "no host"),
        ("::", "no host"),
        ("255.255.255.255", "no host"),
    ],
)
def test_no_webhook_leads_to_an_address_that_is_not_public(tmp_path, address, kind):
    outside, _ = made(tmp_path, addresses=[address])

    with pytest.raises(Invalid, match=kind):
        outside.judge("https://hooks.example.com/x")
    outcome = post(outside, "https://hooks.example.com/x", b"{}", HEADERS)

    assert not outcome.ok
    assert kind in outcome.error


def test_one_bad_address_among_good_ones_is_enough(tmp_path):
    outside, _ = made(tmp_path, addresses=["93.184.215.14", "10.0.0.1"])
    with pytest.raises(Invalid, match=r"10\.0\.0\.1"):
        outside.judge("https://hooks.example.com/x")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_are_fine(tmp_path, address):
    outside, _ = made(tmp_path, addresses=[address])
    assert outside.judge("https://hooks.example.com:8443/x?key=1") == "https://hooks.example.com:8443"


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "224.0.0.1", "0.0.0.0"])
def test_what_hands_out_credentials_is_never_allowed(tmp_path, address):
    outside, _ = made(tmp_path, addresses=[address], hook_allow=("0.0.0.0/0", "::/0", "hooks.example.com"))
    with pytest.raises(Invalid) as refusal:
        outside.judge("https://hooks.example.com/x")
    assert refusal.value.remedy is None


@pytest.mark.parametrize("allowed", ["hooks.corp.example", "Hooks.Corp.Example.", "10.0.0.0/8", "10.1.2.3"])
def test_an_operator_allows_a_host_or_a_network(tmp_path, allowed):
    outside, _ = made(tmp_path, addresses=["10.1.2.3"], hook_allow=(allowed,))
    assert outside.judge("https://hooks.corp.example/x") == "https://hooks.corp.example"
    with pytest.raises(Invalid):
        made(tmp_path, addresses=["192.168.0.1"], hook_allow=("10.0.0.0/8", "other.example", "fd00::/8"))[
            0
        ].judge("https://hooks.corp.example/x")


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "not a host", "", "0x7f000001", "a..b"])
def test_an_allow_list_that_is_not_one_stops_the_start(tmp_path, entry):
    with pytest.raises(Invalid, match="ASSENT_HOOK_ALLOW"):
        load(data_dir=tmp_path, hook_allow=(entry,))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://hooks.example.com/x", "plain http"),
        ("ftp://hooks.example.com/x", "https://"),
        ("https://user:pw@hooks.example.com/x", "name or password"),
        ("https://@hooks.example.com/x", "name or password"),
        ("https://hooks.example.com/x#part", "fragment"),
        ("https:///x", "no host"),
        ("https://hooks.example.com:0/x", "no host"),
        ("https://hooks.example.com:99999/x", "cannot be read"),
        ("https://hooks.example.com/a b", "visible"),
        ("https://hooks.example.com/\r\nx: y", "visible"),
        ("https://hooks.example.com\\@evil.example/", "visible"),
        ("https://2130706433/x", "unusual"),
        ("https://0x7f.1/x", "unusual"),
        ("https://127.1/x", "unusual"),
        ("https://0127.0.0.1/x", "unusual"),
        ("https://metadata.google.internal/x", "credentials"),
        ("https://METADATA.google.internal./x", "credentials"),
        ("https://" + "a" * 2100, "visible"),
        ("nonsense", "https://"),
    ],
)
def test_a_url_that_is_no_webhook_is_refused_without_being_repeated(tmp_path, url, words):
    outside, asked = made(tmp_path, addresses=["93.184.215.14"])
    with pytest.raises(Invalid, match=words) as refusal:
        outside.judge(url)
    assert refusal.value.remedy
    assert url not in refusal.value.message
    assert asked == []


def test_a_host_that_cannot_be_resolved_is_said(tmp_path):
    def nothing(host, port):
        raise OSError("no such name")

    outside = Outside(load(data_dir=tmp_path), b"", FakeClock(), resolve=nothing)
    with pytest.raises(Invalid, match="cannot be resolved"):
        outside.judge("https://hooks.example.com/x")
    with pytest.raises(Invalid, match="no address"):
        replace(outside, resolve=lambda host, port: []).judge("https://hooks.example.com/x")
    assert "cannot be resolved" in post(outside, "https://hooks.example.com/x", b"", HEADERS).error


def test_the_connection_goes_to_the_address_that_was_judged_and_the_name_is_asked_once(tmp_path, receiver):
    """A name server that answers otherwise the second time (DNS rebinding) is not asked a second time."""
    outside, asked = made(tmp_path, addresses=["127.0.0.1"], hook_http=True, hook_allow=("127.0.0.1",))

    outcome = post(outside, f"http://hooks.example.com:{receiver.port}/x", b"{}", HEADERS)

    assert outcome.ok
    assert asked == ["hooks.example.com"]
    assert receiver.got[0].headers["host"] == f"hooks.example.com:{receiver.port}"


def test_the_next_address_is_tried_where_one_does_not_answer(tmp_path, receiver):
    outside, _ = made(
        tmp_path, addresses=["::1", "127.0.0.1"], hook_http=True, hook_allow=("127.0.0.0/8", "::1")
    )
    assert post(outside, f"http://hooks.example.com:{receiver.port}/x", b"{}", HEADERS).ok


def test_redirects_are_not_followed(local, receiver):
    with receiving() as elsewhere:
        receiver.answers = [Answer(307, {"location": elsewhere.url})]
        outcome = post(local, receiver.url, b"{}", HEADERS)
        assert elsewhere.got == []
    assert (outcome.ok, outcome.status) == (False, 307)
    assert "redirects are not followed" in outcome.error
    assert not outcome.is_down


def test_a_receiver_that_hangs_costs_the_time_out_and_no_more(local, receiver):
    receiver.answers = [Answer(wait_s=30)]
    began = time.monotonic()
    outcome = post(replace(local, timeout_s=0.3), receiver.url, b"{}", HEADERS)
    assert time.monotonic() - began < 3
    assert outcome.is_down
    assert outcome.status is None
    assert "did not answer" in outcome.error


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 50, b"H"])
def test_a_receiver_that_drips_bytes_cannot_stretch_the_time_out(local, receiver, drip):
    receiver.answers = [Answer(raw=drip, drip_s=0.02)]
    began = time.monotonic()
    outcome = post(replace(local, timeout_s=0.4), receiver.url, b"{}", HEADERS)
    assert time.monotonic() - began < 2
    assert outcome.status is None
    assert "did not answer" in outcome.error


def test_a_huge_body_is_not_read(local, receiver):
    receiver.answers = [Answer(200, {}, b"y" * 20_000_000)]
    outcome = post(local, receiver.url, b"{}", HEADERS)
    assert outcome.ok
    assert outcome.answer == "y" * 500


def test_endless_headers_are_not_read(local, receiver):
    receiver.answers = [Answer(raw=b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200_000)]
    outcome = post(local, receiver.url, b"{}", HEADERS)
    assert not outcome.ok
    assert outcome.status is None


def test_what_is_not_http_is_an_error_that_says_so(local, receiver):
    receiver.answers = [Answer(raw=b"220 mail ready\r\n")]
    outcome = post(local, receiver.url, b"{}", HEADERS)
    assert "not HTTP" in outcome.error


def test_a_body_that_breaks_off_after_the_status_is_an_answer(local, receiver):
    receiver.answers = [Answer(raw=b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")]
    outcome = post(local, receiver.url, b"{}", HEADERS)
    assert (outcome.ok, outcome.answer) == (True, "short")


def test_nobody_listening_is_said(local):
    with receiving() as gone:
        url = gone.url
    outcome = post(local, url, b"{}", HEADERS)
    assert outcome.is_down
    assert "did not answer" in outcome.error


def test_over_the_time_before_connecting_is_a_failure_too(local, receiver):
    assert not post(replace(local, timeout_s=-1.0), receiver.url, b"{}", HEADERS).ok


def test_https_verifies_the_certificate_against_the_host_name(tmp_path, certificate):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    outside, _ = made(tmp_path, addresses=["127.0.0.1"], hook_allow=("127.0.0.1",))
    with receiving(server) as receiver:
        url = f"https://localhost:{receiver.port}/x"
        assert not post(outside, url, b"{}", HEADERS).ok
        outside = replace(outside, trust=lambda: trusting)
        assert not post(outside, f"https://other.example:{receiver.port}/x", b"{}", HEADERS).ok
        assert receiver.got == []
        assert post(outside, url, b"{}", HEADERS).ok


def test_proxies_of_the_environment_are_not_used(local, receiver, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert post(local, receiver.url, b"{}", HEADERS).ok


def test_retry_after_is_read_as_seconds_or_as_a_date(local, receiver):
    later = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    receiver.answers = [
        Answer(503, {"Retry-After": "7"}),
        Answer(503, {"Retry-After": later}),
        Answer(200, {"Retry-After": "9"}),
    ]
    found = [post(local, receiver.url, b"{}", HEADERS).retry_after_s for _ in range(3)]
    assert found == [7.0, 90.0, None]
