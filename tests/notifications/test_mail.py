"""E-mail through a real SMTP server on the loopback."""

import asyncio
import ssl
import threading
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.smtp import SMTP, AuthResult

from assent.kernel.errors import Invalid
from assent.kernel.settings import load
from assent.notifications import service
from assent.notifications.domain.subscriptions import Channel
from assent.notifications.service.mailing import letter, mail
from tests.notifications.conftest import PROJECT, office_in


class Post:
    """Keeps letters; refuses the addresses in `unknown`, and everything where `down`."""

    def __init__(self):
        self.letters, self.unknown, self.down = [], set(), ""

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 -- the library's name
        if address in self.unknown:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- the library's name
        if self.down:
            return self.down
        said = message_from_bytes(envelope.content, policy=default)
        self.letters.append(
            (
                envelope.mail_from,
                list(envelope.rcpt_tos),
                said,
                session.ssl is not None,
                session.authenticated,
            )
        )
        return "250 taken"


@contextmanager
def serving(post, tls=None, **options):
    """Serve in a thread of its own; gives the port."""
    loop = asyncio.new_event_loop()
    ready, ports = threading.Event(), []

    def run():
        asyncio.set_event_loop(loop)
        made = loop.create_server(
            lambda: SMTP(post, hostname="mail.example", loop=loop, **options), "127.0.0.1", 0, ssl=tls
        )
        server = loop.run_until_complete(made)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


@pytest.fixture
def post():
    return Post()


@pytest.fixture
def office(tmp_path, post):
    plain = {"smtp_host": "127.0.0.1", "smtp_security": "none", "smtp_from": "assent@example.com"}
    with serving(post) as port, office_in(tmp_path, smtp_port=port, **plain) as found:
        yield found


def subscribed(office, *emails):
    office.hook(None, channel=Channel.EMAIL, emails=emails or ("ada@example.com", "bo@example.org"))
    office.happen("risk")
    office.tick()
    (delivery,) = office.deliveries()
    return delivery


def test_an_event_arrives_as_plain_text_with_a_link_back(office, post):
    delivery = subscribed(office)

    ((sender, recipients, said, _, _),) = post.letters
    assert sender == "assent@example.com"
    assert recipients == ["ada@example.com", "bo@example.org"]
    assert said["subject"] == "[Assent shop] group created: risk"
    assert said["auto-submitted"] == "auto-generated"
    assert said["message-id"] == f"<{delivery.id}@example.com>"
    assert said.get_content_type() == "text/plain"
    assert f"https://assent.example/projects/shop/ledger?before={delivery.leaf + 1}" in said.get_content()
    assert (delivery.state, delivery.status, delivery.error) == ("delivered", 250, None)


def test_a_test_is_sent_by_e_mail_too(office, post):
    subscribed(office)
    _, outcome = service.send_test(office.runtime, PROJECT, "oncall")
    assert outcome.ok
    assert post.letters[-1][2]["subject"] == "[Assent shop] test of the subscription oncall"


def test_one_address_that_is_refused_does_not_cost_the_others_theirs(office, post):
    post.unknown = {"ada@example.com"}
    delivery = subscribed(office)
    assert (delivery.state, delivery.error) == ("delivered", "1 of 2 addresses were refused.")
    assert post.letters[0][1] == ["bo@example.org"]


def test_where_every_address_is_refused_it_is_tried_again(office, post):
    post.unknown = {"ada@example.com"}
    delivery = subscribed(office, "ada@example.com")
    assert (delivery.state, delivery.status) == ("pending", 550)
    assert "ada@" not in delivery.error
    post.unknown = set()
    office.pass_time(7)
    office.tick()
    assert len(post.letters) == 1


def test_a_server_that_will_not_is_tried_again(office, post):
    post.down = "451 try later"
    delivery = subscribed(office)
    assert (delivery.state, delivery.status, delivery.error) == (
        "pending",
        451,
        "The mail server answered 451.",
    )


def test_a_server_that_is_not_there_is_said(tmp_path):
    with office_in(
        tmp_path, smtp_host="127.0.0.1", smtp_port=1, smtp_security="none", smtp_from="assent@example.com"
    ) as office:
        delivery = subscribed(office)
        assert delivery.state == "pending"
        assert "cannot be used" in delivery.error


def test_where_e_mail_was_switched_off_later_it_is_said(tmp_path):
    with office_in(tmp_path) as office:
        assert "sends no e-mail" in mail(office.outside, ("ada@example.com",), "msg_1", "s", "t").error


def test_no_header_can_be_injected(office):
    hostile = ("ada@example.com\r\nBcc: eve@example.com",)
    with pytest.raises(ValueError, match="linefeed"):
        letter(office.outside, hostile, "msg_1", "s", "t")
    with pytest.raises(ValueError, match="linefeed"):
        letter(office.outside, ("ada@example.com",), "msg_1", "s\nBcc: eve@example.com", "t")
    with pytest.raises(Invalid):
        office.hook(None, channel=Channel.EMAIL, emails=hostile)
    with pytest.raises(Invalid, match="ASSENT_SMTP_FROM"):
        load(data_dir=office.runtime.settings.data_dir, smtp_from="a@b.example\nBcc: eve@example.com")


@pytest.mark.filterwarnings("ignore::UserWarning:aiosmtpd")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_the_password_travels_by_tls_only_and_comes_by_reference(tmp_path, post, certificate, security):
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    (tmp_path / "password").write_text("correct horse\n")

    def check(server, session, envelope, mechanism, said):
        is_right = (said.login, said.password) == (b"assent", b"correct horse")
        return AuthResult(success=is_right, handled=False)

    options = {"authenticator": check, "auth_required": True, "auth_require_tls": security == "starttls"}
    if security == "starttls":
        options |= {"tls_context": server, "require_starttls": True}
    said = {
        "smtp_host": "localhost",
        "smtp_security": security,
        "smtp_from": "assent@example.com",
        "smtp_user": "assent",
    }
    with (
        serving(post, server if security == "tls" else None, **options) as port,
        office_in(tmp_path, smtp_port=port, smtp_password=f"file:{tmp_path}/password", **said) as office,
    ):
        good = replace(office.outside, trust=lambda: trusting)
        assert mail(good, ("ada@example.com",), "msg_1", "s", "t").ok
        assert not mail(office.outside, ("ada@example.com",), "msg_1", "s", "t").ok  # nobody vouches for it
        (tmp_path / "password").write_text("wrong")
        wrong = mail(good, ("ada@example.com",), "msg_1", "s", "t")
        assert (wrong.ok, wrong.status) == (False, 535)
        (tmp_path / "password").unlink()
        assert "cannot be read" in mail(good, ("ada@example.com",), "msg_1", "s", "t").error
    ((_, _, _, was_secured, was_known),) = post.letters
    assert was_known
    assert was_secured or security == "tls"


def test_a_server_without_tls_gets_no_letter_where_tls_is_asked_for(tmp_path, post):
    said = {"smtp_host": "127.0.0.1", "smtp_from": "assent@example.com"}
    with serving(post) as port, office_in(tmp_path, smtp_port=port, **said) as office:
        assert subscribed(office).state == "pending"
    assert post.letters == []
