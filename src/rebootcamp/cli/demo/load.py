"""Loading the demo data into a prepared, empty pair."""

from __future__ import annotations

import io
from typing import Final

import pymongo
import sqlalchemy as sa
from sqlalchemy.orm import Session

from rebootcamp.cli.demo.files import MONGO_DUMP, SQL_DUMP
from rebootcamp.cli.demo.history import PASSWORD, PASSWORD_HASH, STAFF, STUDENT
from rebootcamp.cli.failures import CouldNotRun
from rebootcamp.config import Settings
from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.languages import Text
from rebootcamp.integrations.passwords import verify_password
from rebootcamp.models.sql.accounts import User
from rebootcamp.models.sql.badges import RuleMeasure
from rebootcamp.models.sql.levels import LevelDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.backups.plain import (
    IDENTITY,
    SqlDump,
    dumped_tables,
    insert_documents,
    missing_documents,
    raw_cursor,
    read_mongo,
    read_sql,
)
from rebootcamp.storage import mongo
from rebootcamp.storage.transactions import transaction

MONGO_SECONDS: Final = 60
# The pair keeps its own identity, so two pairs with the same demo data stay two pairs, and its curve of levels.
KEPT: Final = frozenset({AppMeta.__tablename__, LevelDefinition.__tablename__})


class DemoAccounts(DomainError):
    """Accounts whose password everybody knows can sign in."""

    kind = Kind.CONFLICT
    code = "demo_accounts"
    title = Text("Demo accounts", "Comptes de démonstration")
    detail = Text(
        "{count} active accounts have the published demo password ({email} is the first): "
        "deactivate them or start with an empty pair before you go into production.",
        "{count} comptes actifs ont le mot de passe public de démonstration (le premier : {email}) : "
        "désactivez-les ou partez de bases vides avant la mise en production.",
    )


def refuse_production(settings: Settings) -> None:
    """Raise `CouldNotRun` where accounts with a published password must never exist."""
    if settings.is_production:
        raise CouldNotRun("The demo data are refused in production: they come with published passwords.")


def refuse_demo_accounts(settings: Settings) -> None:
    """Raise `DemoAccounts` where production would let anybody in: an active account with the published password."""
    if not settings.is_production:
        return
    emails = [person["email"] for person in (*STAFF, STUDENT)]
    with transaction() as session:
        found = session.execute(
            sa.select(User.email, User.password_hash)
            .where(User.is_active, sa.or_(User.password_hash == PASSWORD_HASH, User.email.in_(emails)))
            .order_by(User.id)
        ).all()
    open_doors = [email for email, stored in found if stored == PASSWORD_HASH or verify_password(stored, PASSWORD)]
    if open_doors:
        raise DemoAccounts(count=len(open_doors), email=open_doors[0])


def load_demo() -> str:
    """Load both dumps and say how much that was; raise `CouldNotRun` unless both stores are empty.

    PostgreSQL commits last, so after an interruption the same command simply goes on.
    """
    documents = {name: found for name, found in read_mongo(MONGO_DUMP).items() if name != IDENTITY}
    with transaction() as session:
        session.execute(sa.text("SET LOCAL statement_timeout = 0"))
        # Two loads at once must not both find the table empty.
        session.execute(sa.text("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE"))
        if session.scalar(sa.select(sa.exists(sa.select(User.id)))):
            raise CouldNotRun("There are accounts already; demo data go into an empty pair only.")
        rows = _load_sql(session, read_sql(SQL_DUMP))
        with mongo.guarded(), pymongo.timeout(MONGO_SECONDS):
            missing = missing_documents(mongo.database(), documents, IDENTITY)
            loaded = insert_documents(mongo.database(), missing)
    return f"{rows} rows and {loaded} documents loaded"


def _load_sql(session: Session, dump: SqlDump) -> int:
    rows = 0
    with raw_cursor(session) as cursor:
        for table in dumped_tables():
            if table.name in dump.copies and table.name not in KEPT:
                columns, text = dump.copies[table.name]
                cursor.copy_expert(f"COPY public.{table.name} {columns} FROM STDIN", io.StringIO(text))
                rows += cursor.rowcount
        for statement in dump.sequences:
            cursor.execute(statement)
    # Processes that run already must read the rules and the catalogue again; and learners and counters say up to which
    # version of the rules they are complete, so this pair goes on where the other one was.
    latest = [sa.select(sa.func.max(of)).scalar_subquery() for of in (RuleMeasure.since, LearnerState.measured_version)]
    rules = sa.func.greatest(AppMeta.rules_version, *latest) + 1
    session.execute(sa.update(AppMeta).values(rules_version=rules, catalogue_version=AppMeta.catalogue_version + 1))
    session.execute(sa.text("ANALYZE"))
    return rows
