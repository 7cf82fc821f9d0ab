"""Mails: queued in the transaction of what they tell, sent afterwards. Domains say what; nothing here knows them."""

from __future__ import annotations

from rebootcamp.services.mails.letters import (
    Attachment,
    Composer,
    Letter,
    Letterhead,
    Pointless,
    compose,
    subscribe,
    write,
)
from rebootcamp.services.mails.outbox import (
    Backlog,
    NewMail,
    WaitingMail,
    backlog,
    forget_mails,
    queue_mail,
    queue_selected,
    queueing,
    redrive,
)
from rebootcamp.services.mails.sending import PostOffice, Round, run_sender, send_due
from rebootcamp.services.mails.times import spoken_instant, spoken_span

__all__ = [
    "Attachment",
    "Backlog",
    "Composer",
    "Letter",
    "Letterhead",
    "NewMail",
    "Pointless",
    "PostOffice",
    "Round",
    "WaitingMail",
    "backlog",
    "compose",
    "forget_mails",
    "queue_mail",
    "queue_selected",
    "queueing",
    "redrive",
    "run_sender",
    "send_due",
    "spoken_instant",
    "spoken_span",
    "subscribe",
    "write",
]
