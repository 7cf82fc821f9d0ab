"""SQLAlchemy entities; importing this package registers every table."""

from rebootcamp.models.sql import (
    accounts,
    backups,
    badges,
    calendar,
    challenges,
    eco,
    groups,
    jobs,
    leaderboards,
    levels,
    mails,
    operations,
    pictures,
    progress,
    workshops,
)

__all__ = [
    "accounts",
    "backups",
    "badges",
    "calendar",
    "challenges",
    "eco",
    "groups",
    "jobs",
    "leaderboards",
    "levels",
    "mails",
    "operations",
    "pictures",
    "progress",
    "workshops",
]
