"""Stored events stay readable: one golden payload for each type and version that was ever written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from rebootcamp.core import clock
from rebootcamp.core.json import dumps, loads
from rebootcamp.events.facts import Fact, UnreadableEvent, decode, fact_types, recorded_from_row
from rebootcamp.events.projector import fold, history_document
from rebootcamp.models.mongo.progress import ProgressDocument
from tests.factories.events import happened

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))
OLDER = sorted((GOLDEN / "older").glob("*.json"))
IDS = [file.stem for file in FILES]
TYPES = sorted(name for name in fact_types() if not name.startswith("test."))


def golden(file: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return stored


def decoded(file: Path) -> Fact:
    stored = golden(file)
    return decode(stored["type"], stored["version"], 7, stored["payload"])


@pytest.mark.parametrize("name", TYPES)
def test_every_event_type_has_a_golden_payload_of_its_version(name: str) -> None:
    assert (GOLDEN / f"{name}.v{fact_types()[name].version}.json").is_file()


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_golden_payload_is_read_and_written_back_unchanged(file: Path) -> None:
    stored = golden(file)
    fact = decoded(file)
    assert file.stem == f"{stored['type']}.v{stored['version']}"
    assert (fact.type, fact.version, fact.learner_id) == (stored["type"], stored["version"], 7)
    assert loads(dumps(fact.payload())) == stored["payload"]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_golden_payload_scores_what_it_scored_when_it_was_written(file: Path) -> None:
    assert decoded(file).score_points == golden(file)["points"]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_golden_payload_can_be_shown(file: Path) -> None:
    event = happened(decoded(file), 1)
    document = history_document(event)
    assert document["data"] == golden(file)["payload"]
    assert fold(ProgressDocument(7), event).recent[0]["data"] == golden(file)["payload"]


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_payload_with_other_fields_or_another_version_is_unreadable(file: Path) -> None:
    stored = golden(file)
    with pytest.raises(UnreadableEvent):
        decode(stored["type"], stored["version"] + 1, 7, stored["payload"])
    with pytest.raises(UnreadableEvent):
        decode(stored["type"], stored["version"], 7, {**stored["payload"], "surprise": 1})
    # Fields that came later have a default, so that what was written before is still read.
    later = {field.name for field in dataclasses.fields(decoded(file)) if field.default is not dataclasses.MISSING}
    for name in stored["payload"].keys() - later:
        with pytest.raises(UnreadableEvent):
            decode(stored["type"], stored["version"], 7, {k: v for k, v in stored["payload"].items() if k != name})


@pytest.mark.parametrize("file", FILES, ids=IDS)
def test_row_of_the_journal_becomes_the_recorded_event(file: Path) -> None:
    stored, event = golden(file), happened(decoded(file), 3)
    names = ("event_id", "user_id", "seq", "occurred_at", "local_date", "timezone")
    row = {name: getattr(event, name) for name in names}
    columns = {"type": stored["type"], "version": stored["version"], "payload": stored["payload"]}
    assert recorded_from_row({**row, **columns}) == event


@pytest.mark.parametrize("file", OLDER, ids=[file.stem for file in OLDER])
def test_payload_written_before_a_field_came_is_read_and_written_back_unchanged(file: Path) -> None:
    stored, fact = golden(file), decoded(file)
    assert (f"{fact.type}.v{fact.version}", fact.score_points) == (file.stem, stored["points"])
    assert fact.payload() == stored["payload"]


def test_unknown_type_is_unreadable() -> None:
    with pytest.raises(UnreadableEvent):
        decode("quiz.passed", 1, 7, {})


@pytest.mark.parametrize("name", TYPES)
def test_fact_is_frozen_and_holds_json_values_only(name: str) -> None:
    allowed = {"int", "str", "bool", "float", "dict[str, str]", "dict[str, Any]", "list[str]", "list[int]"}
    allowed |= {"str | None", "dict[str, Any] | str"}
    cls = fact_types()[name]
    assert {str(field.type) for field in dataclasses.fields(cls)} <= allowed
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_event_ids_never_change() -> None:
    # A replay, a rebuild or another release must find the documents that an earlier one wrote.
    assert happened(decode("account.registered", 1, 7, {}), 3).event_id == UUID("4391878e-9e1d-5223-b467-b9ab108e130e")
    assert clock.iso(happened(decode("account.registered", 1, 7, {}), 3).occurred_at) == "2026-05-01T12:00:00Z"
