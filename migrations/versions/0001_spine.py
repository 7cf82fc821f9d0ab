"""spine

Revision ID: 0001
Revises:
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER activity_events_keep_rows BEFORE UPDATE OR DELETE ON activity_events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER activity_events_keep_table BEFORE TRUNCATE ON activity_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER xp_entries_keep_rows BEFORE UPDATE OR DELETE ON xp_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER xp_entries_keep_table BEFORE TRUNCATE ON xp_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.create_table(
        "app_meta",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("mongo_database", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("token_epoch", sa.Integer(), nullable=False),
        sa.Column("rules_version", sa.Integer(), nullable=False),
        sa.Column("catalogue_version", sa.Integer(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_app_meta_has_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_meta")),
    )
    op.create_table(
        "badge_definitions",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("icon", sa.Text(), nullable=False),
        sa.Column("criteria", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("translations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("projected_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "tier IN ('bronze', 'silver', 'gold', 'legendary')", name=op.f("ck_badge_definitions_tier_is_known")
        ),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name=op.f("ck_badge_definitions_points_in_range")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_badge_definitions")),
    )
    with op.batch_alter_table("badge_definitions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_badge_definitions_unprojected",
            ["code"],
            unique=False,
            postgresql_where=sa.text("projected_version < version"),
        )

    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=False),
        sa.Column("last_name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("token_version", sa.Integer(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("locale IN ('en', 'fr')", name=op.f("ck_users_locale_is_known")),
        sa.CheckConstraint(
            "role IN ('student', 'instructor', 'examiner', 'admin')", name=op.f("ck_users_role_is_known")
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_is_lower_case")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "activity_events",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_activity_events_user_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_activity_events")),
        sa.UniqueConstraint("user_id", "seq", name="uq_activity_events_seq"),
    )
    with op.batch_alter_table("activity_events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_activity_events_scoring", ["user_id", "seq"], unique=False, postgresql_where=sa.text("points <> 0")
        )

    op.create_table(
        "challenges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("difficulty", sa.Text(), nullable=False),
        sa.Column("cadence", sa.Text(), nullable=False),
        sa.Column("validation", sa.Text(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("co2e_grams", sa.Integer(), nullable=False),
        sa.Column("answers", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("translations", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("co2e_source", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "cadence IN ('once', 'daily', 'weekly', 'monthly', 'seasonal', 'event')",
            name=op.f("ck_challenges_cadence_is_known"),
        ),
        sa.CheckConstraint(
            "category IN ('energy', 'mobility', 'food', 'waste', 'water', 'digital', 'biodiversity', 'community')",
            name=op.f("ck_challenges_category_is_known"),
        ),
        sa.CheckConstraint("difficulty IN ('easy', 'medium', 'hard')", name=op.f("ck_challenges_difficulty_is_known")),
        sa.CheckConstraint(
            "validation <> 'answer' OR cardinality(answers) > 0", name=op.f("ck_challenges_answer_is_known")
        ),
        sa.CheckConstraint(
            "validation IN ('self', 'answer', 'approval')", name=op.f("ck_challenges_validation_is_known")
        ),
        sa.CheckConstraint("co2e_grams BETWEEN 0 AND 100000000", name=op.f("ck_challenges_co2e_in_range")),
        sa.CheckConstraint("points BETWEEN 0 AND 10000", name=op.f("ck_challenges_points_in_range")),
        sa.CheckConstraint(
            "starts_at IS NULL OR ends_at IS NULL OR starts_at < ends_at", name=op.f("ck_challenges_window_is_ordered")
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_challenges_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenges")),
        sa.UniqueConstraint("slug", name="uq_challenges_slug"),
    )
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.create_index(
            "ix_challenges_published",
            ["id"],
            unique=False,
            postgresql_where=sa.text("is_published AND archived_at IS NULL"),
        )

    op.create_table(
        "leaderboard_entries",
        sa.Column("board", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("reached_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_leaderboard_entries_user_id")),
        sa.PrimaryKeyConstraint("board", "period", "user_id", name=op.f("pk_leaderboard_entries")),
    )
    with op.batch_alter_table("leaderboard_entries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_leaderboard_entries_order",
            ["board", "period", sa.literal_column("score DESC"), "reached_at", "user_id"],
            unique=False,
        )

    op.create_table(
        "learner_states",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("challenge_points", sa.Integer(), nullable=False),
        sa.Column("badge_points", sa.Integer(), nullable=False),
        sa.Column("xp_total", sa.Integer(), nullable=False),
        sa.Column("daily_streak", sa.Integer(), nullable=False),
        sa.Column("longest_daily_streak", sa.Integer(), nullable=False),
        sa.Column("perfect_quiz_streak", sa.Integer(), nullable=False),
        sa.Column("last_active_on", sa.Date(), nullable=True),
        sa.Column("freezes", sa.Integer(), nullable=False),
        sa.Column("counters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("held_badges", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_learner_states_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_learner_states")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("family_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_tokens")),
        sa.UniqueConstraint("token_hash", name="uq_refresh_tokens_hash"),
    )
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_refresh_tokens_family_id", ["family_id"], unique=False)
        batch_op.create_index("ix_refresh_tokens_user_id", ["user_id"], unique=False)

    op.create_table(
        "badge_grants",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("badge_code", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("awarded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("origin IN ('rule', 'manual')", name=op.f("ck_badge_grants_origin_is_known")),
        sa.ForeignKeyConstraint(["badge_code"], ["badge_definitions.code"], name=op.f("fk_badge_grants_badge_code")),
        sa.ForeignKeyConstraint(["event_id"], ["activity_events.event_id"], name=op.f("fk_badge_grants_event_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_badge_grants_user_id")),
        sa.PrimaryKeyConstraint("user_id", "badge_code", name=op.f("pk_badge_grants")),
    )
    with op.batch_alter_table("badge_grants", schema=None) as batch_op:
        batch_op.create_index(
            "ix_badge_grants_holders",
            ["badge_code", "user_id"],
            unique=False,
            postgresql_where=sa.text("revoked_at IS NULL"),
        )

    op.create_table(
        "challenge_completions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("challenge_id", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("co2e_grams", sa.Integer(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("reviewed_by", sa.BigInteger(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("review_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'validated', 'rejected', 'revoked')",
            name=op.f("ck_challenge_completions_status_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["challenge_id"], ["challenges.id"], name=op.f("fk_challenge_completions_challenge_id")
        ),
        sa.ForeignKeyConstraint(["reviewed_by"], ["users.id"], name=op.f("fk_challenge_completions_reviewed_by")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_challenge_completions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenge_completions")),
    )
    with op.batch_alter_table("challenge_completions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_challenge_completions_days",
            ["user_id", "local_date"],
            unique=False,
            postgresql_where=sa.text("status = 'validated'"),
        )
        batch_op.create_index(
            "ix_challenge_completions_pending", ["id"], unique=False, postgresql_where=sa.text("status = 'pending'")
        )
        batch_op.create_index(
            "uq_challenge_completions_once",
            ["user_id", "challenge_id", "period"],
            unique=True,
            postgresql_where=sa.text("status IN ('pending', 'validated')"),
        )

    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("dead_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["activity_events.event_id"], name=op.f("fk_outbox_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_due", ["next_attempt_at"], unique=False, postgresql_where=sa.text("dead_at IS NULL")
        )
        batch_op.create_index("ix_outbox_line", ["user_id", "seq"], unique=False)

    op.create_table(
        "xp_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["activity_events.event_id"], name=op.f("fk_xp_entries_event_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_xp_entries_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_xp_entries")),
        sa.UniqueConstraint("event_id", "reason", name="uq_xp_entries_once"),
    )
    with op.batch_alter_table("xp_entries", schema=None) as batch_op:
        batch_op.create_index("ix_xp_entries_user_id", ["user_id", "id"], unique=False)

    op.execute(APPEND_ONLY)


def downgrade() -> None:
    with op.batch_alter_table("xp_entries", schema=None) as batch_op:
        batch_op.drop_index("ix_xp_entries_user_id")

    op.drop_table("xp_entries")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_line")
        batch_op.drop_index("ix_outbox_due", postgresql_where=sa.text("dead_at IS NULL"))

    op.drop_table("outbox")
    with op.batch_alter_table("challenge_completions", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_challenge_completions_once", postgresql_where=sa.text("status IN ('pending', 'validated')")
        )
        batch_op.drop_index("ix_challenge_completions_pending", postgresql_where=sa.text("status = 'pending'"))
        batch_op.drop_index("ix_challenge_completions_days", postgresql_where=sa.text("status = 'validated'"))

    op.drop_table("challenge_completions")
    with op.batch_alter_table("badge_grants", schema=None) as batch_op:
        batch_op.drop_index("ix_badge_grants_holders", postgresql_where=sa.text("revoked_at IS NULL"))

    op.drop_table("badge_grants")
    with op.batch_alter_table("refresh_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_refresh_tokens_user_id")
        batch_op.drop_index("ix_refresh_tokens_family_id")

    op.drop_table("refresh_tokens")
    op.drop_table("learner_states")
    with op.batch_alter_table("leaderboard_entries", schema=None) as batch_op:
        batch_op.drop_index("ix_leaderboard_entries_order")

    op.drop_table("leaderboard_entries")
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.drop_index("ix_challenges_published", postgresql_where=sa.text("is_published AND archived_at IS NULL"))

    op.drop_table("challenges")
    with op.batch_alter_table("activity_events", schema=None) as batch_op:
        batch_op.drop_index("ix_activity_events_scoring", postgresql_where=sa.text("points <> 0"))

    op.drop_table("activity_events")
    op.drop_table("users")
    op.drop_table("idempotency_keys")
    with op.batch_alter_table("badge_definitions", schema=None) as batch_op:
        batch_op.drop_index("ix_badge_definitions_unprojected", postgresql_where=sa.text("projected_version < version"))

    op.drop_table("badge_definitions")
    op.drop_table("app_meta")
    op.execute("DROP FUNCTION refuse_change()")
