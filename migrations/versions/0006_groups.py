"""groups

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


# Relays hold the shared side of this lock (storage.locks.BARRIER) while they deliver: none may do so between the sums.
COUNT_DELIVERED = """
SELECT pg_advisory_xact_lock(7203001);
CREATE TEMPORARY TABLE delivered ON COMMIT DROP AS
    SELECT e.user_id, e.payload ->> 'category' AS category, (e.payload ->> 'co2e_grams')::bigint AS co2e_grams,
        CASE e.type WHEN 'challenge.completed' THEN 1 ELSE -1 END AS sign
    FROM activity_events e
    WHERE (e.type, e.version) IN (('challenge.completed', 1), ('challenge.revoked', 1))
        AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id);
INSERT INTO eco_contributions (user_id, co2e_grams)
    SELECT user_id, sum(sign * co2e_grams) FROM delivered GROUP BY user_id;
INSERT INTO eco_totals (name, value)
    SELECT 'co2e_grams:' || category, sum(sign * co2e_grams) FROM delivered GROUP BY category
    UNION ALL SELECT 'completions:' || category, sum(sign) FROM delivered GROUP BY category
    UNION ALL SELECT 'learners', count(*) FROM eco_contributions WHERE co2e_grams > 0 HAVING count(*) > 0;
"""


def upgrade() -> None:
    op.create_table(
        "eco_totals",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_eco_totals")),
    )
    op.create_table(
        "eco_contributions",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("co2e_grams", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_eco_contributions_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_eco_contributions")),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("join_code", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "join_code ~ '^[0123456789ABCDEFGHJKMNPQRSTVWXYZ]{10}$'", name=op.f("ck_groups_join_code_is_canonical")
        ),
        sa.CheckConstraint("kind IN ('class', 'team')", name=op.f("ck_groups_kind_is_known")),
        sa.CheckConstraint("members BETWEEN 0 AND 500", name=op.f("ck_groups_has_room")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_groups_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_groups")),
        sa.UniqueConstraint("join_code", name="uq_groups_join_code"),
        sa.UniqueConstraint("slug", name="uq_groups_slug"),
    )
    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.create_index("ix_groups_owner_id", ["owner_id"], unique=False)

    op.create_table(
        "group_memberships",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("group_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("left_at >= joined_at", name=op.f("ck_group_memberships_stay_is_ordered")),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name=op.f("fk_group_memberships_group_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_group_memberships_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_memberships")),
    )
    with op.batch_alter_table("group_memberships", schema=None) as batch_op:
        batch_op.create_index(
            "ix_group_memberships_mine", ["user_id"], unique=False, postgresql_where=sa.text("left_at IS NULL")
        )
        batch_op.create_index("ix_group_memberships_stays", ["group_id", "user_id"], unique=False)
        batch_op.create_index(
            "uq_group_memberships_current",
            ["group_id", "user_id"],
            unique=True,
            postgresql_where=sa.text("left_at IS NULL"),
        )
    op.execute(COUNT_DELIVERED)


def downgrade() -> None:
    with op.batch_alter_table("group_memberships", schema=None) as batch_op:
        batch_op.drop_index("uq_group_memberships_current", postgresql_where=sa.text("left_at IS NULL"))
        batch_op.drop_index("ix_group_memberships_stays")
        batch_op.drop_index("ix_group_memberships_mine", postgresql_where=sa.text("left_at IS NULL"))

    op.drop_table("group_memberships")
    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.drop_index("ix_groups_owner_id")

    op.drop_table("groups")
    op.drop_table("eco_contributions")
    op.drop_table("eco_totals")
