"""wrong answers are counted, remembered answers keep their headers

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answer_attempts",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("challenge_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("wrong", sa.SmallInteger(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "challenge_id", name=op.f("pk_answer_attempts")),
    )
    op.add_column("idempotency_keys", sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "headers")
    op.drop_table("answer_attempts")
