"""Leaderboards: who stands where and why, what students see of it, and published boards of closed periods."""

from rebootcamp.services.leaderboards.settings import (
    FULL,
    NEIGHBOURS,
    REACH,
    BoardSettings,
    edit_settings,
    get_settings,
    masked,
    sees_all,
)
from rebootcamp.services.leaderboards.snapshots import (
    Snapshot,
    freeze_board,
    get_snapshot,
    list_snapshot_places,
    list_snapshots,
)
from rebootcamp.services.leaderboards.standings import (
    MyRank,
    Place,
    Standings,
    find_board,
    find_open_board,
    get_my_rank,
    list_places,
)

__all__ = [
    "FULL",
    "NEIGHBOURS",
    "REACH",
    "BoardSettings",
    "MyRank",
    "Place",
    "Snapshot",
    "Standings",
    "edit_settings",
    "find_board",
    "find_open_board",
    "freeze_board",
    "get_my_rank",
    "get_settings",
    "get_snapshot",
    "list_places",
    "list_snapshot_places",
    "list_snapshots",
    "masked",
    "sees_all",
]
