"""Reading the folder in which mails are left where nobody is written to."""

from __future__ import annotations

import email
import mailbox
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import default
from pathlib import Path
from typing import Any

_MOMENT = re.compile(r"(\d+)\.M(\d+)")


@dataclass(frozen=True)
class LeftMail:
    """One mail in the folder, by its headers."""

    key: str
    recipient: str
    subject: str
    date: str


@dataclass(frozen=True)
class LeftMails:
    """The newest mails in the folder, and how many there are."""

    newest: Sequence[LeftMail]
    total: int


def list_left_mails(folder: Path, limit: int) -> LeftMails:
    """Return the newest mails first; none when there is no folder yet."""
    box = _box(folder)
    if box is None:
        return LeftMails((), 0)
    keys = sorted(box.keys(), key=_moment, reverse=True)
    found = ((key, _bytes(box, key)) for key in keys[:limit])
    return LeftMails([_described(key, content) for key, content in found if content is not None], len(keys))


def find_left_mail(folder: Path, key: str) -> EmailMessage | None:
    """Return one mail; a key is only looked up among those of the folder."""
    box = _box(folder)
    content = None if box is None else _bytes(box, key)
    return None if content is None else email.message_from_bytes(content, _class=EmailMessage, policy=default)


def _box(folder: Path) -> mailbox.Maildir | None:
    try:
        return mailbox.Maildir(folder, create=False)
    except mailbox.NoSuchMailboxError:
        return None


def _bytes(box: mailbox.Maildir, key: str) -> bytes | None:
    try:
        return box.get_bytes(key)
    except (KeyError, FileNotFoundError):
        # Somebody emptied the folder meanwhile.
        return None


def _described(key: str, content: bytes) -> LeftMail:
    headers: Any = BytesHeaderParser(policy=default).parsebytes(content)
    return LeftMail(key, *(str(headers[name] or "") for name in ("To", "Subject", "Date")))


def _moment(key: str) -> tuple[int, ...]:
    """Return when a mail came: Python's keys begin with seconds and microseconds."""
    found = _MOMENT.match(key)
    return tuple(int(number) for number in found.groups()) if found else (0, 0)
