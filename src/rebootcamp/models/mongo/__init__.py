"""PyMongo document wrappers, one class per collection."""

from typing import Final

from rebootcamp.models.mongo.backups import BackupMarkDocument
from rebootcamp.models.mongo.badges import AwardDocument, BadgeDocument
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.models.mongo.quarantine import QuarantinedDocument
from rebootcamp.models.mongo.workshops import CommentDocument, RegistrationDocument, WorkshopViewDocument
from rebootcamp.storage.documents import NativeDocument

# What people wrote, or did, and no event tells: it goes with their accounts.
NATIVES: Final[tuple[type[NativeDocument], ...]] = (CommentDocument, WorkshopViewDocument)

__all__ = [
    "NATIVES",
    "AwardDocument",
    "BackupMarkDocument",
    "BadgeDocument",
    "CommentDocument",
    "HistoryDocument",
    "ProgressDocument",
    "QuarantinedDocument",
    "RegistrationDocument",
    "WorkshopViewDocument",
]
