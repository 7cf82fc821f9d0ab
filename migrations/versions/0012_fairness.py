"""fairness: finding one's own place, who took part, and the badge that a challenge gives

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _origins(*known: str) -> None:
    name = op.f("ck_badge_grants_origin_is_known")
    op.drop_constraint(name, "badge_grants")
    op.create_check_constraint(name, "badge_grants", f"origin IN ({', '.join(map(repr, known))})")


def upgrade() -> None:
    op.add_column("challenges", sa.Column("reward_badge", sa.Text()))
    op.create_foreign_key(
        op.f("fk_challenges_reward_badge"),
        "challenges",
        "badge_definitions",
        ["reward_badge"],
        ["code"],
    )
    _origins("rule", "manual", "challenge")
    op.create_index("ix_leaderboard_places_mine", "leaderboard_places", ["snapshot_id", "user_id"])
    op.create_index(
        "ix_challenge_completions_mine",
        "challenge_completions",
        ["challenge_id", "user_id"],
        postgresql_where=sa.text("co2e_grams = 0"),
    )
    op.create_index(
        "ix_challenge_participations_past",
        "challenge_participations",
        ["challenge_id", "left_at"],
        postgresql_where=sa.text("left_at IS NOT NULL"),
    )


def downgrade() -> None:
    # Awards that a challenge gave stay held, as if given by hand: nothing takes them back any more.
    op.execute("UPDATE badge_grants SET origin = 'manual' WHERE origin = 'challenge'")
    _origins("rule", "manual")
    op.drop_column("challenges", "reward_badge")
    op.drop_index("ix_challenge_participations_past", table_name="challenge_participations")
    op.drop_index("ix_challenge_completions_mine", table_name="challenge_completions")
    op.drop_index("ix_leaderboard_places_mine", table_name="leaderboard_places")
