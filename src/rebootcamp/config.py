"""The only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dotenv import dotenv_values
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

MIN_SECRET_BYTES = 32
SAMPLE_SECRET_MARKS = ("change-me", "changeme", "example", "sample", "secret-key", "replace-me")
ENVIRONMENTS = ("production", "development", "test")
STARTTLS, TLS, PLAIN = "starttls", "tls", "none"
MAIL_PORTS = {"smtp": 587, "smtps": 465}
OVERLAPS = ("refuse", "allow")


class ConfigurationError(Exception):
    """The environment cannot make a safe service; the message says what to change."""


@dataclass(frozen=True)
class MailServer:
    """An SMTP server; without a user nobody signs in. `ca_file` vouches for it in the place of the system's list."""

    host: str
    port: int
    security: str
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None


@dataclass(frozen=True)
class MailFolder:
    """A Maildir in which mails are left instead of being sent."""

    path: Path


@dataclass(frozen=True)
class Settings:
    """Everything that may differ between two deployments of the same code."""

    app_env: str
    secret_key: str = field(repr=False)
    database_url: str = field(repr=False)
    mongodb_uri: str = field(repr=False)
    # Of a new pair; afterwards `app_meta.mongo_database` decides.
    mongodb_database: str = "rebootcamp"
    database_pool_size: int = 4
    access_token_minutes: int = 10
    refresh_token_days: int = 30
    jwt_issuer: str = "rebootcamp"
    jwt_audience: str = "rebootcamp-api"
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: int = 0
    log_level: str = "INFO"
    log_format: str = "json"
    max_body_bytes: int = 1024 * 1024
    relay_batch: int = 200
    relay_poll_seconds: float = 0.2
    workshop_log_days: int = 365
    workshop_overlap: str = "refuse"
    workshop_max_registrations: int = 20
    backup_dir: Path = Path("backups")
    backup_recipients: tuple[str, ...] = ()
    backup_signing_key: Path | None = None
    backup_verify_key: Path | None = None
    backup_identity: Path | None = None
    erasure_log: Path = Path("erasures.jsonl")
    # Empty: nothing is sent, and mails wait.
    mail_url: str = field(default="", repr=False)
    mail_from: str = ""
    public_url: str = ""
    failpoints: str = ""
    flask_debug: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the process environment, then the pair of a running `make run` (RUN_DIR/env), then `.env`."""
        env = _layered(os.environ) if environ is None else dict(environ)
        settings = cls(
            app_env=env.get("APP_ENV", "production"),
            secret_key=env.get("SECRET_KEY", ""),
            database_url=_with_driver(_required(env, "DATABASE_URL")),
            mongodb_uri=_required(env, "MONGODB_URI"),
            mongodb_database=env.get("MONGODB_DATABASE", cls.mongodb_database),
            database_pool_size=_integer(env, "DATABASE_POOL_SIZE", cls.database_pool_size, 1, 100),
            access_token_minutes=_integer(env, "ACCESS_TOKEN_MINUTES", cls.access_token_minutes, 1, 60),
            refresh_token_days=_integer(env, "REFRESH_TOKEN_DAYS", cls.refresh_token_days, 1, 365),
            jwt_issuer=env.get("JWT_ISSUER", cls.jwt_issuer),
            jwt_audience=env.get("JWT_AUDIENCE", cls.jwt_audience),
            cors_origins=_listed(env, "CORS_ORIGINS"),
            trusted_proxies=_integer(env, "TRUSTED_PROXIES", cls.trusted_proxies, 0, 10),
            log_level=env.get("LOG_LEVEL", cls.log_level).upper(),
            log_format=env.get("LOG_FORMAT", cls.log_format),
            max_body_bytes=_integer(env, "MAX_BODY_BYTES", cls.max_body_bytes, 1024, 64 * 1024 * 1024),
            relay_batch=_integer(env, "RELAY_BATCH", cls.relay_batch, 1, 5000),
            relay_poll_seconds=_number(env, "RELAY_POLL_SECONDS", cls.relay_poll_seconds, 0.01, 60.0),
            workshop_log_days=_integer(env, "WORKSHOP_LOG_DAYS", cls.workshop_log_days, 1, 36_500),
            mail_url=env.get("MAIL_URL", ""),
            mail_from=env.get("MAIL_FROM", ""),
            public_url=env.get("PUBLIC_URL", "").rstrip("/"),
            **_of_workshops(env),
            failpoints=env.get("TEST_FAILPOINTS", ""),
            flask_debug=env.get("FLASK_DEBUG", ""),
            **_of_backups(env),
        )
        settings.verify()
        return settings

    @property
    def is_production(self) -> bool:
        """True unless somebody asked for another environment by name."""
        return self.app_env == "production"

    @property
    def mail_route(self) -> MailServer | MailFolder | None:
        """Return where mails go; None: nowhere, they wait."""
        return _mail_route(self.mail_url) if self.mail_url else None

    def verify(self) -> None:
        """Raise `ConfigurationError` where starting would be unsafe."""
        _verify_addresses(self.database_url, self.mongodb_uri)
        if self.app_env not in ENVIRONMENTS:
            raise ConfigurationError(f"APP_ENV must be one of {', '.join(ENVIRONMENTS)}, not {self.app_env!r}.")
        if len(self.secret_key.encode()) < MIN_SECRET_BYTES:
            raise ConfigurationError(f"SECRET_KEY must hold at least {MIN_SECRET_BYTES} bytes: openssl rand -hex 32")
        self._verify_mail()
        if self.is_production:
            self._verify_production()

    def _verify_mail(self) -> None:
        route = self.mail_route
        if route is None:
            return
        if not _is_address(self.mail_from):
            raise ConfigurationError("MAIL_FROM must be an address: RebootCamp <no-reply@example.org>.")
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", self.public_url):
            raise ConfigurationError(
                "PUBLIC_URL must look like https://learn.example.org: links in mails begin with it."
            )
        if self.is_production and isinstance(route, MailFolder):
            raise ConfigurationError("MAIL_URL must be an SMTP server in production: nobody reads a folder.")
        if self.is_production and isinstance(route, MailServer) and route.security == PLAIN:
            raise ConfigurationError("MAIL_URL must not switch TLS off in production.")

    def _verify_production(self) -> None:
        if any(mark in self.secret_key.lower() for mark in SAMPLE_SECRET_MARKS) or len(set(self.secret_key)) < 8:
            raise ConfigurationError("SECRET_KEY is a sample value; make your own: openssl rand -hex 32")
        if self.failpoints:
            raise ConfigurationError("TEST_FAILPOINTS must be empty in production.")
        # Whoever reaches the debugger runs what they like.
        if self.flask_debug.lower() not in ("", "0", "false", "no"):
            raise ConfigurationError("FLASK_DEBUG must be empty in production.")


def environment_with(extra: Mapping[str, str]) -> dict[str, str]:
    """Return what a program that we start finds in its environment: ours, and what is only its own."""
    return {**os.environ, **extra}


def run_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder where `make run` keeps its servers and their addresses."""
    return Path(environ.get("RUN_DIR", ".run"))


