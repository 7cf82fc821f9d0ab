"""SQLAlchemy entities; importing this package registers every table."""

from rebootcamp.models.sql import accounts, badges, calendar, challenges, leaderboards, operations, progress

__all__ = ["accounts", "badges", "calendar", "challenges", "leaderboards", "operations", "progress"]
