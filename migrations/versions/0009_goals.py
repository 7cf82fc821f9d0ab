"""goals: timed challenges that complete by themselves, joining, teams, results

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KEEP = """
CREATE TRIGGER challenge_results_keep_rows BEFORE UPDATE OR DELETE ON challenge_results
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER challenge_results_keep_table BEFORE TRUNCATE ON challenge_results
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
CHECKS = {
    "criteria_complete": "(validation = 'criteria') = (criteria IS NOT NULL)",
    "criteria_have_window": "criteria IS NULL OR (cadence <> 'once' AND co2e_grams = 0)",
    "event_is_bounded": "criteria IS NULL OR cadence <> 'event' OR (opens_on IS NOT NULL AND closes_on IS NOT NULL)",
    "team_target_in_range": ("team_target IS NULL OR (criteria IS NOT NULL AND team_target BETWEEN 1 AND 1000000000)"),
}


def upgrade() -> None:
    op.drop_constraint(op.f("ck_challenges_validation_is_known"), "challenges")
    op.create_check_constraint(
        op.f("ck_challenges_validation_is_known"),
        "challenges",
        "validation IN ('self', 'answer', 'approval', 'criteria')",
    )
    op.add_column("challenges", sa.Column("criteria", postgresql.JSONB(none_as_null=True), nullable=True))
    op.add_column("challenges", sa.Column("opens_on", sa.Date(), nullable=True))
    op.add_column("challenges", sa.Column("closes_on", sa.Date(), nullable=True))
    op.add_column("challenges", sa.Column("requires_joining", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("challenges", "requires_joining", server_default=None)
    op.add_column("challenges", sa.Column("team_target", sa.Integer(), nullable=True))
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(f"ck_challenges_{name}"), "challenges", condition)
    _create_tables()
    op.execute(KEEP)
    op.alter_column("backfill_jobs", "badge_code", nullable=True)
    op.add_column("backfill_jobs", sa.Column("challenge_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_backfill_jobs_challenge_id_challenges"), "backfill_jobs", "challenges", ["challenge_id"], ["id"]
    )
    op.create_index("ix_backfill_jobs_challenge", "backfill_jobs", ["challenge_id", "id"])
    op.create_check_constraint(
        op.f("ck_backfill_jobs_judges_one_thing"), "backfill_jobs", "num_nonnulls(badge_code, challenge_id) = 1"
    )


def _create_tables() -> None:
    op.create_table(
        "challenge_participations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("left_at >= joined_at", name=op.f("ck_challenge_participations_stay_is_ordered")),
        sa.ForeignKeyConstraint(
            ["challenge_id"], ["challenges.id"], name=op.f("fk_challenge_participations_challenge_id_challenges")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_challenge_participations_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenge_participations")),
    )
    op.create_index("ix_challenge_participations_stays", "challenge_participations", ["user_id", "challenge_id"])
    op.create_index(
        "uq_challenge_participations_current",
        "challenge_participations",
        ["challenge_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_table(
        "challenge_results",
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("participants", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("finishers_hash", sa.Text(), nullable=False),
        sa.Column("teams", postgresql.JSONB(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_id"], ["challenges.id"], name=op.f("fk_challenge_results_challenge_id_challenges")
        ),
        sa.PrimaryKeyConstraint("challenge_id", "period", name=op.f("pk_challenge_results")),
    )
    foreign = {"challenge_id": "challenges.id", "group_id": "groups.id", "user_id": "users.id"}
    op.create_table(
        "team_contributions",
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        *(
            sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_team_contributions_{column}_{target[:-3]}"))
            for column, target in foreign.items()
        ),
        sa.PrimaryKeyConstraint("challenge_id", "period", "group_id", "user_id", name=op.f("pk_team_contributions")),
    )


def downgrade() -> None:
    op.execute("DELETE FROM backfill_jobs WHERE badge_code IS NULL")
    op.drop_constraint(op.f("ck_backfill_jobs_judges_one_thing"), "backfill_jobs")
    op.drop_index("ix_backfill_jobs_challenge", table_name="backfill_jobs")
    op.drop_column("backfill_jobs", "challenge_id")
    op.alter_column("backfill_jobs", "badge_code", nullable=False)
    for table in ("team_contributions", "challenge_results", "challenge_participations"):
        op.drop_table(table)
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_challenges_{name}"), "challenges")
    for column in ("team_target", "requires_joining", "closes_on", "opens_on", "criteria"):
        op.drop_column("challenges", column)
    op.drop_constraint(op.f("ck_challenges_validation_is_known"), "challenges")
    op.execute("UPDATE challenges SET validation = 'self' WHERE validation = 'criteria'")
    op.create_check_constraint(
        op.f("ck_challenges_validation_is_known"), "challenges", "validation IN ('self', 'answer', 'approval')"
    )
