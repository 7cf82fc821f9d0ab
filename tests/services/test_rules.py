"""The rules of the catalogue on real stores, under the eyes of the lint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from rebootcamp.core import clock
from rebootcamp.services.badges import lint_catalogue
from tests.factories import make_badge, make_challenge

pytestmark = pytest.mark.usefixtures("committed_db")

WATER = {"count": {"event": "challenge.completed", "at_least": 1, "where": {"category": "water"}}}


def test_the_lint_looks_at_the_catalogue_as_it_is() -> None:
    make_challenge(cadence="daily")
    make_badge("fine", at_least=3)
    assert lint_catalogue() == []
    make_badge("never", criteria=WATER, points=5)
    with time_machine.travel(datetime(2026, 1, 5, 12, tzinfo=UTC), tick=True):
        make_challenge(ends_at=clock.now() + timedelta(hours=5))
    make_challenge(cadence="daily", category="waste", is_published=False)
    found = [(finding.severity, finding.subject, finding.code) for finding in lint_catalogue()]
    assert found[0] == ("error", "badge:never", "no_matching_challenge")
    assert [code for _, _, code in found[1:]] == ["challenge_over"]
