"""The service is backed up while it works, and backups are killed: what has a name is whole, nothing stays behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy.engine import make_url

from rebootcamp.services.backups import list_backups, verify_backup
from rebootcamp.storage.locks import BARRIER, DDL
from tests.acceptance.service import Service, eventually

ROOT = Path(__file__).resolve().parents[2]
FAILPOINTS = ("half_marked", "marked", "cut", "exported", "dumped", "described", "before_rename", "after_rename")
# More of them, and under load: `make chaos`.
KILLS = 8
KILLED = -signal.SIGKILL


@dataclass
class Vault:
    """A folder of backups of a running service."""

    service: Service
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """Start the script in a group of its own."""
        paths = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        own = {"BACKUP_DIR": str(self.folder), "PATH": paths, **self.environment, **more}
        env = {**self.service.env, **own}
        command = [str(ROOT / "backup.sh"), *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, text=True, start_new_session=True, stdout=pipe, stderr=pipe)

    def run(self, *arguments: str, **more: str) -> tuple[int, dict[str, Any]]:
        """Run the script to its end; return the exit code and what its last line tells."""
        with self.start(*arguments, **more) as process:
            output, errors = process.communicate(timeout=120)
        lines = output.strip().splitlines()
        assert process.returncode == KILLED or lines, errors
        return process.returncode, json.loads(lines[-1]) if process.returncode != KILLED else {}

    def assert_sound(self) -> None:
        """Prove everything that has a name, and that a killed run holds nothing."""
        for path in list_backups(self.folder):
            manifest = verify_backup(path, replace(self.service.settings, backup_dir=self.folder))
            assert manifest.check.findings == 0
        assert len(self.partials()) <= 1
        eventually(lambda: self.left_in_postgresql() == (0, 0))

    def partials(self) -> list[Path]:
        return list(self.folder.glob(".partial-*"))

    def left_in_postgresql(self) -> tuple[int, int]:
        """Return how many locks and how many dumps there are."""
        url = make_url(self.service.settings.database_url).set(drivername="postgresql")
        with psycopg2.connect(url.render_as_string(hide_password=False)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
                " WHERE d.datname = current_database() AND locktype = 'advisory'"
                " AND (objid = %s AND mode = 'ExclusiveLock' OR objid = %s)",
                (BARRIER, DDL),
            )
            locks = cursor.fetchone()
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = 'pg_dump' AND datname = current_database()"
            )
            dumps = cursor.fetchone()
        connection.close()
        assert locks is not None
        assert dumps is not None
        return locks[0], dumps[0]


@contextmanager
def busy(service: Service) -> Iterator[list[int]]:
    """Let learners work for the length of the block; yield the statuses of what they did."""
    is_over, statuses = threading.Event(), list[int]()
    tasks = [service.make_challenge(cadence="daily") for _ in range(3)]

    def work() -> None:
        while not is_over.is_set():
            learner = service.join()
            statuses.extend(learner.complete(task).status_code for task in tasks)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def vault(service: Service, tmp_path: Path) -> Vault:
    return Vault(service, tmp_path / "backups")


def test_a_working_service_is_backed_up(vault: Vault) -> None:
    with busy(vault.service) as statuses:
        told = [vault.run("--keep", "daily=1") for _ in range(3)]
    assert set(statuses) == {201}
    for code, line in told:
        assert (code, line["ok"], line["exit"], line["findings"], line["mode"]) == (0, True, 0, 0, "snapshot")
        assert line["barrier_ms"] < 1000
        assert line["bytes"] > 0
    assert [path.name for path in list_backups(vault.folder)] == [Path(told[-1][1]["path"]).name]
    code, line = vault.run("--verify")
    assert (code, line["bid"], line["contents"]) == (0, told[-1][1]["bid"], "read")
    vault.assert_sound()
    vault.service.assert_stores_agree()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_backup_killed_at_any_step_leaves_nothing_that_looks_whole(vault: Vault, is_sealed: bool) -> None:
    assert vault.run()[0] == 0
    if is_sealed:
        code, told = vault.run("keygen", str(vault.folder.parent / "keys"))
        assert code == 0
        vault.environment["BACKUP_RECIPIENTS"] = told["recipient"]
    for point in FAILPOINTS if not is_sealed else ("exported", "dumped", "after_rename"):
        before = len(list_backups(vault.folder))
        assert vault.run(TEST_FAILPOINTS=f"backup.{point}")[0] == KILLED
        if is_sealed:
            files = [file for path in vault.partials() for file in path.rglob("*") if file.is_file()]
            assert {file.suffix for file in files} <= {".age", ".json"}
        else:
            vault.assert_sound()
        assert len(list_backups(vault.folder)) == before + (point == "after_rename")
    vault.environment.clear()
    assert vault.run(TEST_FAILPOINTS="backup.before_link:2")[0] == KILLED
    assert vault.run("--keep", "daily=1", TEST_FAILPOINTS="backup.pruning")[0] == KILLED
    code, told = vault.run("--keep", "daily=1")
    assert (code, vault.partials()) == (0, [])
    assert os.readlink(vault.folder / "latest") == Path(told["path"]).name
    vault.assert_sound()


def test_a_backup_killed_at_random_moments_leaves_nothing_that_looks_whole(vault: Vault) -> None:
    moments = random.Random(4)
    started = time.monotonic()
    assert vault.run()[0] == 0
    length = time.monotonic() - started
    outcomes = []
    with busy(vault.service):
        for _ in range(KILLS):
            with vault.start() as process:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(moments.uniform(0.3, 1.1) * length)
                with suppress(ProcessLookupError):
                    # Sometimes the coordinator alone, sometimes all that it started too.
                    moments.choice((os.kill, os.killpg))(process.pid, signal.SIGKILL)
            outcomes.append(process.returncode)
            vault.assert_sound()
    assert outcomes.count(KILLED) >= KILLS // 2
    code, _ = vault.run("--keep", "daily=2")
    assert (code, vault.partials()) == (0, [])
    vault.assert_sound()
    vault.service.assert_stores_agree()
