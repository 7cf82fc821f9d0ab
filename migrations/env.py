"""Alembic environment: the entities are the truth, the application's engine is the connection."""

from alembic import context
from flask import current_app

import rebootcamp.models.sql  # noqa: F401  registers every table
from rebootcamp.storage.locks import DDL
from rebootcamp.storage.sql import Base, db


def run() -> None:
    """Migrate within one transaction, holding the DDL lock that backups share."""
    options = current_app.extensions["migrate"].configure_args
    with db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata, **options)
        with context.begin_transaction():
            connection.exec_driver_sql("SET LOCAL lock_timeout = '30s'")
            connection.exec_driver_sql("SET LOCAL statement_timeout = '0'")
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%(lock)s)", {"lock": DDL})
            context.run_migrations()


run()
