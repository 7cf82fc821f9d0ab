"""jobs: runs of maintenance jobs, daily usage, erased accounts

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# The journal stays append-only, but for one thing: what people wrote in their own words may give way to a dash.
FREE_TEXTS = ("{reason}", "{evidence,reason}", "{evidence,text}", "{evidence,url}")
MAY_BECOME_A_DASH = """
CREATE FUNCTION differs_but_for_dashes(old activity_events, new activity_events) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_jsonb(old) - 'payload' <> to_jsonb(new) - 'payload'
        OR old.payload {stripped} <> new.payload {stripped}
        OR {others}
$$;
DROP TRIGGER activity_events_keep_rows ON activity_events;
CREATE TRIGGER activity_events_keep_rows BEFORE DELETE ON activity_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER activity_events_keep_contents BEFORE UPDATE ON activity_events
    FOR EACH ROW WHEN (differs_but_for_dashes(OLD, NEW)) EXECUTE FUNCTION refuse_change();
""".format(
    stripped=" ".join(f"#- '{path}'" for path in FREE_TEXTS),
    others="\n        OR ".join(
        f"old.payload #> '{path}' IS DISTINCT FROM new.payload #> '{path}'"
        f" AND (old.payload #> '{path}' IS NULL OR new.payload #>> '{path}' IS DISTINCT FROM '–')"
        for path in FREE_TEXTS
    ),
)
NOTHING_MAY_CHANGE = """
DROP TRIGGER activity_events_keep_contents ON activity_events;
DROP TRIGGER activity_events_keep_rows ON activity_events;
DROP FUNCTION differs_but_for_dashes;
CREATE TRIGGER activity_events_keep_rows BEFORE UPDATE OR DELETE ON activity_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.create_table(
        "job_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
    )
    op.create_index("ix_job_runs_name", "job_runs", ["name", "id"])
    op.create_table(
        "usage_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("learners", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("completions", sa.Integer(), nullable=False),
        sa.Column("xp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_usage_days")),
    )
    op.add_column("users", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_activity_events_time", "activity_events", ["occurred_at"], postgresql_using="brin")
    op.execute(MAY_BECOME_A_DASH)


def downgrade() -> None:
    op.execute(NOTHING_MAY_CHANGE)
    op.drop_index("ix_activity_events_time", table_name="activity_events")
    op.drop_column("users", "erased_at")
    op.drop_table("usage_days")
    op.drop_table("job_runs")
