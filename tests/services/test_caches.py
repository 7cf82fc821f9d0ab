"""What is remembered under a version was committed: an edit that is undone is remembered by nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from rebootcamp.core import clock
from rebootcamp.core.days import latest_date
from rebootcamp.models.sql.calendar import CALENDAR_VERSION
from rebootcamp.models.sql.levels import CURVE_VERSION
from rebootcamp.services import badges, calendar, levels
from rebootcamp.services.gamification.curves import curve_at
from rebootcamp.services.gamification.engine import current_rules
from rebootcamp.services.gamification.levels import Step
from rebootcamp.services.gamification.rest_days import calendar_of
from rebootcamp.storage.statements import fetch_all
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, make_badge

pytestmark = pytest.mark.usefixtures("committed_db")

FREE = latest_date(clock.now()) + timedelta(days=400)


class Undone(Exception):
    """Why a transaction is rolled back."""


def version(column: str) -> str:
    return str(next(iter(fetch_all(f"SELECT {column} FROM app_meta m", {})[0].values())))


def put_level(floor: int) -> None:
    texts = {language: {"name": str(floor)} for language in ("en", "fr")}
    levels.replace_curve(admin(), [Step(0, texts), Step(floor, texts)], None)


def put_rest(days: int) -> None:
    names = {"en": {"name": "x"}, "fr": {"name": "x"}}
    day = FREE + timedelta(days=days)
    calendar.create_rest_day(admin(), {"weekday": None, "starts_on": day, "ends_on": day, "translations": names})


EDITS: dict[str, tuple[Callable[[int], Any], Callable[[], Any]]] = {
    "labels": (lambda n: make_badge(f"badge_{n}"), lambda: sorted(badges.current_labels().names)),
    "rules": (lambda n: make_badge(f"badge_{n}"), lambda: sorted(current_rules().badges)),
    "curve": (lambda n: put_level(100 * n), lambda: [level.xp_floor for level in curve_at(version(CURVE_VERSION))]),
    "calendar": (
        put_rest,
        lambda: [n for n in (1, 2) if FREE + timedelta(days=n) in calendar_of(version(CALENDAR_VERSION))],
    ),
}


@pytest.mark.parametrize("thing", EDITS)
def test_an_edit_that_is_undone_is_remembered_by_nobody(thing: str) -> None:
    edit, read = EDITS[thing]
    admin()
    before = read()
    with suppress(Undone), transaction():
        edit(1)
        within = read()
        raise Undone
    assert within != before
    # The next edit has the number of the one that never was; asking in between would load it again anyway.
    edit(2)
    assert read() not in (before, within)


def test_a_transaction_that_edits_nothing_remembers_the_rules_for_the_next() -> None:
    """Commands read the rules inside their transactions, and nowhere else."""
    make_badge("first")
    with transaction():
        rules = current_rules()
    assert current_rules() is rules
    with suppress(Undone), transaction():
        make_badge("second")
        assert current_rules() is not rules
        raise Undone
    assert current_rules() is rules


def test_labels_are_remembered_outside_of_transactions_only() -> None:
    make_badge("first")
    with transaction():
        within = badges.current_labels()
    assert within == badges.current_labels()
    assert within is not badges.current_labels()
    assert badges.current_labels() is badges.current_labels()
