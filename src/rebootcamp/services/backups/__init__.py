"""Backups of both stores as one: taken at a common cut while the service goes on, proved before they get a name."""

from rebootcamp.services.backups.backup import Backup, take_backup
from rebootcamp.services.backups.folders import Keep, find_backup, list_backups, opened
from rebootcamp.services.backups.keys import make_keys
from rebootcamp.services.backups.manifest import Manifest, load_manifest, verify_backup, verify_outside
from rebootcamp.services.backups.plain import load_plain, take_plain

__all__ = [
    "Backup",
    "Keep",
    "Manifest",
    "find_backup",
    "list_backups",
    "load_manifest",
    "load_plain",
    "make_keys",
    "opened",
    "take_backup",
    "take_plain",
    "verify_backup",
    "verify_outside",
]
