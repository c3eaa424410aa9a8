"""E-mail by the operator's SMTP server."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from assent.kernel.errors import Invalid
from assent.kernel.references import read_reference
from assent.notifications.domain.retries import Outcome
from assent.notifications.service.outside import Outside

ACCEPTED = 250


def expect_mail(outside: Outside) -> None:
    """Refuse e-mail where no server for it is set. Raises: Invalid."""
    if not (outside.settings.smtp_host and outside.settings.smtp_from):
        raise Invalid(
            "This installation sends no e-mail.",
            remedy="An operator sets ASSENT_SMTP_HOST and ASSENT_SMTP_FROM.",
        )


def mail(outside: Outside, addresses: Sequence[str], id_: str, subject: str, text: str) -> Outcome:
    """Send one e-mail to all addresses; whatever goes wrong is an outcome, never an exception."""
    began = time.monotonic()
    try:
        expect_mail(outside)
        refused = _send(outside, addresses, letter(outside, addresses, id_, subject, text))
    except Invalid as error:
        return Outcome(ok=False, error=error.message)
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        return _ended(began, code, f"The mail server refused every address: {code}.")
    except smtplib.SMTPResponseException as error:
        return _ended(began, error.smtp_code, f"The mail server answered {error.smtp_code}.")
    except (smtplib.SMTPException, OSError) as error:
        return _ended(began, None, f"The mail server cannot be used: {str(error)[:200].rstrip('.')}.")
    note = f"{refused} of {len(addresses)} addresses were refused." if refused else None
    return Outcome(ok=True, status=ACCEPTED, error=note, duration_s=time.monotonic() - began)


def _ended(began: float, status: int | None, error: str) -> Outcome:
    return Outcome(ok=False, status=status, error=error, duration_s=time.monotonic() - began)


def letter(outside: Outside, addresses: Sequence[str], id_: str, subject: str, text: str) -> EmailMessage:
    """Write the message. A header with a line break in it is refused by the library. Raises: ValueError."""
    sender = outside.settings.smtp_from
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = ", ".join(addresses)
    message["Subject"] = subject
    message["Date"] = format_datetime(outside.clock.now())
    message["Message-ID"] = f"<{id_}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content(text)
    return message


def _send(outside: Outside, addresses: Sequence[str], message: EmailMessage) -> int:
    """Hand a message over; gives how many of the addresses were refused."""
    settings = outside.settings
    context: ssl.SSLContext = outside.trust()
    server = _connected(outside, context)
    with server:
        if settings.smtp_security == "starttls":
            server.starttls(context=context)
        if settings.smtp_user:
            again = "Set ASSENT_SMTP_PASSWORD to one of these."
            server.login(
                settings.smtp_user, read_reference(settings.smtp_password, again, "server and worker")
            )
        return len(server.send_message(message, settings.smtp_from, list(addresses)))


def _connected(outside: Outside, context: ssl.SSLContext) -> smtplib.SMTP:
    settings = outside.settings
    if settings.smtp_security == "tls":
        return smtplib.SMTP_SSL(
            settings.smtp_host, settings.smtp_port, timeout=outside.timeout_s, context=context
        )
    return smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=outside.timeout_s)
