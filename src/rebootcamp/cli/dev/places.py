"""The account that PostgreSQL runs as, the files of the wheels, and the places that account can reach."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from rebootcamp.cli.dev.processes import Account, DevError


class EmbeddedUnavailable(DevError):
    """This platform has no embedded servers."""

    def __init__(self, what: str) -> None:
        super().__init__(f"no embedded {what} here: use `docker compose up`, or set DATABASE_URL and MONGODB_URI")


def unprivileged() -> Account | None:
    """PostgreSQL refuses to run as root: give it the account that owns nothing."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedUnavailable("PostgreSQL (no `nobody` account)") from None
    return Account(nobody.pw_uid, nobody.pw_gid)


def _succeeds(account: Account, *command: str) -> bool:
    try:
        done = subprocess.run(
            command, user=account.uid, group=account.gid, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except PermissionError:
        return False
    return done.returncode == 0


def can_enter(account: Account, directory: Path) -> bool:
    return _succeeds(account, "/bin/sh", "-c", 'cd "$1"', "sh", str(directory))


def can_run(account: Account, program: Path) -> bool:
    return _succeeds(account, str(program), "--version")


def outside_directory(place: Path, version: str = "") -> Path:
    """Where PostgreSQL finds what its account cannot reach in place (a clone under /root, say)."""
    digest = hashlib.sha256(f"{place.resolve()}{version}".encode()).hexdigest()[:16]
    # /var/tmp outlives a reboot, unlike /tmp.
    return Path("/var/tmp") / f"rebootcamp-{digest}"  # noqa: S108


def claim(directory: Path) -> Path:
    directory.mkdir(mode=0o711, exist_ok=True)
    found = directory.lstat()
    # Anyone may create names in a shared temporary directory: never trust one that is not ours.
    if directory.is_symlink() or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise DevError(f"{directory} exists and is not safely ours: remove it")
    return directory


def give(home: Path, account: Account) -> None:
    """Make the account the owner of a directory and of everything in it."""
    if home.stat().st_uid == account.uid:
        return
    for folder, _, files in os.walk(home):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    home.chmod(0o700)


def reachable_binaries(account: Account, bin_dir: Path) -> Path:
    """Return the folder of PostgreSQL's programs, or of a copy when the account cannot run them in place."""
    if can_run(account, bin_dir / "postgres"):
        return bin_dir
    package = bin_dir.parents[1]
    # The path and the time name the version: a copy of an upgraded package is made anew.
    claimed = claim(outside_directory(package, str((bin_dir / "postgres").stat().st_mtime_ns)))
    copy = claimed / "wheel"
    if not copy.exists():
        partial = Path(tempfile.mkdtemp(dir=claimed))
        shutil.copytree(bin_dir.parent, partial / package.name / bin_dir.parent.name, symlinks=True)
        # The programs look for their libraries beside the package, relative to themselves.
        libraries = f"{package.name}.libs"
        shutil.copytree(package.parent / libraries, partial / libraries, symlinks=True)
        partial.chmod(0o755)
        try:
            partial.rename(copy)
        except OSError:
            # Another copy won the race; its files are the same.
            shutil.rmtree(partial)
    return copy / bin_dir.relative_to(package.parent)
