"""The compose file: nothing secret in it, MongoDB behind a password; the containers themselves are not run here."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return found


def test_every_secret_comes_from_the_environment(services: dict[str, Any]) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    asked = set()
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|_UR[IL]$", variable):
                needed = set(re.findall(r"\$\{(\w+):\?[^}]+\}", value))
                assert needed or value == f"${{{variable}:-}}", (name, variable)
                asked |= needed
    assert asked == {"SECRET_KEY", "POSTGRES_PASSWORD", "MONGO_PASSWORD"}
    assert all(re.search(rf"^{variable}=", example, re.MULTILINE) for variable in asked)


def test_only_what_talks_to_the_outside_reaches_it(services: dict[str, Any]) -> None:
    """The relay sends mails; the api answers."""
    reaching = {name for name, service in services.items() if "public" in service.get("networks", ())}
    assert reaching == {"api", "relay"}


def test_mongodb_asks_who_is_there(services: dict[str, Any]) -> None:
    mongo, uri = services["mongo"], services["api"]["environment"]["MONGODB_URI"]
    user = mongo["environment"]["MONGO_INITDB_ROOT_USERNAME"]
    assert uri.startswith(f"mongodb://{user}:${{MONGO_PASSWORD")
    assert "authSource=admin&replicaSet=rs0" in uri
    assert mongo["environment"]["MONGO_INITDB_ROOT_PASSWORD"].startswith("${MONGO_PASSWORD:?")
    assert mongo["command"][mongo["command"].index("--keyFile") + 1] == "/data/configdb/replica.key"
    assert ".auth(process.env.MONGO_INITDB_ROOT_USERNAME" in mongo["healthcheck"]["test"][-1]


def test_mongodb_makes_its_key_once(services: dict[str, Any], tmp_path: Path) -> None:
    """The script of the container with another folder, and with something else in the place of the image's own."""
    stub = tmp_path / "docker-entrypoint.sh"
    stub.write_text('#!/bin/sh\necho "$@"\n', encoding="ascii")
    stub.chmod(0o755)
    shell, options, script, name = services["mongo"]["entrypoint"]
    script = script.replace("$$", "$").replace("/data/configdb", str(tmp_path))
    keys = set()
    for _ in range(2):
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = [shell, options, script, name, *services["mongo"]["command"][:3]]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert done.stdout == "mongod --replSet rs0\n"
        keys.add((tmp_path / "replica.key").read_text(encoding="ascii"))
    (key,) = keys
    # What mongod accepts: 6 to 1024 characters of base64, for its owner's eyes only.
    assert re.fullmatch(r"[A-Za-z0-9+/=]{900,1024}", key.replace("\n", ""))
    assert stat.S_IMODE((tmp_path / "replica.key").stat().st_mode) == 0o600
