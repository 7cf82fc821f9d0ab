"""Start the databases that are asked for and give their addresses; stop them on the way out."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rebootcamp.cli.dev.embedded import EmbeddedMongo, EmbeddedPostgres
from rebootcamp.cli.dev.places import outside_directory
from rebootcamp.cli.dev.processes import end_leftovers, exclusive

WANT_BOTH = ("postgres", "mongo")
_KNOWN = ("postgres", "postgres.port", "postgres.password", "mongo", "mongo.port", "mongod", "logs", "metrics")
_KNOWN_STATE = ("env", "secret_key", "lock")


@dataclass(frozen=True)
class Servers:
    """Addresses of a pair of stores; the server objects are None for a store we did not start."""

    DATABASE_URL: str
    MONGODB_URI: str
    postgres: EmbeddedPostgres | None = None
    mongo: EmbeddedMongo | None = None

    @property
    def env(self) -> dict[str, str]:
        pairs = {"DATABASE_URL": self.DATABASE_URL, "MONGODB_URI": self.MONGODB_URI}
        return {key: value for key, value in pairs.items() if value}


@contextmanager
def servers(
    run_dir: Path | str, want: tuple[str, ...] = WANT_BOTH, *, test_commands: bool = False
) -> Iterator[Servers]:
    """Run real servers on data in `run_dir` for the length of the block. Data stay; `remove` forgets them."""
    place = Path(run_dir).resolve()
    with ExitStack() as stack:
        stack.enter_context(exclusive(place))
        end_leftovers(place)
        postgres = EmbeddedPostgres(place) if "postgres" in want else None
        mongo = EmbeddedMongo(place, test_commands=test_commands) if "mongo" in want else None
        for server in (postgres, mongo):
            if server is not None:
                stack.callback(server.stop)
                server.start()
        yield Servers(postgres.url if postgres else "", mongo.url if mongo else "", postgres, mongo)


@contextmanager
def temporary_servers(want: tuple[str, ...] = WANT_BOTH, *, test_commands: bool = False) -> Iterator[Servers]:
    """Run fresh servers in a directory of their own that is removed afterwards."""
    place = Path(tempfile.mkdtemp(prefix="rebootcamp-"))
    # mkdtemp closes the directory to everyone, but PostgreSQL under another account must pass through it.
    place.chmod(0o711)
    try:
        with servers(place, want, test_commands=test_commands) as started:
            yield started
    finally:
        remove(place)


def remove(run_dir: Path) -> bool:
    """Forget everything that a run keeps in this directory, and nothing else that may lie there."""
    if not run_dir.is_dir():
        return False
    place = run_dir.resolve()
    outside = outside_directory(place)
    home = place / "postgres"
    if home.is_symlink():
        if home.readlink() == outside / "postgres":
            shutil.rmtree(outside, ignore_errors=True)
        home.unlink()
    for name in (*_KNOWN, *_KNOWN_STATE):
        path = place / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not os.listdir(place):
        place.rmdir()
    return True
