"""Writing a mail: what a domain has to say becomes text and HTML in the reader's language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from rebootcamp.core import clock
from rebootcamp.services.mails.outbox import WaitingMail

# One folder for each language, one template for each kind; the two layouts belong to all of them.
_TEMPLATES: Final = Environment(
    loader=PackageLoader("rebootcamp", "templates/mails"),
    autoescape=select_autoescape(["html"], default_for_string=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class _Policy(EmailPolicy):
    """Headers in short lines, but for the name of the mail: not every program finds one on a second line."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Return the header as it is sent."""
        if name.lower() == "message-id":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


_POLICY: Final = _Policy(linesep="\r\n")


@dataclass(frozen=True)
class Attachment:
    """A file of text that goes with a mail."""

    name: str
    subtype: str
    text: str


@dataclass(frozen=True)
class Letter:
    """What a mail says: values for its template, facts as label and value, where to read more."""

    values: Mapping[str, object]
    facts: Sequence[tuple[str, str]] = ()
    path: str = ""
    # Names what it belongs to, for people who sort their mails.
    topic: str = "service"
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class Pointless:
    """Why a mail need not be sent any more."""

    reason: str


Composer = Callable[[WaitingMail], Letter | Pointless]
_composers: dict[str, Composer] = {}


@dataclass(frozen=True)
class Letterhead:
    """Who writes, and where readers find the service."""

    sender: str
    public_url: str

    @property
    def address(self) -> Address:
        """Return the sender's name and address."""
        return _address(*parseaddr(self.sender))


def subscribe(composers: Mapping[str, Composer]) -> None:
    """Name who writes which kind of mail."""
    _composers.clear()
    _composers.update(composers)


def compose(mail: WaitingMail) -> Letter | Pointless:
    """Return what the mail says today."""
    if mail.is_erased:
        return Pointless("account_erased")
    if not mail.is_active:
        return Pointless("account_deactivated")
    return _composers[mail.kind](mail)


def write(mail: WaitingMail, letter: Letter, head: Letterhead) -> EmailMessage:
    """Return the message; the same mail has the same Message-ID each time."""
    values = {name: _one_line(value) if isinstance(value, str) else value for name, value in letter.values.items()}
    template = _TEMPLATES.get_template(f"{mail.language}/{mail.kind}.txt")
    context = template.new_context(values)
    subject, body = ("".join(template.blocks[name](context)) for name in ("subject", "body"))
    layout = {
        "language": mail.language,
        "subject": _one_line(subject),
        "name": _one_line(mail.display_name),
        "paragraphs": [_one_line(paragraph) for paragraph in body.split("\n\n") if paragraph.strip()],
        "facts": [(label, _one_line(value)) for label, value in letter.facts],
        "url": f"{head.public_url}{letter.path}" if letter.path else "",
        "home": head.public_url,
    }
    message = _addressed(mail, letter, head, layout["subject"])
    for subtype, file in (("plain", "letter.txt"), ("html", "letter.html")):
        text = _TEMPLATES.get_template(file).render(layout)
        # Every server can carry it, whatever it says of itself.
        add = message.set_content if subtype == "plain" else message.add_alternative
        add(text, subtype=subtype, charset="utf-8", cte="quoted-printable")
    for attached in letter.attachments:
        message.add_attachment(
            attached.text,
            subtype=attached.subtype,
            charset="utf-8",
            cte="base64",
            filename=attached.name,
        )
    # Last: what makes a message of parts moves such headers into the first one.
    message["Content-Language"] = mail.language
    return message


def _addressed(mail: WaitingMail, letter: Letter, head: Letterhead, subject: Any) -> EmailMessage:
    message, domain = EmailMessage(policy=_POLICY), head.address.domain
    message["From"] = head.address
    message["To"] = _address(_one_line(mail.display_name), mail.email)
    message["Subject"] = subject
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<mail.{mail.id}.{_moment(mail)}.{mail.store_id}@{domain}>"
    message["List-Id"] = f"<{letter.topic}.{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def _moment(mail: WaitingMail) -> int:
    """Return when the mail was queued: after a restore another one may have its number, and needs a name of its own."""
    return int(mail.created_at.timestamp() * 1000)


def _address(name: str, address: str) -> Address:
    user, _, domain = address.rpartition("@")
    return Address(name, user, domain if domain.isascii() else domain.encode("idna").decode())


def _one_line(text: str) -> str:
    """Return the text without line breaks and other control characters: nothing in it begins a header."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
