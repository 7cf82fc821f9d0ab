"""team reviews: periods in which a team gave less than before

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "team_reviews",
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["challenge_id"], ["challenges.id"], name=op.f("fk_team_reviews_challenge_id_challenges")
        ),
        sa.PrimaryKeyConstraint("challenge_id", "period", name=op.f("pk_team_reviews")),
    )


def downgrade() -> None:
    op.drop_table("team_reviews")
