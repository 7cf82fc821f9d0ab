"""levels

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FIRST_CURVE = [
    {"number": number, "xp_floor": xp_floor, "translations": {"en": {"name": en}, "fr": {"name": fr}}}
    for number, (xp_floor, en, fr) in enumerate(
        (
            (0, "Apprentice", "Apprenti"),
            (100, "Explorer", "Explorateur"),
            (250, "Gatherer", "Cueilleur"),
            (450, "Gardener", "Jardinier"),
            (700, "Mender", "Réparateur"),
            (1000, "Scout", "Éclaireur"),
            (1400, "Guardian", "Gardien"),
            (1900, "Ambassador", "Ambassadeur"),
            (2600, "Pathfinder", "Pionnier"),
            (3500, "Mentor", "Mentor"),
            (4700, "Sage", "Sage"),
            (6200, "Phoenix", "Phénix"),
        ),
        start=1,
    )
]


def upgrade() -> None:
    levels = op.create_table(
        "levels",
        sa.Column("number", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("xp_floor", sa.Integer(), nullable=False),
        sa.Column("translations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("number BETWEEN 1 AND 50", name=op.f("ck_levels_number_in_range")),
        sa.CheckConstraint("xp_floor BETWEEN 0 AND 1000000000", name=op.f("ck_levels_floor_in_range")),
        sa.CheckConstraint("(number = 1) = (xp_floor = 0)", name=op.f("ck_levels_first_begins_at_zero")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_levels")),
        sa.UniqueConstraint("xp_floor", name="uq_levels_xp_floor"),
    )
    op.bulk_insert(levels, FIRST_CURVE)
    op.add_column("app_meta", sa.Column("levels_version", sa.Integer(), server_default="1", nullable=False))
    op.alter_column("app_meta", "levels_version", server_default=None)


def downgrade() -> None:
    op.drop_column("app_meta", "levels_version")
    op.drop_table("levels")
