"""The operations guide and its templates name only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from flask import Flask

from rebootcamp.services.jobs import JOBS
from rebootcamp.storage.sql import SESSION_LIMITS

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDES = [DOCS / "operations.md", DOCS / "operations.fr.md"]
TEMPLATES = sorted(file for file in (DOCS / "examples").rglob("*") if file.is_file())
# Told of in the integrity guide, whose command brings it.
COMING = {"--repair"}
COMMAND = re.compile(r"flask ((?:--?)?[a-z][\w-]*(?: (?:--)?[a-z][\w-]*)*)")


def commands(file: Path) -> set[str]:
    """Return the `flask` commands of a file, up to the first word that is nobody's name."""
    return set(COMMAND.findall(file.read_text(encoding="utf-8")))


def assert_known(app: Flask, words: list[str]) -> None:
    command: click.Command = app.cli
    arguments = []
    for word in words:
        options = {name for parameter in command.params for name in parameter.opts}
        if word.startswith("--"):
            assert word in options | COMING, words
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            assert found is not None, words
            command = found
        else:
            arguments.append(word)
    if command.name == "run" and words[0] == "jobs":
        assert set(arguments) <= set(JOBS), words


@pytest.mark.parametrize("file", [*GUIDES, *TEMPLATES], ids=lambda file: file.name)
def test_every_command_exists(app: Flask, file: Path) -> None:
    for command in commands(file):
        assert_known(app, command.split())


def test_commands_are_found_where_they_are_written() -> None:
    assert {"jobs run --all", "accounts erase", "outbox redrive"} <= commands(GUIDES[0])
    assert "jobs run --json idempotency-keys" in commands(DOCS / "examples" / "crontab")


@pytest.mark.parametrize("file", GUIDES, ids=lambda file: file.name)
def test_the_guide_tells_of_every_job_and_every_limit(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for name in JOBS:
        assert f"| `{name}` |" in text
    for name, value in SESSION_LIMITS.items():
        assert re.search(rf"ALTER ROLE rebootcamp SET \"?{name}\"? = '?{value}'?;", text), name


def test_both_languages_tell_the_same_commands() -> None:
    english, french = (commands(file) for file in GUIDES)
    assert {" ".join(c.split()[:2]) for c in english} == {" ".join(c.split()[:2]) for c in french}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates_name_no_machine(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w@}\"])/(?!bin/kill|etc/systemd)(?:home|root|work|opt|srv|tmp|usr|var)\b[^\s]*", text)


def test_the_crontab_runs_every_job_and_each_once() -> None:
    lines = (DOCS / "examples" / "crontab").read_text(encoding="utf-8").splitlines()
    runs = [re.findall(r"flask jobs run --json ((?:[a-z-]+ )+)>>", line) for line in lines]
    assert sorted(name for run in runs for names in run for name in names.split()) == sorted(JOBS)
