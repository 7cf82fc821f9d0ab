"""Instants as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from rebootcamp.core import clock

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(hours=2), timedelta(hours=-9, minutes=-30)])
def test_an_instant_is_told_in_utc_whatever_its_zone(offset: timedelta) -> None:
    there = timezone(offset)
    assert clock.iso(NOON.astimezone(there)) == "2026-05-04T12:00:00Z"
    assert clock.iso((NOON + timedelta(milliseconds=5)).astimezone(there)) == "2026-05-04T12:00:00.005Z"
