"""Settings: safe by default, and clear about what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebootcamp.config import ConfigurationError, MailFolder, MailServer, Settings

GOOD = {
    "SECRET_KEY": "k3Yw0rd-that-nobody-would-guess-7421!",
    "DATABASE_URL": "postgresql://u:p@localhost/app",
    "MONGODB_URI": "mongodb://localhost/?replicaSet=rs0",
}
MAIL = {
    "MAIL_URL": "smtp://user:hidden@mail.example.org",
    "MAIL_FROM": "RebootCamp <no-reply@example.org>",
    "PUBLIC_URL": "https://learn.example.org/",
}


def test_production_is_the_default_and_accepts_a_real_secret() -> None:
    settings = Settings.from_env(GOOD)
    assert settings.is_production
    assert settings.failpoints == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "32 bytes"),
        ({"SECRET_KEY": "change-me-change-me-change-me-please"}, "sample"),
        ({"SECRET_KEY": "a" * 40}, "sample"),
        ({"TEST_FAILPOINTS": "relay.claimed"}, "TEST_FAILPOINTS"),
        ({"FLASK_DEBUG": "1"}, "FLASK_DEBUG"),
        ({"FLASK_DEBUG": "True"}, "FLASK_DEBUG"),
        ({"APP_ENV": "staging"}, "APP_ENV"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"MONGODB_URI": ""}, "MONGODB_URI"),
        ({"DATABASE_URL": "secret"}, "DATABASE_URL must look like"),
        ({"DATABASE_URL": "postgresql://u:secret@host:port/name"}, "DATABASE_URL must look like"),
        ({"MONGODB_URI": "secret"}, "MONGODB_URI must look like"),
        ({"MONGODB_URI": "mongodb://u:secret@host:port/"}, "MONGODB_URI must look like"),
        ({"RELAY_BATCH": "many"}, "RELAY_BATCH must be a number"),
        ({"RELAY_BATCH": "0"}, "between 1 and 5000"),
        ({"RELAY_POLL_SECONDS": "nan"}, "RELAY_POLL_SECONDS must lie"),
        ({"DATABASE_POOL_SIZE": "1e9"}, "DATABASE_POOL_SIZE"),
        ({"MAX_BODY_BYTES": "-1"}, "MAX_BODY_BYTES"),
        *(
            ({**MAIL, "MAIL_URL": url}, "MAIL_URL must look like")
            for url in (
                "secret",
                "maildir:",
                "http://u:secret@host",
                "smtp://u:secret@",
                "smtp://u:secret@host:port",
                "smtp://u:secret@host:99999",
                "smtp://u:secret@host/path",
                "smtp://u:secret@host?tls=maybe",
                "smtps://u:secret@host?tls=none",
                "smtp://u:secret@host?secret=1",
                "smtp://u:secret@host?secret",
                "smtp://u:secret@host#secret",
            )
        ),
        ({**MAIL, "MAIL_URL": "smtp://u:secret@host?tls=none"}, "TLS off in production"),
        ({**MAIL, "MAIL_URL": "maildir:/var/mails"}, "SMTP server in production"),
        ({**MAIL, "MAIL_FROM": ""}, "MAIL_FROM must be"),
        ({**MAIL, "MAIL_FROM": "nobody"}, "MAIL_FROM must be"),
        ({**MAIL, "MAIL_FROM": "a@example.org\r\nBcc: b@example.org"}, "MAIL_FROM must be"),
        ({**MAIL, "PUBLIC_URL": ""}, "PUBLIC_URL must look like"),
        ({**MAIL, "PUBLIC_URL": "javascript:alert(1)"}, "PUBLIC_URL must look like"),
        ({**MAIL, "PUBLIC_URL": "https://example.org/?a=b"}, "PUBLIC_URL must look like"),
        ({"WORKSHOP_OVERLAP": "maybe"}, "WORKSHOP_OVERLAP must be one of refuse, allow"),
        ({"WORKSHOP_MAX_REGISTRATIONS": "0"}, "WORKSHOP_MAX_REGISTRATIONS must lie"),
    ],
)
def test_unsafe_environment_is_refused_by_name(change: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refusal:
        Settings.from_env({**GOOD, **change})
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("environment", ["development", "test"])
def test_failpoints_and_plain_secrets_are_for_development_only(environment: str) -> None:
    settings = Settings.from_env(
        {**GOOD, "APP_ENV": environment, "SECRET_KEY": "a" * 40, "TEST_FAILPOINTS": "relay.claimed"}
    )
    assert settings.failpoints == "relay.claimed"
    assert not settings.is_production


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_database_url_names_its_driver(scheme: str) -> None:
    settings = Settings.from_env({**GOOD, "DATABASE_URL": f"{scheme}://u:p@localhost/app"})
    assert settings.database_url == "postgresql+psycopg2://u:p@localhost/app"


def test_where_mails_go_is_read_from_one_address() -> None:
    def route(url: str, environment: str = "production") -> object:
        return Settings.from_env({**GOOD, **MAIL, "MAIL_URL": url, "APP_ENV": environment}).mail_route

    assert route("") is None
    assert route("smtp://user:p%40ss@mail.example.org") == MailServer(
        "mail.example.org", 587, "starttls", "user", "p@ss"
    )
    assert route("smtps://mail.example.org?ca=ca.pem") == MailServer(
        "mail.example.org", 465, "tls", ca_file=Path("ca.pem")
    )
    assert route("smtp://localhost:1025?tls=none", "test") == MailServer("localhost", 1025, "none")
    assert route("maildir:/var/mails", "development") == MailFolder(Path("/var/mails"))
    assert Settings.from_env({**GOOD, **MAIL}).public_url == "https://learn.example.org"
    # Nothing of it is asked for where nothing is sent.
    assert Settings.from_env(GOOD).mail_route is None


def test_settings_do_not_tell_their_secrets() -> None:
    settings = Settings.from_env({**GOOD, **MAIL, "DATABASE_URL": "postgresql://u:hidden@localhost/app"})
    assert "hidden" not in repr(settings)
    assert "hidden" not in repr(settings.mail_route)
    assert GOOD["SECRET_KEY"] not in repr(settings)


def test_lists_and_numbers_are_read() -> None:
    settings = Settings.from_env(
        {
            **GOOD,
            "CORS_ORIGINS": "https://a.example, https://b.example,",
            "RELAY_POLL_SECONDS": "0.5",
            "RELAY_BATCH": "",
            "WORKSHOP_OVERLAP": "allow",
            "WORKSHOP_MAX_REGISTRATIONS": "3",
        }
    )
    assert (settings.workshop_overlap, settings.workshop_max_registrations) == ("allow", 3)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert (settings.relay_poll_seconds, settings.relay_batch) == (0.5, Settings.relay_batch)


def test_environment_wins_over_the_running_pair_and_that_over_dotenv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (*GOOD, "MONGODB_DATABASE", "LOG_LEVEL", "LOG_FORMAT", "RUN_DIR", "APP_ENV"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "env").write_text("".join(f"{k}='{v}'\n" for k, v in GOOD.items()) + "LOG_LEVEL=debug\n")
    (tmp_path / ".env").write_text("LOG_LEVEL=warning\nLOG_FORMAT=text\nMONGODB_DATABASE=other\n")
    monkeypatch.setenv("MONGODB_DATABASE", "mine")
    settings = Settings.from_env()
    assert (settings.log_level, settings.log_format, settings.mongodb_database) == ("DEBUG", "text", "mine")
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert Settings.from_env().log_level == "WARNING"
