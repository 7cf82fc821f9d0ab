"""Who sees what of a result, and who took part."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from rebootcamp.core.actors import Actor
from rebootcamp.core.errors import InvalidField
from rebootcamp.core.pages import PageRequest
from rebootcamp.models.sql.challenges import ChallengeParticipation, TeamContribution
from rebootcamp.services import challenges
from rebootcamp.services.challenges.results import TEAMS_SHOWN
from rebootcamp.services.leaderboards import edit_settings
from rebootcamp.storage.transactions import transaction
from tests.factories import admin, drain, make_actor, make_goal, make_group
from tests.services.test_goals import ONE, do
from tests.services.test_results import START, WINDOW, hand, results, team_goal

pytestmark = pytest.mark.usefixtures("committed_db")

__all__ = ["hand"]


def test_participants_are_who_joined_in_the_window_completed_it_or_gave_to_a_team(hand: Any) -> None:
    goal, team = make_goal(ONE, **WINDOW), team_goal(99)
    before, within, left, gone, done, idle = (make_actor(timezone="UTC") for _ in range(6))
    make_group(within, done, idle)
    hand.shift(timedelta(days=1))
    for who in (within, left, done):
        challenges.join_challenge(who, goal.id)
    do(done)
    challenges.leave_challenge(left, goal.id)
    do(within)
    drain()
    assert (results(goal).participants, results(team).participants) == (3, 2)
    with transaction() as session:
        for who, joined, ended in ((before, START - timedelta(days=9), None), (gone, START - timedelta(days=9), START)):
            values = {"challenge_id": goal.id, "user_id": who.user_id, "joined_at": joined, "left_at": ended}
            session.add(ChallengeParticipation(**values))
    assert results(goal).participants == 5
    with transaction() as session:
        session.execute(
            sa.update(ChallengeParticipation)
            .where(ChallengeParticipation.user_id == gone.user_id)
            .values(left_at=START - timedelta(seconds=1))
        )
        session.execute(
            sa.update(ChallengeParticipation)
            .where(ChallengeParticipation.user_id == before.user_id)
            .values(joined_at=START + timedelta(days=30))
        )
    assert results(goal).participants == 3


def test_a_student_sees_the_own_place_with_its_neighbours_and_the_own_teams(hand: Any) -> None:
    goal, team = make_goal(ONE, **WINDOW), team_goal(5)
    who = [make_actor(timezone="UTC") for _ in range(10)]
    idle, teacher = make_actor(timezone="UTC"), make_actor("instructor")
    first, second = make_group(who[0], who[1], idle), make_group(who[2])
    hand.shift(timedelta(days=1))
    for number, actor in enumerate(who):
        do(actor, 2 if number == 2 else 1)
        hand.shift(timedelta(seconds=1))
    drain()

    def seen(actor: Actor) -> tuple[str, list[int]]:
        found = results(goal, who=actor)
        assert (found.completed, found.finishers.next_cursor) == (10, None)
        assert [one.user_id for one in found.finishers.items] == [
            who[one.place - 1].user_id for one in found.finishers.items
        ]
        return found.view, [one.place for one in found.finishers.items]

    for _ in range(2):
        assert seen(who[0]) == ("neighbours", [1, 2, 3, 4])
        assert seen(who[5]) == ("neighbours", [3, 4, 5, 6, 7, 8, 9])
        assert seen(who[9]) == ("neighbours", [7, 8, 9, 10])
        assert seen(idle) == ("neighbours", [])
        assert seen(teacher) == ("full", list(range(1, 11)))
        teams = {one: results(team, who=one).teams for one in (who[0], who[2], idle, who[9], teacher)}
        placed = {one: [(found.group_id, found.place) for found in teams[one]] for one in teams}
        assert placed == {
            who[0]: [(first, 1)],
            who[2]: [(second, 2)],
            idle: [(first, 1)],
            who[9]: [],
            teacher: [(first, 1), (second, 2)],
        }
        assert {results(team, who=one).team_count for one in teams} == {2}
        with pytest.raises(InvalidField):
            results(goal, None, PageRequest(cursor="WyJmaW5pc2hlcnMiXQ"), who=idle)
        # Closed, it is seen as it was while it was open.
        hand.move_to(START + timedelta(days=5))
        challenges.close_windows()
    edit_settings(admin(), "full", None)
    assert seen(idle) == ("full", list(range(1, 11)))
    assert len(results(team, who=idle).teams) == 2


def test_the_own_team_keeps_its_place_in_the_results_however_many_are_before_it(hand: Any) -> None:
    goal, ada, teacher = team_goal(5), make_actor(timezone="UTC"), make_actor("instructor")
    larger, mine = [make_group() for _ in range(TEAMS_SHOWN)], make_group(ada)
    hand.shift(timedelta(days=1))
    do(ada)
    drain()
    with transaction() as session:
        for group_id in larger:
            key = {"challenge_id": goal.id, "period": "event", "group_id": group_id, "user_id": ada.user_id}
            session.add(TeamContribution(**key, value=2))
    for is_closed in (False, True):
        if is_closed:
            hand.move_to(START + timedelta(days=5))
            assert challenges.close_windows() == 1
        seen = results(goal, who=teacher)
        assert (len(seen.teams), seen.team_count) == (TEAMS_SHOWN, TEAMS_SHOWN + 1)
        own = [(team.group_id, team.place) for team in results(goal, who=ada).teams if team.group_id == mine]
        assert own == [(mine, TEAMS_SHOWN + 1)]


def test_a_place_on_the_photograph_stays_when_the_completion_goes(hand: Any) -> None:
    goal, ada, bob = make_goal(ONE, **WINDOW), make_actor(timezone="UTC"), make_actor(timezone="UTC")
    hand.shift(timedelta(days=1))
    deed = do(ada)
    hand.shift(timedelta(seconds=1))
    do(bob)
    hand.move_to(START + timedelta(days=5))
    challenges.close_windows()
    hand.shift(timedelta(hours=1))
    challenges.revoke_completion(admin(), ada.user_id, deed.completion.id, reason="Not done.")
    for who in (ada, bob):
        assert [one.place for one in results(goal, who=who).finishers.items] == [1, 2]
