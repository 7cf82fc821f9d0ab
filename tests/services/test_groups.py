"""Groups when many people join at once, and what stays known of those who left."""

from __future__ import annotations

from contextlib import suppress

import pytest
import sqlalchemy as sa
from flask import Flask

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import DomainError, NotFound
from rebootcamp.core.groups import ALPHABET, CODE_LENGTH, MAX_MEMBERS, canonical_code, new_code, spaced_code
from rebootcamp.models.sql.groups import GroupMembership
from rebootcamp.services import groups
from rebootcamp.services.groups.errors import GroupFull, NotMember
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage.sql import db
from tests.factories import admin, make_group
from tests.relay.tools import execute, in_threads, make_learners

pytestmark = pytest.mark.usefixtures("committed_db")

STRANGERS = """
    INSERT INTO users (email, password_hash, role, first_name, last_name, display_name, locale, timezone, token_version,
        is_active, email_verified, version, created_at, updated_at, day_start_hour, is_listed)
    SELECT 'pupil' || n || '@example.org', '', 'student', 'P', 'P', 'Pupil', 'en', 'UTC',
        1, true, false, 1, now(), now(), 0, true
    FROM generate_series(1, :count) n RETURNING id"""


def filled(free: int) -> int:
    """Return a group that has so much room left."""
    with db.engine.begin() as connection:
        ids = list(connection.scalars(sa.text(STRANGERS), {"count": MAX_MEMBERS - free}))
    group = make_group()
    groups.add_members(admin(), group, ids)
    return group


def view(group: int) -> groups.GroupView:
    db.session.remove()
    return groups.get_group(admin(), group)


def current(group: int) -> int:
    db.session.remove()
    rows = sa.select(sa.func.count()).where(GroupMembership.group_id == group, GroupMembership.left_at.is_(None))
    return db.session.scalar(rows) or 0


def attempt(actor: Actor, code: str) -> str:
    try:
        groups.join_group(actor, code)
    except DomainError as error:
        return error.code
    return "joined"


def test_joins_at_once_never_pass_the_limit(committed_db: Flask) -> None:
    group, learners = filled(free=2), make_learners(6)
    code = view(group).group.join_code
    outcomes = in_threads(committed_db, *[lambda who=who: attempt(who, code) for who in learners])
    assert sorted(outcomes) == ["group_full"] * 4 + ["joined"] * 2
    assert (view(group).group.members, current(group)) == (MAX_MEMBERS, MAX_MEMBERS)


def test_one_learner_who_joins_at_once_joins_once(committed_db: Flask) -> None:
    group, (ada,) = make_group(), make_learners(1)
    code = view(group).group.join_code
    outcomes = in_threads(committed_db, *[lambda: attempt(ada, code)] * 6)
    assert sorted(outcomes) == ["already_member"] * 5 + ["joined"]
    assert (view(group).group.members, current(group)) == (1, 1)


def test_joining_leaving_adding_and_removing_at_once_keep_the_count(committed_db: Flask) -> None:
    group, learners, boss = make_group(), make_learners(4), admin()
    code, ids = view(group).group.join_code, [learner.user_id for learner in learners]

    def come_and_go(who: Actor) -> None:
        for _ in range(8):
            attempt(who, code)
            with suppress(NotFound, NotMember):
                groups.leave_group(who, group)

    def herd() -> None:
        for _ in range(8):
            groups.add_members(boss, group, ids)
            groups.remove_members(boss, group, ids[:2])

    in_threads(committed_db, herd, *[lambda who=who: come_and_go(who) for who in learners])
    assert view(group).group.members == current(group)
    db.session.remove()
    assert [finding for finding in check_stores().findings if finding.invariant == "group members"] == []


def test_with_too_many_nobody_is_added() -> None:
    group, learners = filled(free=1), make_learners(2)
    with pytest.raises(GroupFull):
        groups.add_members(admin(), group, [learner.user_id for learner in learners])
    assert (view(group).group.members, current(group)) == (MAX_MEMBERS - 1, MAX_MEMBERS - 1)


def test_every_stay_stays_known() -> None:
    group, (ada,) = make_group(), make_learners(1)
    for _ in range(3):
        groups.add_members(admin(), group, [ada.user_id])
        groups.leave_group(ada, group)
    stays = db.session.scalars(sa.select(GroupMembership).where(GroupMembership.user_id == ada.user_id)).all()
    assert len(stays) == 3
    assert all(stay.left_at is not None and stay.left_at >= stay.joined_at for stay in stays)


def test_a_clock_that_was_ahead_does_not_keep_anybody_from_leaving() -> None:
    (ada,) = make_learners(1)
    group = make_group(ada)
    execute("UPDATE group_memberships SET joined_at = now() + interval '1 minute'")
    groups.leave_group(ada, group)
    assert current(group) == 0


def test_a_count_that_is_wrong_is_found() -> None:
    group = make_group(*make_learners(2))
    execute("UPDATE groups SET members = 1")
    db.session.remove()
    (finding,) = [found for found in check_stores().findings if found.invariant == "group members"]
    assert (finding.subject, finding.detail) == (f"group {group}", "found 1, expected 2")


def test_codes_are_random_and_unambiguous() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert len(ALPHABET) == 32
    assert not set("ILOU") & set(ALPHABET)
    assert set("".join(codes)) == set(ALPHABET)
    assert all(len(code) == CODE_LENGTH == 10 and canonical_code(spaced_code(code).lower()) == code for code in codes)
