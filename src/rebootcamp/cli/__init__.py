"""Commands of `flask`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask import Flask

# Named, not imported: `rebootcamp.cli.dev` starts servers from this package without loading the application.
COMMANDS: Final = {
    "rebootcamp.cli.accounts": ("admin", "accounts_group"),
    "rebootcamp.cli.stores": ("prepare", "mongo_init", "relay", "rebuild", "outbox"),
    "rebootcamp.cli.integrity": ("check",),
    "rebootcamp.cli.backups": ("backup", "load_plain_files"),
    "rebootcamp.cli.rules": ("rules",),
    "rebootcamp.cli.restore": ("restore", "settle_restore"),
    "rebootcamp.cli.jobs": ("jobs",),
    "rebootcamp.cli.mails": ("mails",),
    "rebootcamp.cli.demo": ("demo",),
}


def register(app: Flask) -> None:
    """Add the commands to the application."""
    for module, names in COMMANDS.items():
        for name in names:
            app.cli.add_command(getattr(import_module(module), name))
