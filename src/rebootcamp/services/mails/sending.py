"""Sending what waits: at least once, one mail at a time, and never inside a transaction."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final

import structlog

from rebootcamp.config import Settings
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.turns import IsOver, never
from rebootcamp.integrations.mail import (
    Carrier,
    MailInterrupted,
    MailPostponed,
    MailRefused,
    MailUnavailable,
    Transport,
    transport_for,
)
from rebootcamp.services.mails import outbox
from rebootcamp.services.mails.letters import Letterhead, Pointless, compose, write
from rebootcamp.services.mails.outbox import WaitingMail

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 1.0
LONGEST_PAUSE: Final = 60.0


@dataclass(frozen=True)
class PostOffice:
    """By which way mails leave, and what stands above them."""

    transport: Transport
    head: Letterhead

    @classmethod
    def of(cls, settings: Settings) -> PostOffice | None:
        """Return the one that the settings name; None: mails wait."""
        route = settings.mail_route
        if route is None:
            return None
        return cls(transport_for(route), Letterhead(settings.mail_from, settings.public_url))


@dataclass
class Round:
    """What became of the mails that were due."""

    sent: int = 0
    skipped: int = 0
    postponed: int = 0
    dead: int = 0


def run_sender(office: PostOffice, stop: threading.Event) -> None:
    """Send until `stop` is set; an outage is waited out, with longer and longer pauses."""
    pause = POLL_SECONDS
    while not stop.is_set():
        try:
            done = send_due(office, stop.is_set)
            pause = POLL_SECONDS
            if any(vars(done).values()):
                log.info("mails.handled", **vars(done))
        except (MailUnavailable, MailInterrupted, DomainError) as error:
            detail = error.detail_in("en") if isinstance(error, DomainError) else str(error)
            log.warning("mails.waiting", reason=type(error).__name__, detail=detail, seconds=pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        except Exception:
            # The thread has nobody to tell: whatever goes wrong is logged, and mails must go on.
            log.exception("mails.failed", seconds=pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        stop.wait(pause)


def send_due(office: PostOffice, is_over: IsOver = never) -> Round:
    """Send what is due now over one connection.

    Raises `MailUnavailable` when nothing can be sent, `MailInterrupted` when the connection broke over one mail: all
    others are as they were.
    """
    done = Round()
    if not outbox.is_any_due():
        return done
    with office.transport.open() as carrier:
        while not is_over() and (mail := outbox.claim()) is not None:
            failpoint("mail.claimed")
            _send(office, carrier, mail, done)
    return done


def _send(office: PostOffice, carrier: Carrier, mail: WaitingMail, done: Round) -> None:
    if mail.attempts > outbox.MAX_ATTEMPTS:
        _bury(mail, "whoever had it in hand died each time", done)
        return
    written = _written(office, mail)
    if isinstance(written, Pointless):
        outbox.skip(mail, written.reason)
        done.skipped += 1
    elif isinstance(written, EmailMessage):
        _deliver(carrier, mail, written, done)
    else:
        _postpone(mail, written, done)


def _written(office: PostOffice, mail: WaitingMail) -> EmailMessage | Pointless | str:
    """Return the message, or that it is pointless, or why it could not be written: a defect, which others survive."""
    try:
        letter = compose(mail)
        return letter if isinstance(letter, Pointless) else write(mail, letter, office.head)
    except Exception as error:
        if isinstance(error, DomainError) and error.kind is Kind.UNAVAILABLE:
            # PostgreSQL is away; whoever takes the mail when the lease is over has more luck.
            raise
        log.exception("mails.unwritable", mail_id=mail.id, kind=mail.kind)
        return f"could not be written: {type(error).__name__}"


def _deliver(carrier: Carrier, mail: WaitingMail, message: EmailMessage, done: Round) -> None:
    try:
        carrier.deliver(message)
    except MailUnavailable:
        outbox.give_back(mail)
        raise
    except MailRefused as error:
        _bury(mail, str(error), done)
    except MailPostponed as error:
        _postpone(mail, str(error), done)
        if isinstance(error, MailInterrupted):
            raise
    else:
        failpoint("mail.sent")
        outbox.mark_sent(mail)
        done.sent += 1


def _bury(mail: WaitingMail, reason: str, done: Round) -> None:
    log.error("mails.refused", mail_id=mail.id, kind=mail.kind, reason=reason)
    outbox.bury(mail, reason)
    done.dead += 1


def _postpone(mail: WaitingMail, reason: str, done: Round) -> None:
    if outbox.postpone(mail, reason):
        done.postponed += 1
    else:
        log.error("mails.given_up", mail_id=mail.id, kind=mail.kind, reason=reason)
        done.dead += 1
