"""Comments on workshops on the wire."""

from __future__ import annotations

from typing import Any, Final

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core.clock import iso
from rebootcamp.core.workshops import COMMENT_STATES, MAX_COMMENT_MARKUP
from rebootcamp.schemas.base import PageArguments, RequestSchema, Text, page_of
from rebootcamp.schemas.challenges import MAX_REASON
from rebootcamp.schemas.progress import LearnerOut

SHOWN: Final = COMMENT_STATES[:2]
WRITTEN: Final = (
    "Plain text, or HTML of which a[href], b, strong, i, em, code, p, br, ul, ol, li and blockquote are kept; links "
    "to http, https and mailto. 1 to 2,000 characters that one sees."
)
TOLD: Final = (
    "A safe HTML fragment, sanitised before it was stored: `a < b & c` comes back as `a &lt; b &amp; c`. Line ends "
    "are kept, so show it with `white-space: pre-line`."
)
TEXT: Final[dict[str, Any]] = {
    "required": True,
    "validate": validate.Length(1, MAX_COMMENT_MARKUP),
    "metadata": {"description": WRITTEN, "example": "Does the room have a <b>projector</b>?"},
}


class CommentArguments(PageArguments):
    """Paging of the comments."""


class CommentVersionArguments(PageArguments):
    """Paging of the versions."""


class CommentCreate(RequestSchema):
    """What one says."""

    text = Text(**TEXT)


class CommentPatch(RequestSchema):
    """What one says instead."""

    text = Text(**TEXT)


class CommentHide(RequestSchema):
    """Why a comment is hidden."""

    reason = Text(required=True, validate=validate.Length(1, MAX_REASON))


class CommentStateOut(ma.Schema):
    """How a comment stands."""

    id = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf(SHOWN))
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it is hidden, for its author, the trainer and staff."},
    )


class CommentOut(CommentStateOut):
    """A comment. A hidden one has no text but for its author, the trainer and staff."""

    workshop_id = fields.Integer(required=True)
    author = fields.Nested(LearnerOut, required=True)
    text = fields.String(required=True, allow_none=True, metadata={"description": TOLD})
    version = fields.Integer(
        required=True, metadata={"description": 'For If-Match: `"comment-<id>-<version>"`.', "example": 1}
    )
    created_at = fields.DateTime(required=True)
    edited_at = fields.DateTime(required=True, allow_none=True)


class CommentVersionOut(ma.Schema):
    """What a comment said from one instant on."""

    version = fields.Integer(required=True)
    text = fields.String(required=True, metadata={"description": TOLD})
    at = fields.DateTime(required=True)


CommentPage, CommentVersionPage = page_of(CommentOut), page_of(CommentVersionOut)


def render_comment(comment: Any) -> dict[str, Any]:
    """Return `CommentOut` of a `services.workshops.Comment`."""
    return {
        **render_comment_state(comment),
        "workshop_id": comment.workshop_id,
        "author": {"id": comment.user_id, "display_name": comment.display_name},
        "text": comment.text,
        "version": comment.version,
        "created_at": iso(comment.created_at),
        "edited_at": comment.edited_at and iso(comment.edited_at),
    }


def render_comment_state(comment: Any) -> dict[str, Any]:
    """Return `CommentStateOut` of a `services.workshops.Comment`."""
    return {"id": comment.id, "state": comment.state, "reason": comment.reason}


def render_comment_version(version: Any) -> dict[str, Any]:
    """Return `CommentVersionOut` of a `services.workshops.CommentVersion`."""
    return {"version": version.version, "text": version.text, "at": iso(version.at)}
