"""What workshops, their registrations and their comments may be."""

from __future__ import annotations

from typing import Final

WORKSHOP_STATUSES: Final = ("draft", "published", "cancelled", "closed")
REGISTRATION_STATUSES: Final = ("registered", "waitlisted", "cancelled", "attended")
COMMENT_STATES: Final = ("visible", "hidden", "deleted")

# Why a registration ended: by the learner, who had a seat or refused an offered one; or by the trainer, because an
# offered seat was not taken in time, or with the account.
OWN_CAUSES: Final = ("left", "declined")
LEAVING_CAUSES: Final = (*OWN_CAUSES, "removed", "offer_lapsed", "account_erased")

MAX_CAPACITY: Final = 10_000
MAX_OFFER_HOURS: Final = 14 * 24

# Of a comment: characters that one sees, and those of the fragment that is stored (each may be `&amp;`).
MAX_COMMENT: Final = 2_000
MAX_COMMENT_MARKUP: Final = 10_000
MAX_TAGS: Final = 10
MAX_QUESTIONS: Final = 20

# Where a workshop may go from each status by an edit; cancelling is a command of its own, and final.
STATUS_CHANGES: Final = {"draft": ("published",), "published": ("closed",), "closed": ("published",), "cancelled": ()}
