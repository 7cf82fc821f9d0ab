"""PyMongo document wrappers, one class per collection."""

from rebootcamp.models.mongo.badges import AwardDocument, BadgeDocument
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument

DOCUMENTS = (AwardDocument, BadgeDocument, HistoryDocument, ProgressDocument)
__all__ = ["DOCUMENTS", "AwardDocument", "BadgeDocument", "HistoryDocument", "ProgressDocument"]
