"""A challenge that gives a badge: with the completion, in its transaction, and gone with the last one."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField
from rebootcamp.models.sql.badges import BadgeGrant
from rebootcamp.models.sql.challenges import Challenge
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services import badges, challenges
from rebootcamp.services.challenges.errors import ChallengeInUse
from rebootcamp.services.gamification.rewards import rewards_of
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, judge_the_past, make_actor, make_badge, make_challenge, make_goal
from tests.relay.tools import assert_stores_agree
from tests.services.stories import grants, revoke

pytestmark = pytest.mark.usefixtures("committed_db")

FAR = {"points": {"at_least": 100_000}}


@pytest.fixture
def ada() -> Actor:
    """A learner who has not done anything, where a badge can be had through challenges alone."""
    make_badge("night_watch", criteria=FAR, points=7)
    return make_actor()


def giving(**fields: Any) -> Challenge:
    return make_challenge(reward_badge="night_watch", **fields)


def held(actor: Actor) -> list[str]:
    db.session.remove()
    return sorted(db.session.get_one(LearnerState, actor.user_id).held_badges)


def assert_sound() -> None:
    drain()
    assert_stores_agree()


def test_the_badge_comes_with_the_completion_and_goes_with_it(ada: Actor) -> None:
    challenge = giving()
    done = complete(ada, challenge)
    rewards = rewards_of(done.recorded)
    assert [(badge.badge, badge.origin, badge.points) for badge in rewards.badges] == [("night_watch", "challenge", 7)]
    assert (rewards.totals.challenge_points, rewards.totals.badge_points) == (20, 7)
    grant = grants("night_watch")[ada.user_id]
    assert (grant.origin, grant.evidence["challenge_id"]) == ("challenge", challenge.id)
    assert challenges.get_challenge(ada, challenge.id).reward_badges == ["night_watch"]
    assert_sound()
    before = dict(db.session.get_one(LearnerState, ada.user_id).counters)
    revoke(done)
    assert held(ada) == []
    reason = sa.select(BadgeGrant.revoke_reason).where(BadgeGrant.user_id == ada.user_id)
    assert db.session.scalar(reason) == "criteria_no_longer_met"
    assert_sound()
    complete(ada, challenge)
    assert (held(ada), dict(db.session.get_one(LearnerState, ada.user_id).counters)) == (["night_watch"], before)
    assert_sound()


def test_the_last_challenge_that_gives_a_badge_takes_it(ada: Actor) -> None:
    daily, other = giving(cadence="daily"), giving()
    done = [complete(ada, daily), complete(ada, other)]
    assert [len(rewards_of(one.recorded).badges) for one in done] == [1, 0]
    revoke(done[0])
    assert held(ada) == ["night_watch"]
    assert_sound()
    revoke(done[1])
    assert held(ada) == []
    assert_sound()


def test_a_badge_that_is_not_revocable_stays(ada: Actor) -> None:
    make_badge("kept", criteria=FAR, is_revocable=False)
    revoke(complete(ada, make_challenge(reward_badge="kept")))
    assert held(ada) == ["kept"]
    assert_sound()


def test_a_badge_that_is_retired_falls_all_the_same_and_is_given_no_more(ada: Actor) -> None:
    challenge, done = giving(), complete(ada, giving())
    badges.update_badge(admin(), "night_watch", {"is_active": False}, None)
    complete(make_actor(), challenge)
    assert challenges.get_challenge(ada, challenge.id).reward_badges == []
    revoke(done)
    assert (held(ada), grants("night_watch")) == ([], {})
    assert_sound()


def test_the_rule_of_the_badge_is_another_way_to_it(ada: Actor) -> None:
    make_badge("either")
    by_rule = complete(ada, make_challenge())
    by_challenge = complete(ada, make_challenge(reward_badge="either"))
    revoke(by_rule)
    assert held(ada) == ["either"]
    bob = make_actor()
    given = complete(bob, make_challenge(reward_badge="either"))
    assert [badge.origin for badge in rewards_of(given.recorded).badges] == ["challenge"]
    complete(bob, make_challenge())
    revoke(given)
    assert held(bob) == ["either"]
    revoke(by_challenge)
    assert held(ada) == []
    assert_sound()


def test_who_lost_it_by_hand_does_not_get_it_back(ada: Actor) -> None:
    complete(ada, giving())
    badges.revoke_badge(admin(), ada.user_id, "night_watch", reason="A joke.")
    complete(ada, giving())
    assert held(ada) == []
    assert_sound()


def test_a_timed_challenge_gives_it_by_itself_and_takes_it_back(ada: Actor) -> None:
    make_goal({"count": {"event": "challenge.completed", "at_least": 2}}, reward_badge="night_watch")
    done = [complete(ada, make_challenge()) for _ in range(2)]
    assert held(ada) == ["night_watch"]
    assert_sound()
    revoke(done[0])
    assert held(ada) == []
    assert_sound()


def test_a_late_goal_gives_it_to_who_did_enough_already(ada: Actor) -> None:
    complete(ada, make_challenge())
    make_goal({"count": {"event": "challenge.completed", "at_least": 1}}, reward_badge="night_watch")
    assert held(ada) == ["night_watch"]
    assert_sound()


def test_what_waits_for_approval_gives_it_once_it_is_approved(ada: Actor) -> None:
    waiting = complete(ada, giving(validation="approval"))
    assert held(ada) == []
    challenges.approve_submission(admin(), waiting.completion.id)
    assert held(ada) == ["night_watch"]
    assert_sound()


def test_a_re_evaluation_leaves_it_to_whom_a_challenge_gave_it(ada: Actor) -> None:
    complete(ada, giving())
    make_badge("either")
    bob = make_actor()
    complete(bob, make_challenge())
    complete(bob, make_challenge(reward_badge="either"))
    assert grants("either")[bob.user_id].origin == "rule"
    complete(bob, giving())
    for code in ("either", "night_watch"):
        tried = badges.preview_badge(admin(), FAR, code)
        assert (tried.would_lose, tried.would_gain) == (0, 0)
        badges.update_badge(admin(), code, {"criteria": FAR}, None, holders="reevaluate")
    judge_the_past()
    assert (held(ada), held(bob)) == (["night_watch"], ["either", "night_watch"])
    assert_sound()


@pytest.mark.parametrize("code", ["nothing", "retired"])
def test_only_an_active_badge_can_be_promised(ada: Actor, code: str) -> None:
    make_badge("retired", is_active=False)
    number = make_challenge().id
    for promise in (
        lambda: make_challenge(reward_badge=code),
        lambda: challenges.update_challenge(admin(), number, {"reward_badge": code}, None),
    ):
        with pytest.raises(InvalidField) as refused:
            promise()
        assert (refused.value.pointer, refused.value.field_code) == ("/reward_badge", "unknown_badge")
        db.session.remove()


def test_a_promise_that_was_kept_cannot_be_changed(ada: Actor) -> None:
    challenge = make_challenge()
    number = challenge.id
    challenges.update_challenge(admin(), number, {"reward_badge": "night_watch"}, None)
    complete(ada, challenge)
    with pytest.raises(ChallengeInUse):
        challenges.update_challenge(admin(), number, {"reward_badge": None}, None)
    db.session.remove()
    challenges.update_challenge(admin(), number, {"reward_badge": "night_watch", "points": 3}, None)
