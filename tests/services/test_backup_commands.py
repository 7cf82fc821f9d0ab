"""The command: exit codes that a monitor can tell apart, and one JSON line at the end."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from rebootcamp.app import create_app
from rebootcamp.services.backups import list_backups, opened
from rebootcamp.services.backups.plain import read_mongo
from tests.services.backups import flip
from tests.services.test_integrity import sound_stores

pytestmark = pytest.mark.usefixtures("committed_db")


class Commands:
    """Commands with a folder of backups of their own."""

    def __init__(self, app: Flask, folder: Path) -> None:
        self.folder = folder
        self._app = app

    def run(self, *arguments: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        """Run a command; return its exit code and its last line."""
        result = self.invoke(*arguments, **changes)
        line = json.loads(result.stdout.strip().splitlines()[-1])
        assert line["exit"] == result.exit_code, line
        assert line["ok"] is (result.exit_code == 0)
        return result.exit_code, line

    def invoke(self, *arguments: str, **changes: Any) -> Result:
        settings = replace(self._app.config["REBOOTCAMP"], **{"backup_dir": self.folder, **changes})
        application = create_app(settings)
        with application.app_context():
            return application.test_cli_runner().invoke(args=arguments, catch_exceptions=False)


@pytest.fixture
def commands(committed_db: Flask, tmp_path: Path) -> Commands:
    return Commands(committed_db, tmp_path / "backups")


def test_a_backup_tells_itself_in_one_line(commands: Commands) -> None:
    sound_stores()
    code, told = commands.run("backup")
    assert (code, told["command"], told["findings"], told["encrypted"]) == (0, "backup", 0, False)
    path = list_backups(commands.folder)[0]
    assert (told["path"], told["bid"]) == (str(path), path.name.partition("-")[2])
    assert told.keys() >= {"bytes", "seconds", "barrier_ms", "mode", "pruned"}
    assert commands.run("backup", "--list")[1]["newest"] == str(path)
    assert commands.run("backup", "--verify")[1]["contents"] == "read"
    assert commands.run("backup", "--verify", told["bid"][:8])[1]["bid"] == told["bid"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--keep", "nonsense"),
        ("--keep", "daily=0"),
        ("--keep", "daily=1,hourly=2"),
        ("--unknown",),
        ("keygen",),
        ("--list", "--verify", "latest"),
    ],
)
def test_wrong_usage_is_64(commands: Commands, arguments: tuple[str, ...]) -> None:
    assert commands.invoke("backup", *arguments).exit_code == 64
    assert not commands.folder.exists()


def test_each_trouble_has_its_exit_code(commands: Commands, tmp_path: Path) -> None:
    assert commands.run("backup", "--verify")[1]["error"] == "not_a_backup"
    assert commands.run("backup")[0] == 0
    (file,) = commands.folder.glob("2*/mongo/meta.bson.gz")
    file.chmod(0o600)
    flip(file, 30)
    code, told = commands.run("backup", "--verify")
    assert (code, told["error"]) == (65, "backup_damaged")
    assert "mongo/meta.bson.gz" in told["detail"]
    away = "postgresql+psycopg2://nobody:secret@127.0.0.1:9/nowhere"
    assert commands.run("backup", database_url=away)[0] == 69
    assert commands.run("backup", mongodb_uri="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200")[0] == 69
    (tmp_path / "file").write_text("", encoding="ascii")
    assert commands.run("backup", backup_dir=tmp_path / "file")[0] == 73
    assert commands.run("backup", backup_dir=tmp_path / "file" / "below")[0] == 73
    with opened(commands.folder):
        assert commands.run("backup")[0] == 75
    assert commands.run("backup")[0] == 0


def test_a_host_without_the_identity_proves_the_outside_only(commands: Commands, tmp_path: Path) -> None:
    code, made = commands.run("backup", "keygen", str(tmp_path / "keys"))
    assert code == 0
    keys = tmp_path / "keys"
    assert {stat.S_IMODE(file.stat().st_mode) for file in keys.iterdir()} == {0o600}
    assert commands.run("backup", "keygen", str(keys))[0] == 65
    sealed = {"backup_recipients": (made["recipient"],), "backup_signing_key": keys / "signing.pem"}
    proving = {"backup_verify_key": keys / "verify.pem"}
    assert commands.run("backup", **sealed)[1]["encrypted"]
    assert commands.run("backup", "--verify", **proving)[1]["contents"] == "not read"
    _, told = commands.run("backup", "--verify", **proving, backup_identity=keys / "identity.txt")
    assert (told["contents"], told["signature"]) == ("read", "checked")


def test_plain_files_are_for_their_owner_and_of_one_moment(commands: Commands, tmp_path: Path) -> None:
    sound_stores()
    plain = tmp_path / "plain"
    code, told = commands.run("backup", "--plain", str(plain))
    assert (code, sorted(os.listdir(plain))) == (0, ["mongo.json", "rebootcamp.sql"])
    assert told["bytes"] == sum(file.stat().st_size for file in plain.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in plain.iterdir()} == {0o600}
    (mark,) = read_mongo(plain / "mongo.json")["meta"]
    sql = (plain / "rebootcamp.sql").read_text(encoding="utf-8")
    assert mark["store_id"] in sql
    assert "COPY public.refresh_tokens" not in sql
