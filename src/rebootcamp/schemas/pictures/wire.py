"""Share links and the parameters of pictures on the wire."""

from __future__ import annotations

from typing import Any, Final

import marshmallow as ma
from marshmallow import fields, validate

from rebootcamp.core import clock
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.core.pictures import CALENDAR, CARD, PICTURES, SHAREABLE, WORKSHOPS
from rebootcamp.schemas.accounts import NAME
from rebootcamp.schemas.base import Instant, Integer, PageArguments, QuerySchema, RequestSchema, String, page_of, refuse
from rebootcamp.schemas.pictures.palette import AUTO, THEMES

KEY_PARAMETER: Final = "key"
FIRST_YEAR, LAST_YEAR = 2000, 2100
FILES: Final = {CARD: "progress.svg", CALENDAR: "activity.svg", WORKSHOPS: "workshops.ics"}


class CardArguments(QuerySchema):
    """How the card is to look, and what opens it to strangers."""

    theme = String(
        load_default=AUTO,
        validate=validate.OneOf(THEMES),
        metadata={"description": "`auto` follows the reader's system."},
    )
    lang = String(
        load_default=None, validate=validate.OneOf(LANGUAGES), metadata={"description": "Instead of Accept-Language."}
    )
    key = String(
        load_default=None, validate=validate.Length(1, 200), metadata={"description": "Of a share link; no token then."}
    )


class CalendarArguments(CardArguments):
    """How the calendar is to look, and of which year."""

    year = Integer(
        load_default=None,
        validate=validate.Range(FIRST_YEAR, LAST_YEAR),
        metadata={"description": "By default the 53 weeks that end on the learner's local today."},
    )


class ShareLinkArguments(PageArguments):
    """Paging of the share links."""


def are_different(names: list[str]) -> None:
    """Refuse a list that names something twice."""
    if len(set(names)) < len(names):
        raise refuse("Each at most once.", "Chacun une seule fois.", "repeated")


class ShareLinkCreate(RequestSchema):
    """What to share, and until when."""

    label = String(load_default=None, allow_none=True, validate=NAME, metadata={"example": "My portfolio"})
    pictures = fields.List(
        String(validate=validate.OneOf(SHAREABLE)),
        load_default=lambda: list(PICTURES),
        validate=[validate.Length(1, len(SHAREABLE)), are_different],
        metadata={"description": "`workshops` is a calendar for calendar programs; by default the pictures alone."},
    )
    expires_at = Instant(load_default=None, allow_none=True, metadata={"description": "By default never."})


class ShareLinkOut(ma.Schema):
    """A link as its owner sees it; its key cannot be read again."""

    id = fields.Integer(required=True)
    label = fields.String(required=True, allow_none=True)
    pictures = fields.List(fields.String(validate=validate.OneOf(SHAREABLE)), required=True)
    created_at = fields.DateTime(required=True)
    expires_at = fields.DateTime(required=True, allow_none=True)


class PictureUrls(ma.Schema):
    """Relative addresses with the key in them; what is not shared is left out."""

    progress = fields.String()
    activity = fields.String()
    workshops = fields.String()


class SharedLinkOut(ShareLinkOut):
    """A new link with its key, shown this once."""

    key = fields.String(required=True)
    urls = fields.Nested(PictureUrls, required=True)


ShareLinkPage = page_of(ShareLinkOut)


def render_share_link(link: Any) -> dict[str, Any]:
    """Return `ShareLinkOut` of a link."""
    return {
        "id": link.id,
        "label": link.label,
        "pictures": link.pictures,
        "created_at": clock.iso(link.created_at),
        "expires_at": link.expires_at and clock.iso(link.expires_at),
    }


def render_shared_link(shared: Any) -> dict[str, Any]:
    """Return `SharedLinkOut` of a link that was just made."""
    user_id, key = shared.link.user_id, shared.key
    urls = {name: f"/api/users/{user_id}/{FILES[name]}?{KEY_PARAMETER}={key}" for name in shared.link.pictures}
    return {**render_share_link(shared.link), "key": key, "urls": urls}
