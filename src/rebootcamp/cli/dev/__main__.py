"""`python -m rebootcamp.cli.dev run | reset | servers | exec COMMAND…`: what the Makefile calls."""

import os
import secrets
import signal
import subprocess
import sys
import threading

from rebootcamp.cli.dev.processes import DevError, end_leftovers, exclusive
from rebootcamp.cli.dev.run import run, run_directory
from rebootcamp.cli.dev.servers import remove, servers, temporary_servers

USAGE = "usage: python -m rebootcamp.cli.dev run | reset | servers | exec COMMAND..."


def reset() -> int:
    """Forget the data of `make run`; refuse while it runs."""
    run_dir = run_directory(os.environ)
    if not run_dir.is_dir():
        print(f"Nothing to forget in {run_dir}.")
        return 0
    try:
        with exclusive(run_dir):
            end_leftovers(run_dir)
            remove(run_dir)
    except PermissionError as error:
        raise DevError(f"{error.filename} belongs to another user: run `make reset` as that user") from error
    print(f"Forgot everything in {run_dir}.")
    return 0


def only_servers() -> int:
    """Start the databases alone and print their addresses as KEY=VALUE lines."""
    asked_to_stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: asked_to_stop.set())
    with servers(run_directory(os.environ)) as started:
        print("\n".join(f"{key}={value}" for key, value in started.env.items()), flush=True)
        asked_to_stop.wait()
    return 0


def execute(command: list[str]) -> int:
    """Run one command against fresh servers that are forgotten afterwards."""
    with temporary_servers() as started:
        env = {**os.environ, "SECRET_KEY": secrets.token_urlsafe(48), "APP_ENV": "test", "FLASK_APP": "rebootcamp.wsgi"}
        return subprocess.run(command, env=env | started.env, check=False).returncode


def main(arguments: list[str]) -> int:
    match arguments:
        case ["run"]:
            return run()
        case ["reset"]:
            return reset()
        case ["servers"]:
            return only_servers()
        case ["exec", *command] if command:
            return execute(command)
    print(USAGE, file=sys.stderr)
    return 2


if __name__ == "__main__":
    # `make` may have sent SIGTERM: leave through the context managers, so that servers stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main(sys.argv[1:]))
    except DevError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