def _layered(environ: Mapping[str, str]) -> dict[str, str]:
    merged: dict[str, str] = {}
    files = [Path(".env")]
    if "DATABASE_URL" not in environ:
        # It exists only while `make run` runs, and then its stores are the ones that are meant.
        files.append(run_directory(environ) / "env")
    for file in files:
        if file.exists():
            merged.update({key: value for key, value in dotenv_values(file).items() if value is not None})
    merged.update(environ)
    return merged


def _of_workshops(env: Mapping[str, str]) -> dict[str, Any]:
    overlap = env.get("WORKSHOP_OVERLAP") or Settings.workshop_overlap
    if overlap not in OVERLAPS:
        raise ConfigurationError(f"WORKSHOP_OVERLAP must be one of {', '.join(OVERLAPS)}, not {overlap!r}.")
    most = _integer(env, "WORKSHOP_MAX_REGISTRATIONS", Settings.workshop_max_registrations, 1, 1000)
    return {"workshop_overlap": overlap, "workshop_max_registrations": most}


def _of_backups(env: Mapping[str, str]) -> dict[str, Any]:
    folder = Path(env.get("BACKUP_DIR") or Settings.backup_dir)
    keys = ("BACKUP_SIGNING_KEY", "BACKUP_VERIFY_KEY", "BACKUP_IDENTITY")
    return {
        "backup_dir": folder,
        "backup_recipients": _listed(env, "BACKUP_RECIPIENTS"),
        # Beside the backups, not among them: it tells a restored past what was erased since.
        "erasure_log": Path(env.get("ERASURE_LOG") or folder.parent / Settings.erasure_log),
        **{name.lower(): Path(env[name]) for name in keys if env.get(name)},
    }


