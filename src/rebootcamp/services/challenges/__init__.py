"""Challenges: the catalogue, completing one, and the review of those that need approval."""

from rebootcamp.services.challenges.catalogue import (
    ChallengeView,
    archive_challenge,
    create_challenge,
    get_challenge,
    list_challenges,
    update_challenge,
)
from rebootcamp.services.challenges.completion import Completed, complete_challenge
from rebootcamp.services.challenges.review import (
    approve_submission,
    list_submissions,
    reject_submission,
    revoke_completion,
)

__all__ = [
    "ChallengeView",
    "Completed",
    "approve_submission",
    "archive_challenge",
    "complete_challenge",
    "create_challenge",
    "get_challenge",
    "list_challenges",
    "list_submissions",
    "reject_submission",
    "revoke_completion",
    "update_challenge",
]
