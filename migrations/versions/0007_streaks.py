"""streaks: local days, rest days, protected days

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# What each finished run has earned so far, nothing being spent yet: the bank that a recount finds.
EARNED_FREEZES = """
UPDATE learner_states s SET freezes = least(2, earned.freezes) FROM (
    SELECT user_id, sum(length / 7) AS freezes FROM (
        SELECT user_id, count(*) AS length FROM (
            SELECT user_id, local_date - row_number() OVER (PARTITION BY user_id ORDER BY local_date)::integer AS island
            FROM (SELECT DISTINCT user_id, local_date FROM challenge_completions WHERE status = 'validated') days
        ) islands GROUP BY user_id, island
    ) runs GROUP BY user_id
) earned WHERE earned.user_id = s.user_id
"""


def upgrade() -> None:
    op.create_table(
        "rest_days",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("weekday", sa.SmallInteger(), nullable=True),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("translations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("weekday BETWEEN 1 AND 7", name=op.f("ck_rest_days_weekday_in_range")),
        sa.CheckConstraint("starts_on <= ends_on", name=op.f("ck_rest_days_dates_are_ordered")),
        sa.CheckConstraint("weekday IS NOT NULL OR ends_on IS NOT NULL", name=op.f("ck_rest_days_dates_are_closed")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rest_days")),
    )
    op.add_column("app_meta", sa.Column("calendar_version", sa.Integer(), server_default="1", nullable=False))
    op.alter_column("app_meta", "calendar_version", server_default=None)
    op.add_column(
        "learner_states",
        sa.Column("protected_days", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
    )
    op.alter_column("learner_states", "protected_days", server_default=None)
    op.execute(EARNED_FREEZES)
    op.add_column("users", sa.Column("day_start_hour", sa.SmallInteger(), server_default="0", nullable=False))
    op.alter_column("users", "day_start_hour", server_default=None)
    op.add_column("users", sa.Column("former_timezone", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("former_day_start_hour", sa.SmallInteger(), nullable=True))
    op.add_column("users", sa.Column("held_on", sa.Date(), nullable=True))
    op.add_column("users", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_users_day_start_in_range"), "users", "day_start_hour BETWEEN 0 AND 12")
    op.create_check_constraint(
        op.f("ck_users_held_day_is_whole"),
        "users",
        "num_nulls(former_timezone, former_day_start_hour, held_on, held_until) IN (0, 4)",
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_users_held_day_is_whole"), "users")
    op.drop_constraint(op.f("ck_users_day_start_in_range"), "users")
    for name in ("held_until", "held_on", "former_day_start_hour", "former_timezone", "day_start_hour"):
        op.drop_column("users", name)
    op.drop_column("learner_states", "protected_days")
    op.drop_column("app_meta", "calendar_version")
    op.drop_table("rest_days")
