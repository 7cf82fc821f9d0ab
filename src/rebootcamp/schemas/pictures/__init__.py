"""Pictures: what draws them, and share links on the wire."""

from rebootcamp.schemas.pictures.calendar import Calendar, calendar_of, render_calendar
from rebootcamp.schemas.pictures.card import Card, Medal, card_of, render_card
from rebootcamp.schemas.pictures.svg import Look
from rebootcamp.schemas.pictures.wire import (
    KEY_PARAMETER,
    CalendarArguments,
    CardArguments,
    SharedLinkOut,
    ShareLinkArguments,
    ShareLinkCreate,
    ShareLinkPage,
    render_share_link,
    render_shared_link,
)

__all__ = [
    "KEY_PARAMETER",
    "Calendar",
    "CalendarArguments",
    "Card",
    "CardArguments",
    "Look",
    "Medal",
    "ShareLinkArguments",
    "ShareLinkCreate",
    "ShareLinkPage",
    "SharedLinkOut",
    "calendar_of",
    "card_of",
    "render_calendar",
    "render_card",
    "render_share_link",
    "render_shared_link",
]
