"""Badges are judged again, and never by terms under which nobody judged them."""

from __future__ import annotations

import pytest

from rebootcamp.services import badges
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, judge_the_past, make_challenge
from tests.factories import make_badge as add_badge
from tests.relay.tools import execute
from tests.services.stories import counted, do, edit, holders, learners, on, revoke

pytestmark = pytest.mark.usefixtures("committed_db")


def make_badge(code: str, **fields: object) -> None:
    with on(0):
        add_badge(code, **fields)
        judge_the_past()


def alarms() -> list[str]:
    drain()
    db.session.remove()
    return [f"{finding.subject}: {finding.detail}" for finding in check_stores().findings]


def rewrite(code: str, at_least: int) -> None:
    """Change a rule behind everybody's back."""
    rule = f'{{"count": {{"event": "challenge.completed", "at_least": {at_least}}}}}'
    execute("UPDATE badge_rules SET criteria = CAST(:rule AS jsonb) WHERE badge_code = :code", rule=rule, code=code)


def test_a_badge_without_its_facts_and_facts_without_their_badge_are_told() -> None:
    (ada,) = learners(1)
    make_badge("twice", at_least=2)
    make_badge("often", at_least=9)
    do(ada, 1, 2)
    assert alarms() == []
    rewrite("twice", 5)
    rewrite("often", 2)
    assert alarms() == [
        f"user {ada.user_id} twice: held, and its rule is not met",
        f"user {ada.user_id} often: not held, and its rule is met",
    ]


def test_a_badge_that_could_not_fall_when_its_facts_did_is_no_fault() -> None:
    (ada,) = learners(1)
    make_badge("twice", at_least=2, is_revocable=False)
    done = do(ada, 1, 2)
    revoke(done[0])
    assert holders("twice") == {ada.user_id}
    assert alarms() == []
    badges.update_badge(admin(), "twice", {"is_revocable": True}, None)
    assert alarms() == []


def test_a_badge_of_a_challenge_is_told_before_its_rule_has_judged_anybody() -> None:
    (ada,) = learners(1)
    add_badge("gift", criteria=counted(3, distinct="local_date"), is_revocable=False)
    revoke(complete(ada, make_challenge(reward_badge="gift")))
    badges.update_badge(admin(), "gift", {"is_revocable": True}, None)
    assert holders("gift") == {ada.user_id}
    assert alarms() == []


def test_a_badge_that_fell_by_its_old_rule_is_not_missed_by_a_looser_one() -> None:
    (ada,) = learners(1)
    make_badge("twice", at_least=2)
    done = do(ada, 1, 2)
    with on(3):
        edit("twice", criteria=counted(1))
    judge_the_past()
    revoke(done[0])
    assert holders("twice") == set()
    assert alarms() == []


def test_a_rule_that_has_not_judged_everybody_yet_misses_nobody() -> None:
    (ada,) = learners(1)
    do(ada, 1)
    with on(2):
        add_badge("once")
    assert alarms() == []
    judge_the_past()
    assert holders("once") == {ada.user_id}
    assert alarms() == []


def test_a_rule_about_levels_is_left_alone() -> None:
    (ada,) = learners(1)
    make_badge("second", criteria={"level": {"at_least": 2}})
    do(ada, *range(1, 8))
    assert holders("second") == {ada.user_id}
    execute("UPDATE levels SET xp_floor = xp_floor + 100003 WHERE number > 1")
    assert alarms() == []
