"""PostgreSQL databases as wholes: made, named, closed and dropped from beside, over the `postgres` database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import psycopg2
from psycopg2 import extensions, sql
from sqlalchemy.engine import URL

from rebootcamp.core import json
from rebootcamp.core.errors import Busy, DatabaseUnavailable, DomainError, Kind
from rebootcamp.core.failpoints import failpoint
from rebootcamp.core.languages import Text
from rebootcamp.storage.locks import RESTORE

MAINTENANCE: Final = "postgres"
FORMAT: Final = "rebootcamp"
SECONDS: Final = 5
WAIT: Final = "5s"
APPLICATION: Final = "rebootcamp-restore"
# What a restored database is while the live one is closed for it.
SWITCHING: Final = "switching"


class DatabasesNotOurs(DomainError):
    """The role may not make or rename databases."""

    kind = Kind.FORBIDDEN
    code = "databases_not_ours"
    title = Text("Not allowed to make databases", "Création de bases non autorisée")
    detail = Text(
        "PostgreSQL role {role} {lacks}. As a superuser: {remedy}",
        "Le rôle PostgreSQL {role} {lacks_fr}. En tant que superutilisateur : {remedy}",
    )


class InUse(DomainError):
    """Somebody stays connected to a database that is to be renamed."""

    kind = Kind.UNAVAILABLE
    code = "database_in_use"
    title = Text("Database in use", "Base utilisée")
    detail = Text(
        "Database {name} is still in use by {holders}: close it, then run the same command again.",
        "La base {name} est encore utilisée par {holders} : fermez ces connexions, puis relancez la même commande.",
    )


@dataclass(frozen=True)
class Mark:
    """What a restore notes on a database, as its comment: it outlives the process and follows every new name.

    `live` names the database in whose place the restore was meant to go, or beside which it was rehearsed.
    """

    role: str
    bid: str
    live: str
    mongo_database: str


@dataclass(frozen=True)
class Found:
    """A database of the server."""

    name: str
    owner: str
    is_ours: bool
    is_open: bool
    mark: Mark | None


class Databases:
    """The databases of one server. Each change is one transaction unless its method says otherwise."""

    def __init__(self, connection: extensions.connection) -> None:
        self._connection = connection

    def all(self) -> list[Found]:
        """Return every database, by name."""
        rows = self._rows(
            "SELECT datname, pg_get_userbyid(datdba), pg_has_role(datdba, 'USAGE'), datallowconn,"
            " shobj_description(oid, 'pg_database') FROM pg_database ORDER BY datname"
        )
        return [Found(name, owner, ours, is_open, _mark(comment)) for name, owner, ours, is_open, comment in rows]

    def find(self, name: str) -> Found | None:
        """Return the database of that name."""
        return next((found for found in self.all() if found.name == name), None)

    def identity(self) -> str:
        """Return what tells this server from every other one."""
        return str(self._rows("SELECT system_identifier FROM pg_control_system()")[0][0])

    def require_rights(self, live: str) -> None:
        """Raise `DatabasesNotOurs` unless this role may make databases and rename the live one."""
        role, may_create = self._rows(
            "SELECT rolname, rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        )[0]
        if not may_create:
            lacks = "may not make databases", "ne peut pas créer de bases"
            raise DatabasesNotOurs(
                role=role, lacks=lacks[0], lacks_fr=lacks[1], remedy=f'ALTER ROLE "{role}" CREATEDB;'
            )
        found = self.find(live)
        if found is not None and not found.is_ours:
            lacks = f"does not own database {live}", f"n'est pas propriétaire de la base {live}"
            remedy = f'ALTER DATABASE "{live}" OWNER TO "{role}";'
            raise DatabasesNotOurs(role=role, lacks=lacks[0], lacks_fr=lacks[1], remedy=remedy)

    def is_superuser(self) -> bool:
        """Tell whether whatever a dump contains would run with every right there is."""
        return bool(self._rows("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")[0][0])

    def create(self, name: str, mark: Mark) -> None:
        """Make an empty database. Between the two statements it has no mark yet."""
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        failpoint("restore.created")
        self.mark(name, mark)

    def drop(self, name: str) -> None:
        """Drop a database with whoever is connected to it, if it is there."""
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def mark(self, name: str, mark: Mark) -> None:
        """Note something on a database."""
        self._run(_comment(name, mark))

    def open(self, name: str) -> None:
        """Let everybody in again."""
        self._run(_allow(name, "true"))

    def reopen(self, live: str) -> bool:
        """Open what a restore that is no more had closed, and tell whether it was so.

        One that is at work holds the lock and keeps it closed; what somebody else closed stays as it is.
        """
        if not self._rows("SELECT pg_try_advisory_lock(%s, hashtext(%s))", RESTORE, live)[0][0]:
            return False
        found = self.all()
        is_closed = any(one.name == live and not one.is_open for one in found)
        marks = [one.mark for one in found if one.mark is not None]
        if not is_closed or not any(mark.role == SWITCHING and mark.live == live for mark in marks):
            return False
        self.open(live)
        return True

    def close(self, name: str, other: str, mark: Mark) -> None:
        """Let nobody in any more, send away who is, and note the reason on the other database."""
        with self._transaction() as run:
            run(_comment(other, mark))
            run(_allow(name, "false"))
        self.send_away(name)

    def send_away(self, name: str) -> None:
        """End the sessions of a database that this role may end."""
        self._rows(
            "SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity WHERE datname = %s"
            " AND pid <> pg_backend_pid()"
            " AND (pg_has_role(usesysid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))",
            name,
        )

    def swap(self, live: str, new: str, old: str, marks: tuple[Mark, Mark]) -> None:
        """Give both databases their new names, with their marks, in one transaction; raise `InUse`."""
        try:
            with self._transaction() as run:
                run(_rename(live, old))
                run(_comment(old, marks[1]))
                failpoint("restore.half_renamed")
                run(_rename(new, live))
                run(_comment(live, marks[0]))
                run(_allow(old, "true"))
                failpoint("restore.before_switch")
        except psycopg2.errors.ObjectInUse as error:
            raise InUse(name=live, holders=self._holders(live)) from error

    def name(self, new: str, wanted: str, mark: Mark) -> None:
        """Give a database a name that is free."""
        with self._transaction() as run:
            run(_rename(new, wanted))
            run(_comment(wanted, mark))

    def hold(self, name: str) -> None:
        """Hold the restores of a database until the connection ends; raise `Busy` when another one is under way.

        The session of a restore that was killed ends with the statement that it was at.
        """
        self._rows("SELECT set_config('lock_timeout', %s, false)", WAIT)
        try:
            self._rows("SELECT pg_advisory_lock(%s, hashtext(%s))", RESTORE, name)
        except psycopg2.errors.LockNotAvailable as error:
            raise Busy from error
        self._rows("SELECT set_config('lock_timeout', '0', false)")

    def _holders(self, name: str) -> str:
        sessions = "SELECT DISTINCT coalesce(usename, backend_type) FROM pg_stat_activity WHERE datname = %s"
        return ", ".join(sorted(str(who) for (who,) in self._rows(sessions, name))) or "?"

    def _rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
            return rows

    def _run(self, statement: sql.Composable) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[Callable[[sql.Composable], None]]:
        self._connection.autocommit = False
        try:
            with self._connection:
                yield self._run
        finally:
            self._connection.autocommit = True


@contextmanager
def databases(url: URL) -> Iterator[Databases]:
    """Yield the databases of the server that a URL names; raise `DatabaseUnavailable`."""
    try:
        connection = connect(url, MAINTENANCE)
    except psycopg2.OperationalError as error:
        raise DatabaseUnavailable from error
    with closing(connection):
        yield Databases(connection)


def connect(url: URL, database: str) -> extensions.connection:
    """Connect to a database of the server in autocommit, for work that takes as long as it takes."""
    address = url.set(drivername="postgresql", database=database).render_as_string(hide_password=False)
    connection = psycopg2.connect(address, connect_timeout=SECONDS, application_name=APPLICATION)
    connection.autocommit = True
    return connection


def hold(connection: extensions.connection, lock: int, wait: str) -> None:
    """Hold the exclusive side of a lock of this connection's database until it ends; raise `Busy`."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = %s", (wait,))
        try:
            cursor.execute("SELECT pg_advisory_lock(%s)", (lock,))
        except psycopg2.errors.LockNotAvailable as error:
            raise Busy from error


def _rename(name: str, new: str) -> sql.Composable:
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(new))


def _allow(name: str, what: str) -> sql.Composable:
    return sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS " + what).format(sql.Identifier(name))


def _comment(name: str, mark: Mark) -> sql.Composable:
    text = json.dumps_text({FORMAT: asdict(mark)})
    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))


def _mark(comment: str | None) -> Mark | None:
    try:
        return Mark(**json.loads(comment or "")[FORMAT])
    except (ValueError, LookupError, TypeError):
        return None
