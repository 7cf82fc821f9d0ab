"""Use cases and queries about workshops."""

from rebootcamp.services.workshops.attendance import Feedback, give_feedback, mark_attendance, revoke_attendance
from rebootcamp.services.workshops.calendars import list_agenda, list_shared_agenda
from rebootcamp.services.workshops.catalogue import (
    WorkshopFilter,
    archive_workshop,
    cancel_workshop,
    create_workshop,
    get_workshop,
    list_workshops,
    update_workshop,
)
from rebootcamp.services.workshops.comments import (
    Comment,
    CommentVersion,
    add_comment,
    delete_comment,
    edit_comment,
    get_comment_version,
    hide_comment,
    list_comment_versions,
    list_comments,
    show_comment,
)
from rebootcamp.services.workshops.exports import Export, export_registrations
from rebootcamp.services.workshops.log import list_log
from rebootcamp.services.workshops.looks import note_view
from rebootcamp.services.workshops.notices import CANCELLED, CHANGED, announce, remind
from rebootcamp.services.workshops.queue import change_capacity, has_upcoming, promote_waiting, release_seats
from rebootcamp.services.workshops.reading import WorkshopView
from rebootcamp.services.workshops.registering import (
    Limits,
    Registration,
    accept_offer,
    leave,
    register,
    remove_registration,
)
from rebootcamp.services.workshops.registrations import (
    RegistrationPage,
    WorkshopRegistrations,
    list_own_registrations,
    list_registrations,
)

__all__ = [
    "CANCELLED",
    "CHANGED",
    "Comment",
    "CommentVersion",
    "Export",
    "Feedback",
    "Limits",
    "Registration",
    "RegistrationPage",
    "WorkshopFilter",
    "WorkshopRegistrations",
    "WorkshopView",
    "accept_offer",
    "add_comment",
    "announce",
    "archive_workshop",
    "cancel_workshop",
    "change_capacity",
    "create_workshop",
    "delete_comment",
    "edit_comment",
    "export_registrations",
    "get_comment_version",
    "get_workshop",
    "give_feedback",
    "has_upcoming",
    "hide_comment",
    "leave",
    "list_agenda",
    "list_comment_versions",
    "list_comments",
    "list_log",
    "list_own_registrations",
    "list_registrations",
    "list_shared_agenda",
    "list_workshops",
    "mark_attendance",
    "note_view",
    "promote_waiting",
    "register",
    "release_seats",
    "remind",
    "remove_registration",
    "revoke_attendance",
    "show_comment",
    "update_workshop",
]
