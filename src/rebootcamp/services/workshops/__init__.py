"""Use cases and queries about workshops."""

from rebootcamp.services.workshops.catalogue import (
    WorkshopFilter,
    archive_workshop,
    cancel_workshop,
    create_workshop,
    get_workshop,
    list_workshops,
    update_workshop,
)
from rebootcamp.services.workshops.views import WorkshopView

__all__ = [
    "WorkshopFilter",
    "WorkshopView",
    "archive_workshop",
    "cancel_workshop",
    "create_workshop",
    "get_workshop",
    "list_workshops",
    "update_workshop",
]
