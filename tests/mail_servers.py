"""A real mail server for tests: TCP, STARTTLS or TLS by an authority made for the run, and a login."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rebootcamp.cli.dev.processes import free_port

HOST = "127.0.0.1"
USER, PASSWORD = "post@office", "p@ss word/1"
QUOTED = "post%40office:p%40ss%20word%2F1"


@dataclass
class Office:
    """What the server took, and how it answers: by command, by recipient; `hangs`: not, while it is set."""

    attempted: list[EmailMessage] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    hangs: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    async def handle_EHLO(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += session.ssl is not None
        session.host_name = hostname
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" not in self.answers:
            envelope.mail_from = address
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.refused.get(address) or self.answers.get("RCPT", "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:  # noqa: N802
        while self.hangs.is_set():
            await asyncio.sleep(0.02)
        content = envelope.content
        assert isinstance(content, bytes)
        self.attempted.append(email.message_from_bytes(content, policy=email.policy.default))
        if "DATA" in self.answers:
            return self.answers["DATA"]
        self.mails.append(self.attempted[-1])
        self.recipients += envelope.rcpt_tos
        return "250 OK"


@dataclass(frozen=True)
class Authority:
    """Who vouches for the server: `file` is what its clients must trust."""

    file: Path
    context: ssl.SSLContext


@dataclass
class PlainServer:
    """A mail server for nobody in particular: no TLS, no login."""

    office: Office
    port: int


@dataclass
class RunningServer:
    """A mail server, where it is, and what it took."""

    office: Office
    port: int
    authority: Authority

    def url(self, credentials: str = QUOTED, scheme: str = "smtp") -> str:
        """Return the MAIL_URL that reaches it."""
        return f"{scheme}://{credentials}@{HOST}:{self.port}?ca={self.authority.file}"


def make_authority(folder: Path) -> Authority:
    """Make an authority and a server certificate for 127.0.0.1 and localhost; nobody else trusts them."""
    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("Authority of the tests", own, own, "Authority of the tests", is_authority=True)
    leaf = _certificate("localhost", key, own, "Authority of the tests", is_authority=False)
    file, chain = folder / "authority.pem", folder / "server.pem"
    file.write_bytes(root.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    chain.write_bytes(private + leaf.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Authority(file, context)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: str,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if not is_authority:
        places = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
        builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@contextmanager
def running_server(
    authority: Authority, port: int | None = None, *, is_wrapped: bool = False
) -> Iterator[RunningServer]:
    """Run a server for the length of the block; `is_wrapped`: TLS from the first byte (smtps)."""
    office, port = Office(), port or free_port()
    security: dict[str, Any] = {"tls_context": authority.context, "require_starttls": True}
    if is_wrapped:
        security = {"ssl_context": authority.context, "auth_require_tls": False}
    controller = Controller(
        office, hostname=HOST, port=port, auth_required=True, authenticator=_authenticate, **security
    )
    controller.start()
    try:
        yield RunningServer(office, port, authority)
    finally:
        office.hangs.clear()
        controller.stop()


@contextmanager
def plain_server() -> Iterator[PlainServer]:
    """Run a server without TLS and without a login for the length of the block."""
    office, port = Office(), free_port()
    controller = Controller(office, hostname=HOST, port=port)
    controller.start()
    try:
        yield PlainServer(office, port)
    finally:
        office.hangs.clear()
        controller.stop()


def _authenticate(server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    is_known = isinstance(data, LoginPassword) and data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_known)
