"""rules: versions, counters by need, back-fill, expiry

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Rules of the past were not kept: every version that an award names gets the one in force.
KNOWN_RULES = """
INSERT INTO badge_rules (badge_code, version, criteria, created_at)
SELECT d.code, v.version, d.criteria, d.created_at FROM badge_definitions d
CROSS JOIN LATERAL (
    SELECT d.version UNION SELECT g.rule_version FROM badge_grants g WHERE g.badge_code = d.code
) AS v (version)
"""

HOLDINGS = """
UPDATE learner_states s SET held_badges = h.held FROM (
    SELECT g.user_id, jsonb_object_agg(g.badge_code, jsonb_build_object(
        'origin', g.origin, 'points', g.points, 'tier', e.payload ->> 'tier', 'rule', g.rule_version,
        'on', e.local_date)) AS held
    FROM badge_grants g JOIN activity_events e ON e.event_id = g.event_id
    WHERE g.revoked_at IS NULL GROUP BY g.user_id
) AS h WHERE h.user_id = s.user_id
"""


def upgrade() -> None:
    op.create_table(
        "badge_rules",
        sa.Column("badge_code", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("criteria", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["badge_code"], ["badge_definitions.code"], name=op.f("fk_badge_rules_badge_code_badge_definitions")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_badge_rules_created_by_users")),
        sa.PrimaryKeyConstraint("badge_code", "version", name=op.f("pk_badge_rules")),
    )
    op.create_table(
        "rule_measures",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("since", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rule_measures")),
    )
    op.create_table(
        "backfill_jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("badge_code", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("holders", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.Column("after_user_id", sa.BigInteger(), nullable=False),
        sa.Column("examined", sa.Integer(), nullable=False),
        sa.Column("awarded", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("holders IN ('keep', 'reevaluate')", name=op.f("ck_backfill_jobs_holders_is_known")),
        sa.CheckConstraint("state IN ('waiting', 'done', 'superseded')", name=op.f("ck_backfill_jobs_state_is_known")),
        sa.ForeignKeyConstraint(
            ["badge_code"], ["badge_definitions.code"], name=op.f("fk_backfill_jobs_badge_code_badge_definitions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill_jobs")),
    )
    op.create_index("ix_backfill_jobs_badge", "backfill_jobs", ["badge_code", "id"])
    op.create_index("ix_backfill_jobs_waiting", "backfill_jobs", ["id"], postgresql_where=sa.text("state = 'waiting'"))
    with op.batch_alter_table("badge_definitions") as table:
        table.add_column(sa.Column("is_revocable", sa.Boolean(), nullable=False, server_default=sa.true()))
        table.add_column(sa.Column("valid_days", sa.Integer(), nullable=True))
        table.add_column(sa.Column("rule_version", sa.Integer(), nullable=False, server_default="1"))
        table.create_check_constraint(op.f("ck_badge_definitions_validity_in_range"), "valid_days BETWEEN 1 AND 3660")
    op.add_column("badge_grants", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_badge_grants_expiring",
        "badge_grants",
        ["expires_at"],
        postgresql_where=sa.text("revoked_at IS NULL AND expires_at IS NOT NULL"),
    )
    op.add_column("learner_states", sa.Column("measured_version", sa.Integer(), nullable=False, server_default="0"))
    # Counters change with every deed: compressing them each time costs more than all else that is written.
    op.execute("ALTER TABLE learner_states ALTER COLUMN counters SET STORAGE EXTERNAL")
    op.execute("UPDATE badge_definitions SET rule_version = version")
    op.execute(KNOWN_RULES)
    op.execute(HOLDINGS)
    # The score is the sum of its two parts; it is no longer kept a third time.
    op.execute("UPDATE learner_states SET counters = counters - 'points' WHERE counters ? 'points'")
    for table, column in (
        ("badge_definitions", "is_revocable"),
        ("badge_definitions", "rule_version"),
        ("learner_states", "measured_version"),
    ):
        op.alter_column(table, column, server_default=None)


def downgrade() -> None:
    op.execute("ALTER TABLE learner_states ALTER COLUMN counters SET STORAGE EXTENDED")
    op.drop_column("learner_states", "measured_version")
    op.drop_index("ix_badge_grants_expiring", table_name="badge_grants")
    op.drop_column("badge_grants", "expires_at")
    op.drop_constraint(op.f("ck_badge_definitions_validity_in_range"), "badge_definitions")
    for column in ("rule_version", "valid_days", "is_revocable"):
        op.drop_column("badge_definitions", column)
    for table in ("backfill_jobs", "rule_measures", "badge_rules"):
        op.drop_table(table)
