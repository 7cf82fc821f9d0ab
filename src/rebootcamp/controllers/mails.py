"""The local page of mails that were left in a folder instead of being sent: for development, never in production."""

from __future__ import annotations

from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Response, abort, render_template, send_file

from rebootcamp.config import MailFolder, Settings
from rebootcamp.integrations.maildir import find_left_mail, list_left_mails
from rebootcamp.web.languages import current_language
from rebootcamp.web.policies import public
from rebootcamp.web.requests import CONTENT_POLICY, NO_STORE

SHOWN: Final = 200
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
# What a mail holds is a stranger's: it runs nothing, fetches nothing, and is nobody's origin.
MAIL_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


def mail_pages(settings: Settings) -> Blueprint | None:
    """Return the pages where mails are left in a folder; None where they are sent, or in production."""
    route = settings.mail_route
    if settings.is_production or not isinstance(route, MailFolder):
        return None
    return _pages(route.path)


def _pages(folder: Path) -> Blueprint:
    pages = Blueprint("mail_pages", __name__, url_prefix="/mails")

    @pages.get("")
    @public
    def list_mails() -> Response:
        return _page("mails.html", found=list_left_mails(folder, SHOWN))

    @pages.get("/<key>")
    @public
    def show_mail(key: str) -> Response:
        mail = _mail(folder, key)
        headers = [(name, str(value)) for name, value in mail.items()]
        return _page("mail.html", key=key, headers=headers, text=_body(mail, "plain"), files=_names(mail))

    @pages.get("/<key>/html")
    @public
    def show_html(key: str) -> Response:
        html = _body(_mail(folder, key), "html")
        return _guarded(Response(html, content_type="text/html; charset=utf-8"), MAIL_POLICY)

    @pages.get("/<key>/attachments/<int:number>")
    @public
    def get_attachment(key: str, number: int) -> Response:
        files = list(_mail(folder, key).iter_attachments())
        file = files[number] if number < len(files) else abort(404)
        content: Any = file.get_payload(decode=True)
        name = file.get_filename() or "attachment"
        return _guarded(
            send_file(BytesIO(content), file.get_content_type(), as_attachment=True, download_name=name), MAIL_POLICY
        )

    return pages


def _mail(folder: Path, key: str) -> EmailMessage:
    return find_left_mail(folder, key) or abort(404)


def _body(mail: EmailMessage, kind: str) -> str:
    part: Any = mail.get_body((kind,))
    return "" if part is None else str(part.get_content())


def _names(mail: EmailMessage) -> list[str]:
    return [file.get_filename() or "attachment" for file in mail.iter_attachments()]


def _page(template: str, **values: object) -> Response:
    page = render_template(f"pages/{template}", language=current_language(), **values)
    return _guarded(Response(page, content_type="text/html; charset=utf-8"), PAGE_POLICY)


def _guarded(response: Response, policy: str) -> Response:
    response.headers[CONTENT_POLICY] = policy
    response.headers[NO_STORE[0]] = NO_STORE[1]
    return response
