"""Carrying mails out: over SMTP, or into a folder where people can look at them."""

from __future__ import annotations

import mailbox
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from email.message import EmailMessage
from typing import Final, Protocol

from rebootcamp.config import PLAIN, TLS, MailFolder, MailServer

# For each answer of the server, so that one which hangs is found out well within a mail's lease.
TIMEOUT: Final = 10.0
LONGEST_REASON: Final = 300
_CLOSING, _TOO_LARGE = 421, 552
_ADDRESS: Final = re.compile(r"[^\s<>\"']+@[^\s<>\"']+")


class MailUnavailable(Exception):
    """No mail can be sent now, whichever it is: no server, no TLS, no login."""


class MailRefused(Exception):
    """This mail will never be taken."""


class MailPostponed(Exception):
    """This mail is not taken now."""


class MailInterrupted(MailPostponed):
    """The connection broke over this mail: whether it arrived is not known, and the next one needs another."""


class Carrier(Protocol):
    """An open way out."""

    def deliver(self, message: EmailMessage) -> None:
        """Send one mail; raise `MailRefused`, `MailPostponed`, `MailInterrupted` or `MailUnavailable`."""


class Transport(Protocol):
    """A way out."""

    def open(self) -> AbstractContextManager[Carrier]:
        """Connect for the length of the block; raise `MailUnavailable`."""


def transport_for(route: MailServer | MailFolder) -> Transport:
    """Return the way out that the settings name."""
    return SmtpTransport(route) if isinstance(route, MailServer) else MaildirTransport(route)


class SmtpTransport:
    """An SMTP server; its certificate is verified, and nothing is told to it before that."""

    def __init__(self, server: MailServer, timeout: float = TIMEOUT) -> None:
        self._server, self._timeout = server, timeout

    @contextmanager
    def open(self) -> Iterator[Carrier]:
        """Connect and sign in for the length of the block; raise `MailUnavailable`."""
        smtp = self._connect()
        try:
            yield _SmtpConnection(smtp)
        finally:
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
            smtp.close()

    def _connect(self) -> smtplib.SMTP:
        server, timeout = self._server, self._timeout
        try:
            if server.security == PLAIN:
                return self._signed_in(smtplib.SMTP(server.host, server.port, timeout=timeout))
            context = ssl.create_default_context(cafile=server.ca_file)
            if server.security == TLS:
                return self._signed_in(smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context))
            return self._signed_in(smtplib.SMTP(server.host, server.port, timeout=timeout), context)
        # A ValueError: smtplib sends credentials in ASCII only.
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailUnavailable(_told(error)) from error

    def _signed_in(self, smtp: smtplib.SMTP, context: ssl.SSLContext | None = None) -> smtplib.SMTP:
        try:
            if context is not None:
                smtp.starttls(context=context)
            if self._server.user:
                smtp.login(self._server.user, self._server.password)
        except BaseException:
            smtp.close()
            raise
        return smtp


class _SmtpConnection:
    def __init__(self, smtp: smtplib.SMTP) -> None:
        self._smtp = smtp

    def deliver(self, message: EmailMessage) -> None:
        sender, recipient = (message[name].addresses[0].addr_spec for name in ("From", "To"))
        try:
            self._smtp.send_message(message, sender, [recipient])
        except smtplib.SMTPSenderRefused as error:
            # Whoever may not send this one may send none, unless it is too large.
            kind = MailRefused if error.smtp_code == _TOO_LARGE else MailUnavailable
            raise kind(_told(error)) from error
        except smtplib.SMTPRecipientsRefused as error:
            raise _judged(smtplib.SMTPResponseException(*error.recipients[recipient])) from error
        except smtplib.SMTPResponseException as error:
            raise _judged(error) from error
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefused(_told(error)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailInterrupted(_told(error)) from error


class MaildirTransport:
    """A folder in the format Maildir: nobody is written to."""

    def __init__(self, folder: MailFolder) -> None:
        self._path = folder.path

    @contextmanager
    def open(self) -> Iterator[Carrier]:
        """Open the folder, made anew where it is missing; raise `MailUnavailable`."""
        with _usable():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            box = mailbox.Maildir(self._path, create=True)
        yield _Folder(box)


class _Folder:
    def __init__(self, box: mailbox.Maildir) -> None:
        self._box = box

    def deliver(self, message: EmailMessage) -> None:
        with _usable():
            self._box.add(message.as_bytes())


@contextmanager
def _usable() -> Iterator[None]:
    """Tell what a disk refuses, whichever mail it is."""
    try:
        yield
    except OSError as error:
        raise MailUnavailable(_told(error)) from error


def _judged(error: smtplib.SMTPResponseException) -> Exception:
    """Return what a server's answer to one mail means."""
    if error.smtp_code == _CLOSING:
        return MailUnavailable(_told(error))
    return MailRefused(_told(error)) if error.smtp_code >= 500 else MailPostponed(_told(error))


def _told(error: Exception) -> str:
    """Return what to keep of a failure, in one line: never an address, which servers like to repeat."""
    text = str(error)
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    printable = "".join(char if char.isprintable() else " " for char in text)
    return _ADDRESS.sub("(address)", " ".join(printable.split()))[:LONGEST_REASON] or type(error).__name__
