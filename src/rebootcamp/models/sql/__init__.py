"""SQLAlchemy entities; importing this package registers every table."""

from rebootcamp.models.sql import (
    accounts,
    badges,
    challenges,
    eco,
    groups,
    leaderboards,
    levels,
    operations,
    progress,
)

__all__ = ["accounts", "badges", "challenges", "eco", "groups", "leaderboards", "levels", "operations", "progress"]
