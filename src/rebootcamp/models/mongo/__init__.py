"""PyMongo document wrappers, one class per collection."""

from rebootcamp.models.mongo.badges import AwardDocument, BadgeDocument
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.models.mongo.quarantine import QuarantinedDocument

__all__ = ["AwardDocument", "BadgeDocument", "HistoryDocument", "ProgressDocument", "QuarantinedDocument"]
