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
from rebootcamp.services.workshops.views import note_view

__all__ = [
    "Comment",
    "CommentVersion",
    "add_comment",
    "delete_comment",
    "edit_comment",
    "get_comment_version",
    "hide_comment",
    "list_comment_versions",
    "list_comments",
    "note_view",
    "show_comment",
]
