"""Which mails there are."""

from __future__ import annotations

from typing import Final

# What each says is in `templates/mails/<language>/<kind>.txt`. A registration mail is sent once for each event, a
# notice once for each change.
MAIL_KINDS: Final = (
    "workshop_registered",
    "workshop_waitlisted",
    "workshop_offered",
    "workshop_promoted",
    "workshop_left",
    "workshop_reminder",
    "workshop_changed",
    "workshop_cancelled",
)
