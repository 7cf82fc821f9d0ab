"""The badge catalogue as MongoDB shows it: written by the relay whenever a version is newer than the one shown."""

from __future__ import annotations

import sqlalchemy as sa

from rebootcamp.events.pair import require_pair
from rebootcamp.models.mongo.badges import BadgeDocument
from rebootcamp.models.sql.badges import BadgeDefinition
from rebootcamp.storage.locks import BARRIER, share
from rebootcamp.storage.mongo import Doc, guarded
from rebootcamp.storage.transactions import transaction


def project_catalogue() -> int:
    """Show the newest version of each changed badge; return how many. Raises `MongoUnavailable`, `Unpaired`."""
    with transaction() as session:
        share(session, BARRIER)
        changed = session.scalars(
            sa.select(BadgeDefinition)
            .where(BadgeDefinition.projected_version < BadgeDefinition.version)
            .order_by(BadgeDefinition.code)
            .with_for_update(skip_locked=True, key_share=True)
            .execution_options(populate_existing=True)
        ).all()
        if not changed:
            return 0
        require_pair()
        with guarded():
            BadgeDocument.write_all(
                [BadgeDocument.save_if_newer(badge.code, badge.version, badge_fields(badge)) for badge in changed]
            )
        for badge in changed:
            badge.projected_version = badge.version
        return len(changed)


def badge_fields(badge: BadgeDefinition) -> Doc:
    """Return the catalogue document of a badge, without `_id` and `version`."""
    return {
        "texts": badge.translations,
        "tier": badge.tier,
        "points": badge.points,
        "icon": badge.icon,
        "criteria": badge.criteria,
        "is_active": badge.is_active,
    }
