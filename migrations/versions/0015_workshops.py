"""workshops: their registrations and comments, and mails

Revision ID: 0015
Revises: 0014
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Beside reasons and evidence, what learners answer to a trainer may give way to a dash: all of it is in `words`.
FREE_TEXTS = ("{reason}", "{evidence,reason}", "{evidence,text}", "{evidence,url}")
SHARED = (
    "ck_share_links_pictures_are_known",
    "share_links",
    "cardinality(pictures) > 0 AND pictures <@ ARRAY[{}]::text[]",
)
DIFFERS = """
CREATE OR REPLACE FUNCTION differs_but_for_dashes(old activity_events, new activity_events) RETURNS boolean
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_jsonb(old) - 'payload' <> to_jsonb(new) - 'payload'
        OR old.payload {stripped} <> new.payload {stripped}
        OR {others}
$$;
"""


def differs_but_for(paths: tuple[str, ...]) -> str:
    """Return the SQL of the function that the trigger of the journal asks."""
    return DIFFERS.format(
        stripped=" ".join(f"#- '{path}'" for path in paths),
        others="\n        OR ".join(
            f"old.payload #> '{path}' IS DISTINCT FROM new.payload #> '{path}'"
            f" AND (old.payload #> '{path}' IS NULL OR new.payload #>> '{path}' IS DISTINCT FROM '–')"
            for path in paths
        ),
    )


def share(kinds: str) -> None:
    """Say what share links may open."""
    op.drop_constraint(op.f(SHARED[0]), SHARED[1])
    op.create_check_constraint(op.f(SHARED[0]), SHARED[1], SHARED[2].format(kinds))


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("skipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("num_nonnulls(sent_at, dead_at, skipped_at) <= 1", name=op.f("ck_mails_end_is_one")),
        sa.CheckConstraint(
            "kind IN ('workshop_registered', 'workshop_waitlisted', 'workshop_offered', 'workshop_promoted',"
            " 'workshop_left', 'workshop_reminder', 'workshop_changed', 'workshop_cancelled')",
            name=op.f("ck_mails_kind_is_known"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_mails_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint("key", name="uq_mails_key"),
    )
    op.create_index(
        "ix_mails_due",
        "mails",
        ["next_attempt_at", "id"],
        postgresql_where=sa.text("sent_at IS NULL AND dead_at IS NULL AND skipped_at IS NULL"),
    )
    op.create_index("ix_mails_dead", "mails", ["id"], postgresql_where=sa.text("dead_at IS NOT NULL"))
    op.create_index("ix_mails_user_id", "mails", ["user_id"])

    op.create_table(
        "workshops",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("trainer_id", sa.BigInteger(), nullable=False),
        sa.Column("translations", postgresql.JSONB(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("registration_opens_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("registration_closes_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offer_hours", sa.Integer(), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("questions", postgresql.JSONB(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'published', 'cancelled', 'closed')", name=op.f("ck_workshops_status_is_known")
        ),
        sa.CheckConstraint("capacity BETWEEN 1 AND 10000", name=op.f("ck_workshops_capacity_in_range")),
        sa.CheckConstraint(
            "offer_hours IS NULL OR offer_hours BETWEEN 1 AND 336", name=op.f("ck_workshops_offer_hours_in_range")
        ),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name=op.f("ck_workshops_points_in_range")),
        sa.CheckConstraint(
            "registration_opens_at IS NULL OR registration_closes_at IS NULL"
            " OR registration_opens_at < registration_closes_at",
            name=op.f("ck_workshops_window_is_ordered"),
        ),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_workshops_time_is_ordered")),
        sa.CheckConstraint("taken BETWEEN 0 AND capacity", name=op.f("ck_workshops_has_room")),
        sa.CheckConstraint("waiting >= 0", name=op.f("ck_workshops_queue_is_counted")),
        sa.ForeignKeyConstraint(["trainer_id"], ["users.id"], name=op.f("fk_workshops_trainer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workshops")),
        sa.UniqueConstraint("slug", name="uq_workshops_slug"),
    )
    op.create_index(
        "ix_workshops_agenda", "workshops", ["starts_at", "id"], postgresql_where=sa.text("archived_at IS NULL")
    )
    op.create_index("ix_workshops_trainer_id", "workshops", ["trainer_id", "starts_at"])

    op.create_table(
        "workshop_comments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workshop_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("moderated_by", sa.BigInteger(), nullable=True),
        sa.Column("moderation_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('visible', 'hidden', 'deleted')", name=op.f("ck_workshop_comments_state_is_known")
        ),
        sa.ForeignKeyConstraint(["moderated_by"], ["users.id"], name=op.f("fk_workshop_comments_moderated_by")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_workshop_comments_user_id")),
        sa.ForeignKeyConstraint(["workshop_id"], ["workshops.id"], name=op.f("fk_workshop_comments_workshop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workshop_comments")),
    )
    op.create_index("ix_workshop_comments_list", "workshop_comments", ["workshop_id", "id"])
    op.create_index("ix_workshop_comments_mine", "workshop_comments", ["user_id", "created_at"])

    op.create_table(
        "workshop_registrations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workshop_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("offered_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attended_on", sa.Date(), nullable=True),
        sa.Column("rating", sa.SmallInteger(), nullable=True),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(status = 'attended') = (attended_on IS NOT NULL)",
            name=op.f("ck_workshop_registrations_attendance_is_dated"),
        ),
        sa.CheckConstraint(
            "(status = 'cancelled') = (ended_at IS NOT NULL)", name=op.f("ck_workshop_registrations_end_is_dated")
        ),
        sa.CheckConstraint(
            "offered_until IS NULL OR status = 'waitlisted'", name=op.f("ck_workshop_registrations_offer_is_open")
        ),
        sa.CheckConstraint(
            "status IN ('registered', 'waitlisted', 'cancelled', 'attended')",
            name=op.f("ck_workshop_registrations_status_is_known"),
        ),
        sa.CheckConstraint("rating BETWEEN 1 AND 5", name=op.f("ck_workshop_registrations_rating_in_range")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_workshop_registrations_user_id")),
        sa.ForeignKeyConstraint(["workshop_id"], ["workshops.id"], name=op.f("fk_workshop_registrations_workshop_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workshop_registrations")),
    )
    op.create_index("ix_workshop_registrations_list", "workshop_registrations", ["workshop_id", "id"])
    op.create_index("ix_workshop_registrations_mine", "workshop_registrations", ["user_id", "id"])
    op.create_index(
        "ix_workshop_registrations_offers",
        "workshop_registrations",
        ["offered_until"],
        postgresql_where=sa.text("offered_until IS NOT NULL"),
    )
    op.create_index(
        "ix_workshop_registrations_queue",
        "workshop_registrations",
        ["workshop_id", "id"],
        postgresql_where=sa.text("status = 'waitlisted'"),
    )
    op.create_index(
        "uq_workshop_registrations_current",
        "workshop_registrations",
        ["workshop_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("status <> 'cancelled'"),
    )
    op.execute(differs_but_for((*FREE_TEXTS, "{words}")))
    share("'progress', 'activity', 'workshops'")


def downgrade() -> None:
    op.execute("DELETE FROM share_links WHERE 'workshops' = ALL (pictures)")
    op.execute("UPDATE share_links SET pictures = array_remove(pictures, 'workshops')")
    share("'progress', 'activity'")
    op.execute(differs_but_for(FREE_TEXTS))
    op.drop_index("uq_workshop_registrations_current", table_name="workshop_registrations")
    op.drop_index("ix_workshop_registrations_queue", table_name="workshop_registrations")
    op.drop_index("ix_workshop_registrations_offers", table_name="workshop_registrations")
    op.drop_index("ix_workshop_registrations_mine", table_name="workshop_registrations")
    op.drop_index("ix_workshop_registrations_list", table_name="workshop_registrations")
    op.drop_table("workshop_registrations")
    op.drop_index("ix_workshop_comments_mine", table_name="workshop_comments")
    op.drop_index("ix_workshop_comments_list", table_name="workshop_comments")
    op.drop_table("workshop_comments")
    op.drop_index("ix_workshops_trainer_id", table_name="workshops")
    op.drop_index("ix_workshops_agenda", table_name="workshops")
    op.drop_table("workshops")
    op.drop_index("ix_mails_user_id", table_name="mails")
    op.drop_index("ix_mails_dead", table_name="mails")
    op.drop_index("ix_mails_due", table_name="mails")
    op.drop_table("mails")