def _listed(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, (item.strip() for item in env.get(name, "").split(","))))


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigurationError(f"{name} is not set: see .env.example, or start everything with `make run`.")
    return value


def _verify_addresses(database_url: str, mongodb_uri: str) -> None:
    """Refuse what the drivers cannot read, without telling it: it may hold a password."""
    try:
        make_url(database_url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("DATABASE_URL must look like postgresql://USER:PASSWORD@HOST:5432/NAME.") from None
    # A +srv address is in the DNS, which may be away now and back later.
    if mongodb_uri.startswith("mongodb+srv://"):
        return
    try:
        parse_uri(mongodb_uri)
    except (PyMongoError, ValueError):
        raise ConfigurationError("MONGODB_URI must look like mongodb://HOST:27017/?replicaSet=NAME.") from None


def _mail_route(text: str) -> MailServer | MailFolder:
    """Read MAIL_URL; what is wrong with it is told without it: it may hold a password."""
    scheme, _, rest = text.partition(":")
    if scheme == "maildir" and rest:
        return MailFolder(Path(rest))
    try:
        url = urlsplit(text)
        return _mail_server(url, dict(parse_qsl(url.query, strict_parsing=bool(url.query))))
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(
            "MAIL_URL must look like smtp://USER:PASSWORD@HOST:587, smtps://USER:PASSWORD@HOST:465 or maildir:FOLDER."
        ) from None


def _mail_server(url: SplitResult, options: dict[str, str]) -> MailServer:
    port, ca_file, tls = url.port or MAIL_PORTS[url.scheme], options.pop("ca", None), options.pop("tls", STARTTLS)
    is_known = tls == STARTTLS or (tls == PLAIN and url.scheme == "smtp")
    if options or url.path not in ("", "/") or url.fragment or not url.hostname or not is_known:
        raise ValueError
    return MailServer(
        host=url.hostname,
        port=port,
        security=TLS if url.scheme == "smtps" else tls,
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        ca_file=Path(ca_file) if ca_file else None,
    )


def _is_address(text: str) -> bool:
    """Tell whether a text is one address, with or without a name, that can stand in a header."""
    _, address = parseaddr(text)
    return text.isprintable() and re.fullmatch(r"[^\s@<>,;]+@[^\s@<>,;]+", address) is not None


def _with_driver(url: str) -> str:
    """Name psycopg2 in the URL: SQLAlchemy 2.1 would pick another driver for a bare `postgresql://`."""
    scheme, separator, rest = url.partition("://")
    return f"postgresql+psycopg2{separator}{rest}" if scheme in ("postgres", "postgresql") else url


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    return int(_number(env, name, default, low, high))


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name, "")
    try:
        value = float(text) if text else float(default)
    except ValueError:
        raise ConfigurationError(f"{name} must be a number, not {text!r}.") from None
    if not low <= value <= high:
        raise ConfigurationError(f"{name} must lie between {low} and {high}.")
    return value
