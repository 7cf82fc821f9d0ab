"""Use cases and queries about workshops."""

from rebootcamp.services.workshops.attendance import Feedback, give_feedback, mark_attendance, revoke_attendance
from rebootcamp.services.workshops.queue import change_capacity, has_upcoming, promote_waiting, release_seats
from rebootcamp.services.workshops.registering import (
    Limits,
    Registration,
    accept_offer,
    leave,
    register,
    remove_registration,
)

__all__ = [
    "Feedback",
    "Limits",
    "Registration",
    "accept_offer",
    "change_capacity",
    "give_feedback",
    "has_upcoming",
    "leave",
    "mark_attendance",
    "promote_waiting",
    "register",
    "release_seats",
    "remove_registration",
    "revoke_attendance",
]
