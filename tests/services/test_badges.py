"""Rules at work on real stores: versions, back-fill, preview, awards by hand and their end."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
from flask import Flask

from rebootcamp.core import clock
from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField
from rebootcamp.services import badges, challenges
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, complete, drain, judge_the_past, make_badge, make_challenge
from tests.relay.tools import assert_stores_agree, in_threads, make_learners
from tests.services.stories import (
    BUSY,
    COMPLETED,
    counted,
    counters,
    do,
    edit,
    grants,
    holders,
    jobs,
    learners,
    on,
    preview,
    revoke,
)

pytestmark = pytest.mark.usefixtures("committed_db")


def test_a_new_badge_reaches_who_met_its_rule_long_ago_and_stays() -> None:
    ada, bob, cleo = learners(3)
    do(ada, 0, 2, 4, 100)
    revoke(do(bob, 0, 2, 4)[1])
    do(cleo, 0, 5, 10)
    with on(200):
        make_badge("busy", criteria=BUSY)
        assert (jobs("busy"), holders("busy")) == ([("waiting", "keep")], set())
        drain()
        assert_stores_agree()
        judge_the_past()
        assert (jobs("busy"), holders("busy")) == ([("done", "keep")], {ada.user_id})
        evidence = grants("busy")[ada.user_id].evidence
        assert evidence["met_on"] == "2026-01-09"
        assert evidence["readings"] == [{"counter": f"{COMPLETED}|per:day", "value": 3, "target": 3}]
        # The window is empty now, and something else is taken back: that is no reason to lose the badge.
        revoke(do(ada, 201)[0])
        assert holders("busy") == {ada.user_id}
        drain()
        assert_stores_agree()


def test_what_a_back_filled_badge_rests_on_can_still_be_revoked() -> None:
    (ada,) = learners(1)
    done = do(ada, 0, 2, 4)
    with on(200):
        make_badge("busy", criteria=BUSY)
        judge_the_past()
        revoke(done[0])
        assert holders("busy") == set()
        drain()
        assert_stores_agree()


def test_new_counters_are_complete_after_the_job_and_go_on() -> None:
    ada, bob = learners(2)
    monthly = counted(4, per="month", distinct="challenge_id")
    key = f"{COMPLETED}|distinct:challenge_id|per:month"
    do(ada, 0, 1)
    with on(2):
        make_badge("varied", criteria=monthly)
    # Between the creation and the back-fill nothing is lost, and nothing is counted twice.
    do(ada, 3)
    do(bob, 3)
    assert key not in counters(ada)
    with on(4):
        judge_the_past()
    assert sum(counters(ada)[key].values()) == 3
    assert holders("varied") == set()
    do(ada, 5)
    do(bob, 5)
    assert sum(counters(ada)[key].values()) == 4
    assert holders("varied") == {ada.user_id}
    newcomer = make_learners(1)[0]
    do(newcomer, 6, 7, 8, 9)
    assert holders("varied") == {ada.user_id, newcomer.user_id}
    drain()
    assert_stores_agree()


def test_who_joins_while_a_rule_is_published_is_not_forgotten(committed_db: Flask) -> None:
    admin()
    joined = threading.Event()

    def join() -> Actor:
        with transaction():
            (actor,) = make_learners(1)
            joined.set()
            time.sleep(0.5)
        return actor

    def publish() -> None:
        joined.wait(5)
        make_badge("busy", criteria=counted(2, per="week"))
        judge_the_past()

    # The back-fill runs before the other transaction would have ended.
    actor = next(filter(None, in_threads(committed_db, join, publish)))
    do(actor, 0, 1)
    assert holders("busy") == {actor.user_id}


def test_a_counter_that_was_dropped_and_comes_back_is_made_anew() -> None:
    (ada,) = learners(1)
    with on(0):
        make_badge("busy", criteria=counted(5, per="week"))
        judge_the_past()
    do(ada, 1)
    edit("busy", criteria={"points": {"at_least": 1000}})
    do(ada, 2, 3)
    edit("busy", criteria=counted(4, per="week"))
    assert f"{COMPLETED}|per:week" in counters(ada)
    # The leftover of before is neither believed nor a disagreement.
    do(ada, 4)
    drain()
    assert_stores_agree()
    assert holders("busy") == set()
    judge_the_past()
    assert holders("busy") == {ada.user_id}
    drain()
    assert_stores_agree()


def test_a_counter_that_no_rule_needs_is_dropped() -> None:
    (ada,) = learners(1)
    with on(0):
        make_badge("busy", criteria=counted(5, per="week"))
        judge_the_past()
    do(ada, 1)
    edit("busy", criteria={"points": {"at_least": 1000}})
    judge_the_past()
    assert f"{COMPLETED}|per:week" not in counters(ada)
    drain()
    assert_stores_agree()


def test_an_edit_supersedes_the_job_that_waits() -> None:
    (ada,) = learners(1)
    do(ada, 0)
    make_badge("first", at_least=1)
    edit("first", criteria=counted(2))
    edit("first", points=99)
    assert jobs("first") == [("superseded", "keep"), ("waiting", "keep")]
    judge_the_past()
    assert (jobs("first")[-1], holders("first")) == (("done", "keep"), set())
    edit("first", criteria=counted(1))
    edit("first", is_active=False)
    assert jobs("first")[-1] == ("superseded", "keep")
    judge_the_past()
    assert holders("first") == set()
    edit("first", is_active=True)
    judge_the_past()
    assert holders("first") == {ada.user_id}


def test_an_edit_keeps_holders_and_judges_them_by_their_own_rule() -> None:
    ada, bob = learners(2)
    make_badge("deeds", at_least=2)
    done = do(ada, 0, 1)
    edit("deeds", criteria=counted(3))
    judge_the_past()
    assert holders("deeds") == {ada.user_id}
    revoke(do(ada, 2)[0])
    assert holders("deeds") == {ada.user_id}
    do(bob, 0, 1)
    assert holders("deeds") == {ada.user_id}
    revoke(done[0])
    assert holders("deeds") == set()
    drain()
    assert_stores_agree()


def test_an_edit_that_re_evaluates_takes_what_the_new_rule_refuses() -> None:
    ada, bob, cleo = learners(3)
    make_badge("deeds", at_least=2)
    do(ada, 0, 1, 2)
    done = do(bob, 0, 1)
    badges.award_badge(admin(), cleo.user_id, "deeds", reason="By hand.")
    foreseen = preview(counted(3), "deeds")
    assert (foreseen.would_gain, foreseen.would_lose, foreseen.would_keep) == (0, 1, 2)
    assert [(item["change"], item["user_id"]) for item in foreseen.sample] == [("lose", bob.user_id)]
    edit("deeds", "reevaluate", criteria=counted(3))
    judge_the_past()
    assert holders("deeds") == {ada.user_id, cleo.user_id}
    # What a changed rule took can be earned by the changed rule.
    do(bob, 3)
    assert holders("deeds") == {ada.user_id, bob.user_id, cleo.user_id}
    assert grants("deeds")[bob.user_id].rule_version == 2
    # Who kept the badge keeps it by the rule of old.
    assert grants("deeds")[ada.user_id].rule_version == 1
    revoke(done[0])
    assert holders("deeds") == {ada.user_id, cleo.user_id}
    drain()
    assert_stores_agree()


def test_awards_end_when_their_time_is_over_and_take_what_rests_on_them() -> None:
    ada, bob = learners(2)
    make_badge("month", valid_days=30)
    make_badge("after", criteria={"badge": "month"})
    do(ada, 0)
    do(bob, 20)
    with on(29):
        assert badges.expire_awards() == 0
    with on(31):
        assert badges.expire_awards() == 1
        assert badges.expire_awards() == 0
        judge_the_past()
    assert holders("month") == holders("after") == {bob.user_id}
    # Past deeds do not bring it back, a new one does.
    do(ada, 32)
    assert holders("month") == {ada.user_id, bob.user_id}
    drain()
    assert_stores_agree()


def test_an_award_by_hand_has_its_own_end_and_evidence() -> None:
    (ada,) = learners(1)
    make_badge("gift", at_least=100, valid_days=5)
    with on(0):
        ends = clock.now() + timedelta(days=2)
        shown = {"text": "A talk.", "url": "https://example.org/talk"}
        badges.award_badge(admin(), ada.user_id, "gift", reason="Spoke.", evidence=shown, expires_at=ends)
        assert grants("gift")[ada.user_id].expires_at == ends
        assert grants("gift")[ada.user_id].evidence == {"awarded_by": admin().user_id, "reason": "Spoke.", **shown}
        badges.revoke_badge(admin(), ada.user_id, "gift", reason="A test.")
        badges.award_badge(admin(), ada.user_id, "gift", reason="Again.")
        again = grants("gift")[ada.user_id]
        assert again.expires_at == again.awarded_at + timedelta(days=5)
        with pytest.raises(InvalidField) as refused:
            badges.award_badge(admin(), ada.user_id, "gift", reason="Late.", expires_at=clock.now())
    assert refused.value.pointer == "/expires_at"
    with on(6):
        assert badges.expire_awards() == 1
    drain()
    assert_stores_agree()


def test_a_late_approval_earns_what_it_would_have_earned_in_time() -> None:
    (ada,) = learners(1)
    make_badge("busy", criteria=BUSY)
    judge_the_past()
    with on(0):
        waiting = complete(ada, make_challenge(validation="approval"))
    do(ada, 2, 4)
    with on(30):
        challenges.approve_submission(admin(), waiting.completion.id)
    assert grants("busy")[ada.user_id].evidence["met_on"] == "2026-01-09"
    drain()
    assert_stores_agree()
