"""The wire shapes of workshops."""

from rebootcamp.schemas.workshops.catalogue import (
    CancelReason,
    StaffWorkshopOut,
    WorkshopArguments,
    WorkshopCreate,
    WorkshopOut,
    WorkshopPage,
    WorkshopPatch,
    render_workshop,
)

__all__ = [
    "CancelReason",
    "StaffWorkshopOut",
    "WorkshopArguments",
    "WorkshopCreate",
    "WorkshopOut",
    "WorkshopPage",
    "WorkshopPatch",
    "render_workshop",
]
