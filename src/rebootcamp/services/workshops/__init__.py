"""Use cases and queries about workshops."""

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
from rebootcamp.services.workshops.registrations import (
    RegistrationPage,
    WorkshopRegistrations,
    list_own_registrations,
    list_registrations,
)
from rebootcamp.services.workshops.views import WorkshopView

__all__ = [
    "CANCELLED",
    "CHANGED",
    "Comment",
    "CommentVersion",
    "Export",
    "RegistrationPage",
    "WorkshopFilter",
    "WorkshopRegistrations",
    "WorkshopView",
    "add_comment",
    "announce",
    "archive_workshop",
    "cancel_workshop",
    "create_workshop",
    "delete_comment",
    "edit_comment",
    "export_registrations",
    "get_comment_version",
    "get_workshop",
    "hide_comment",
    "list_agenda",
    "list_comment_versions",
    "list_comments",
    "list_log",
    "list_own_registrations",
    "list_registrations",
    "list_shared_agenda",
    "list_workshops",
    "note_view",
    "remind",
    "show_comment",
    "update_workshop",
]
