"""Challenges: the catalogue, completing one, timed ones with their teams and results, and the review by staff."""

from rebootcamp.services.challenges.catalogue import (
    ChallengeView,
    archive_challenge,
    create_challenge,
    edited_view,
    get_challenge,
    list_challenges,
    update_challenge,
)
from rebootcamp.services.challenges.completion import Completed, complete_challenge
from rebootcamp.services.challenges.joining import join_challenge, leave_challenge
from rebootcamp.services.challenges.results import Results, close_windows, get_results
from rebootcamp.services.challenges.review import (
    approve_submission,
    list_submissions,
    reject_submission,
    revoke_completion,
)
from rebootcamp.services.challenges.rewards import review_teams, reward_teams

__all__ = [
    "ChallengeView",
    "Completed",
    "Results",
    "approve_submission",
    "archive_challenge",
    "close_windows",
    "complete_challenge",
    "create_challenge",
    "edited_view",
    "get_challenge",
    "get_results",
    "join_challenge",
    "leave_challenge",
    "list_challenges",
    "list_submissions",
    "reject_submission",
    "review_teams",
    "revoke_completion",
    "reward_teams",
    "update_challenge",
]
