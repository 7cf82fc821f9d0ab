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
from rebootcamp.services.workshops.exports import Export, export_registrations
from rebootcamp.services.workshops.reading import WorkshopView

__all__ = [
    "Export",
    "WorkshopFilter",
    "WorkshopView",
    "archive_workshop",
    "cancel_workshop",
    "create_workshop",
    "export_registrations",
    "get_workshop",
    "list_agenda",
    "list_shared_agenda",
    "list_workshops",
    "update_workshop",
]
