"""Use cases and queries about workshops."""

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
from rebootcamp.services.workshops.log import list_log
from rebootcamp.services.workshops.notices import CANCELLED, CHANGED, announce, remind
from rebootcamp.services.workshops.registrations import (
    RegistrationPage,
    WorkshopRegistrations,
    list_own_registrations,
    list_registrations,
)
from rebootcamp.services.workshops.views import note_view

__all__ = [
    "CANCELLED",
    "CHANGED",
    "Comment",
    "CommentVersion",
    "RegistrationPage",
    "WorkshopRegistrations",
    "add_comment",
    "announce",
    "delete_comment",
    "edit_comment",
    "get_comment_version",
    "hide_comment",
    "list_comment_versions",
    "list_comments",
    "list_log",
    "list_own_registrations",
    "list_registrations",
    "note_view",
    "remind",
    "show_comment",
]
