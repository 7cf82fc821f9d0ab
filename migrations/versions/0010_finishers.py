"""finishers: the completions of a timed challenge by time

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_challenge_completions_finishers",
        "challenge_completions",
        ["challenge_id", "period", "completed_at", "id"],
        postgresql_where=sa.text("co2e_grams = 0"),
    )


def downgrade() -> None:
    op.drop_index("ix_challenge_completions_finishers", table_name="challenge_completions")
