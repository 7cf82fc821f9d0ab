"""Use cases and queries about workshops."""

from rebootcamp.services.workshops.log import list_log
from rebootcamp.services.workshops.registrations import (
    RegistrationPage,
    WorkshopRegistrations,
    list_own_registrations,
    list_registrations,
)

__all__ = ["RegistrationPage", "WorkshopRegistrations", "list_log", "list_own_registrations", "list_registrations"]
