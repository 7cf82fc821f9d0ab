"""The local page of mails: for development only, and harmless whatever a mail holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core.actors import Actor
from rebootcamp.integrations.mail import MailUnavailable
from rebootcamp.services.mails import PostOffice, Round, send_due
from tests.architecture.test_routes import routes
from tests.factories import make_actor
from tests.factories.mails import all_mails, stay
from tests.factories.workshops import make_workshop

HOSTILE = '<script>alert("x")</script>'


@dataclass
class Box:
    """A service whose mails are left in a folder."""

    settings: Settings
    client: FlaskClient
    folder: Path

    def send(self) -> Round:
        office = PostOffice.of(self.settings)
        assert office is not None
        return send_due(office)

    def addresses(self) -> list[str]:
        return re.findall(r'href="(/mails/[^"]+)"', self.client.get("/mails").text)


@pytest.fixture
def box(app: Flask, tmp_path: Path) -> Box:
    folder = tmp_path / "left" / "mails"
    values = {"mail_url": f"maildir:{folder}", "mail_from": "no-reply@example.org", "public_url": "https://e.org"}
    settings = replace(app.config["REBOOTCAMP"], **values)
    settings.verify()
    return Box(settings, create_app(settings).test_client(), folder)


@pytest.fixture
def ada() -> Iterator[Actor]:
    return make_actor(display_name=HOSTILE, locale="fr")


def test_mails_are_left_and_shown_the_newest_first(box: Box, ada: Actor) -> None:
    assert "No mails yet." in box.client.get("/mails").text
    for number in range(3):
        stay(ada, make_workshop(translations={"fr": {"title": f"Atelier n° {number}", "description": ""}}))
        assert box.send() == Round(sent=1)
    page = box.client.get("/mails", headers={"Accept-Language": "fr"})
    assert (page.status_code, page.mimetype, page.headers["Cache-Control"]) == (200, "text/html", "no-store")
    assert re.findall(r"Atelier n° \d", page.text) == ["Atelier n° 2", "Atelier n° 1", "Atelier n° 0"]
    assert 'lang="fr"' in page.text
    assert all(mail.sent_at is not None for mail in all_mails())


def test_a_mail_is_shown_with_its_headers_its_text_and_its_html(box: Box, ada: Actor) -> None:
    stay(ada, make_workshop(translations={"fr": {"title": HOSTILE, "description": HOSTILE}}))
    box.send()
    (address,) = box.addresses()
    page = box.client.get(address)
    for told in ("Message-ID", "no-reply@example.org", "Votre place est confirmée", "Bonjour &lt;script&gt;"):
        assert told in page.text
    assert "<script" not in page.text
    assert f'<iframe sandbox title="HTML" src="{address}/html">' in page.text
    html = box.client.get(f"{address}/html")
    assert "&lt;script&gt;" in html.text
    policy = html.headers["Content-Security-Policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "frame-ancestors 'self'"} <= set(policy)
    page_policy = page.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-src 'self'"} <= set(page_policy)
    assert not [rule for rule in (*policy, *page_policy) if "script" in rule or "*" in rule]


def test_a_mail_of_anybody_runs_nothing_and_its_files_are_only_handed_out(box: Box) -> None:
    message = EmailMessage()
    message["Subject"] = HOSTILE
    message.set_content("Text https://e.org/x <b>")
    message.add_alternative(f"<p>{HOSTILE}</p>", subtype="html")
    message.add_attachment(HOSTILE, subtype="html", filename='é"../x.html')
    office = PostOffice.of(box.settings)
    assert office is not None
    with office.transport.open() as carrier:
        carrier.deliver(message)
    (address,) = box.addresses()
    page = box.client.get(address).text
    assert "<script" not in page
    assert '<a href="https://e.org/x" rel="noopener noreferrer" target="_blank">' in page
    assert box.client.get(f"{address}/html").headers["Content-Security-Policy"].startswith("sandbox;")
    file = box.client.get(f"{address}/attachments/0")
    assert (file.status_code, file.data.decode().strip()) == (200, HOSTILE)
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert file.headers["Content-Security-Policy"].startswith("sandbox;")
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert box.client.get(f"{address}/attachments/1").status_code == 404


def test_only_mails_of_the_folder_can_be_asked_for(box: Box, tmp_path: Path) -> None:
    for path in ("nobody", "..", "..%2f..%2fsecret", "%2e%2e%2fsecret", "nobody/html", "nobody/attachments/0"):
        assert box.client.get(f"/mails/{path}").status_code == 404
    office = PostOffice.of(box.settings)
    assert office is not None
    with office.transport.open():
        pass
    (tmp_path / "left" / "secret").write_text("secret")
    (box.folder / "new" / "key").symlink_to("nowhere")
    for path in ("..%2f..%2fsecret", "..", "key"):
        assert box.client.get(f"/mails/{path}").status_code == 404
    assert box.client.get("/mails").status_code == 200


def test_a_folder_that_takes_nothing_counts_against_nobody(box: Box, ada: Actor) -> None:
    stay(ada, make_workshop())
    office = PostOffice.of(box.settings)
    assert office is not None
    with office.transport.open():
        (box.folder / "tmp").rmdir()
    with pytest.raises(MailUnavailable):
        box.send()
    assert [(mail.attempts, mail.reason) for mail in all_mails()] == [(0, None)]
    (box.folder / "tmp").mkdir()
    assert box.send() == Round(sent=1)


def test_the_pages_exist_for_development_only(app: Flask, box: Box) -> None:
    def found(application: Flask) -> list[tuple[str, str, bool]]:
        known = ((method, path, bool(policy and policy.is_public)) for method, path, policy in routes(application))
        return sorted(route for route in known if route[1].startswith("/mails"))

    pages = ("/mails", "/mails/{key}", "/mails/{key}/attachments/{number}", "/mails/{key}/html")
    assert found(create_app(box.settings)) == [("GET", path, True) for path in pages]
    assert found(create_app(replace(box.settings, app_env="production"))) == []
    assert found(create_app(replace(box.settings, mail_url="smtp://localhost:25"))) == []
    assert found(app) == []
    assert "/mails" not in box.client.get("/api/openapi.json").text
