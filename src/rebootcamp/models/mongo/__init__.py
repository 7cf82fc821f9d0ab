"""PyMongo document wrappers, one class per collection."""

from rebootcamp.models.mongo.backups import BackupMarkDocument
from rebootcamp.models.mongo.badges import AwardDocument, BadgeDocument
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.models.mongo.quarantine import QuarantinedDocument
from rebootcamp.models.mongo.workshops import RegistrationDocument

__all__ = [
    "AwardDocument",
    "BackupMarkDocument",
    "BadgeDocument",
    "HistoryDocument",
    "ProgressDocument",
    "QuarantinedDocument",
    "RegistrationDocument",
]
