"""Progress: what both stores together tell about a learner."""

from rebootcamp.services.progress.activity import Activity, get_activity
from rebootcamp.services.progress.history import HistoryPage, get_award, get_list_version, list_awards, list_history
from rebootcamp.services.progress.score import ScoreItem, list_score
from rebootcamp.services.progress.streaks import (
    StreakView,
    cancel_freeze,
    get_streak,
    get_streak_row,
    place_freeze,
    repair_streak,
    streak_of,
    streak_versions_of,
)
from rebootcamp.services.progress.summary import (
    VERSION,
    Progress,
    get_progress,
    get_progress_version,
    local_date_of,
    versions_of,
)

__all__ = [
    "VERSION",
    "Activity",
    "HistoryPage",
    "Progress",
    "ScoreItem",
    "StreakView",
    "cancel_freeze",
    "get_activity",
    "get_award",
    "get_list_version",
    "get_progress",
    "get_progress_version",
    "get_streak",
    "get_streak_row",
    "list_awards",
    "list_history",
    "list_score",
    "local_date_of",
    "place_freeze",
    "repair_streak",
    "streak_of",
    "streak_versions_of",
    "versions_of",
]
