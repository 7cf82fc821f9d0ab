"""leaderboards: boards with periods and categories, counts for ranks, opt-out, settings, published boards

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Everything delivered so far, told anew: what takes points back counts where they were given, and a score is
# reached when the last deed that still counts was done.
FILL_ENTRIES = """
INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at, is_listed)
SELECT b.board, b.period, e.user_id, sum(e.points), max(e.occurred_at) FILTER (WHERE e.stands),
    bool_and(u.is_listed AND u.is_active)
FROM (
    SELECT e.user_id, e.type, e.payload, e.points, e.occurred_at,
        CASE WHEN e.points < 0 THEN coalesce(lag(e.local_date) OVER deed, e.local_date) ELSE e.local_date END AS day,
        e.points > 0 AND coalesce(lead(e.points) OVER deed, 1) > 0 AS stands
    FROM activity_events e
    WHERE e.points <> 0 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id)
    WINDOW deed AS (
        PARTITION BY e.user_id, coalesce(e.payload -> 'completion_id', e.payload -> 'badge', to_jsonb(e.event_id))
        ORDER BY e.seq)
) AS e
JOIN users u ON u.id = e.user_id
CROSS JOIN LATERAL (VALUES
    ('global', 'all'),
    ('weekly', to_char(e.day, 'IYYY"-W"IW')),
    ('monthly', to_char(e.day, 'YYYY-MM')),
    ('seasonal', extract(year FROM e.day - interval '2 months')::text || '-'
        || (ARRAY['winter', 'spring', 'summer', 'autumn'])[extract(month FROM e.day)::int % 12 / 3 + 1]),
    ('category:' || (e.payload ->> 'category'), CASE WHEN e.type LIKE 'challenge.%' THEN 'all' END)
) AS b (board, period)
WHERE b.board IS NOT NULL AND b.period IS NOT NULL
GROUP BY b.board, b.period, e.user_id
"""
FILL_COUNTS = """
INSERT INTO leaderboard_counts (board, period, level, score, slot, learners, is_split)
SELECT board, period, t.level, score >> t.bits, 0, count(*), t.level = 2 AND count(*) >= 512
FROM leaderboard_entries CROSS JOIN (VALUES (0, 12), (1, 6), (2, 0)) AS t (level, bits)
WHERE is_listed AND score > 0
GROUP BY board, period, t.level, score >> t.bits
"""
FILL_SLOTS = """
INSERT INTO leaderboard_counts (board, period, level, score, slot, learners, is_split)
SELECT e.board, e.period, t.level, e.score, floor(extract(epoch FROM e.reached_at) * 1000)::bigint >> t.bits AS slot,
    count(*), false
FROM leaderboard_entries e
JOIN leaderboard_counts c ON c.is_split AND (c.board, c.period, c.score) = (e.board, e.period, e.score)
CROSS JOIN (VALUES (3, 27), (4, 21)) AS t (level, bits)
WHERE e.is_listed AND e.score > 0
GROUP BY 1, 2, 3, 4, 5
"""
FILL_ENTRIES_AS_BEFORE = """
INSERT INTO leaderboard_entries (board, period, user_id, score, reached_at)
SELECT 'global', 'all', e.user_id, sum(e.points), max(e.occurred_at) FROM activity_events e
WHERE e.points <> 0 AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id)
GROUP BY e.user_id
"""
KEEP = """
CREATE TRIGGER {table}_keep_rows BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER {table}_keep_table BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute("SET LOCAL statement_timeout = 0")
    op.add_column("users", sa.Column("nickname", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("is_listed", sa.Boolean(), server_default=sa.true(), nullable=False))
    _change_entries()
    _create_counts()
    _create_snapshots()
    # What was just written is unknown to the planner otherwise, and there may be much of it.
    for statement in (
        FILL_ENTRIES,
        "ANALYZE leaderboard_entries",
        FILL_COUNTS,
        "ANALYZE leaderboard_counts",
        FILL_SLOTS,
    ):
        op.execute(statement)
    for table in ("leaderboard_snapshots", "leaderboard_places"):
        op.execute(KEEP.format(table=table))


def downgrade() -> None:
    op.execute("SET LOCAL statement_timeout = 0")
    for table in ("leaderboard_places", "leaderboard_snapshots", "leaderboard_settings", "leaderboard_counts"):
        op.drop_table(table)
    op.execute("DELETE FROM leaderboard_entries")
    op.drop_index("ix_leaderboard_entries_order", table_name="leaderboard_entries")
    op.drop_constraint("pk_leaderboard_entries", "leaderboard_entries", type_="primary")
    op.drop_column("leaderboard_entries", "is_listed")
    op.alter_column("leaderboard_entries", "reached_at", nullable=False)
    op.create_primary_key("pk_leaderboard_entries", "leaderboard_entries", ["board", "period", "user_id"])
    op.create_index(
        "ix_leaderboard_entries_order",
        "leaderboard_entries",
        ["board", "period", sa.literal_column("score DESC"), "reached_at", "user_id"],
    )
    op.execute(FILL_ENTRIES_AS_BEFORE)
    op.drop_column("users", "is_listed")
    op.drop_column("users", "nickname")


def _change_entries() -> None:
    op.execute("DELETE FROM leaderboard_entries")
    op.drop_index("ix_leaderboard_entries_order", table_name="leaderboard_entries")
    op.drop_constraint("pk_leaderboard_entries", "leaderboard_entries", type_="primary")
    op.add_column("leaderboard_entries", sa.Column("is_listed", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.alter_column("leaderboard_entries", "reached_at", nullable=True)
    op.create_primary_key("pk_leaderboard_entries", "leaderboard_entries", ["user_id", "board", "period"])
    op.create_index(
        "ix_leaderboard_entries_order",
        "leaderboard_entries",
        ["board", "period", sa.literal_column("(- score)"), "reached_at", "user_id"],
        postgresql_include=["score"],
        postgresql_where=sa.text("is_listed AND score > 0"),
    )


def _create_counts() -> None:
    op.create_table(
        "leaderboard_counts",
        sa.Column("board", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("score", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.Column("is_split", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("board", "period", "level", "score", "slot", name=op.f("pk_leaderboard_counts")),
        postgresql_with={"fillfactor": 70},
    )


def _create_snapshots() -> None:
    op.create_table(
        "leaderboard_settings",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("students_see", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_leaderboard_settings_has_one_row")),
        sa.CheckConstraint(
            "students_see IN ('neighbours', 'full')", name=op.f("ck_leaderboard_settings_students_see_is_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaderboard_settings")),
    )
    op.create_table(
        "leaderboard_snapshots",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("board", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_by", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["frozen_by"], ["users.id"], name=op.f("fk_leaderboard_snapshots_frozen_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaderboard_snapshots")),
        sa.UniqueConstraint("board", "period", name="uq_leaderboard_snapshots_once"),
    )
    op.create_table(
        "leaderboard_places",
        sa.Column("snapshot_id", sa.BigInteger(), nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["leaderboard_snapshots.id"],
            name=op.f("fk_leaderboard_places_snapshot_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_leaderboard_places_user_id")),
        sa.PrimaryKeyConstraint("snapshot_id", "rank", name=op.f("pk_leaderboard_places")),
    )
