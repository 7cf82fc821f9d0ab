"""The ledgers of one learner against the journal, from which the engine's pure core makes the whole state again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rebootcamp.core.ids import event_id
from rebootcamp.events.challenges import (
    ChallengeCompleted,
    ChallengeFact,
    ChallengeRejected,
    ChallengeRevoked,
    ChallengeSubmitted,
)
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.projector import AWARDS
from rebootcamp.services.gamification.engine import standing_of
from rebootcamp.services.gamification.measures import is_standard_key, packed
from rebootcamp.services.gamification.progression import Standing
from rebootcamp.services.gamification.replay import replayed
from rebootcamp.services.gamification.rulebook import RuleBook
from rebootcamp.services.integrity.report import Notes
from rebootcamp.services.integrity.rules import check_rules
from rebootcamp.services.integrity.sources import Learner
from rebootcamp.services.integrity.world import World
from rebootcamp.storage.mongo import Doc

COMPLETION_STATUS: Final[Mapping[type[Fact], str]] = {
    ChallengeSubmitted: "pending",
    ChallengeCompleted: "validated",
    ChallengeRejected: "rejected",
    ChallengeRevoked: "revoked",
}
GRANT_FIELDS: Final = (
    "points",
    "origin",
    "rule_version",
    "evidence",
    "awarded_at",
    "expires_at",
    "revoked_at",
    "revoke_reason",
)

Experience = dict[tuple[str, str], tuple[int, str | None, str]]


def check_ledgers(notes: Notes, learner: Learner, world: World) -> None:
    """Compare state, completions, grants and experience with the journal."""
    if not learner.rows:
        _check_stranger(notes, learner)
        return
    _check_journal(notes, learner)
    if learner.is_readable:
        notes.expect("completions", *_apart(_completions(learner), _completions_of(learner.events)))
        granted = {grant["badge_code"]: _grant_fields(grant) for grant in learner.grants}
        notes.expect("grants", *_apart(granted, _grants_of(learner.events)))
    state = learner.state
    if state is None:
        notes.add("state", "events without a learner state")
        return
    notes.expect("sequence", [row["seq"] for row in learner.rows], list(range(1, state.last_seq + 1)))
    _check_totals(notes, learner)
    if learner.is_readable:
        made, experience = remade(learner, world, state.measured_version)
        notes.expect("experience ledger", *_apart(_experience(learner), experience))
        notes.expect("replay", without_forgotten(standing_of(state), made, world.rules), made)
        check_rules(notes, learner, world, made)


def remade(learner: Learner, world: World, measured: int) -> tuple[Standing, Experience]:
    """Return the standing that the journal makes, and the experience that came with each event."""
    standing, experience = Standing(measured=measured), Experience()
    for event, step in replayed(learner.events, world.rules, measured, world.calendar):
        standing = step.standing
        for grant in step.xp:
            entry = grant.points, grant.category, event.local_date.isoformat()
            experience[str(event.event_id), grant.reason] = entry
    return replace(standing, counters=packed(standing.counters)), experience


def without_forgotten(kept: Standing, made: Standing, rules: RuleBook) -> Standing:
    """Return a stored standing without the counters that no rule needs any more; nothing continues those."""
    counted = {measure.key for measure, since in rules.measures.since.items() if since <= made.measured}
    is_known = made.counters.keys() | counted
    counters = {key: value for key, value in kept.counters.items() if key in is_known or is_standard_key(key)}
    return replace(kept, counters=counters)


def _check_stranger(notes: Notes, learner: Learner) -> None:
    if learner.is_witnessed:
        notes.add("state", "ledger rows without any event")
    if learner.state is not None:
        notes.expect("sequence", learner.state.last_seq, 0)


def _check_journal(notes: Notes, learner: Learner) -> None:
    """An event's id follows from its place, its points from its payload."""
    for row in learner.rows:
        if row["event_id"] != event_id(learner.user_id, row["seq"]):
            notes.add("event ids", f"{row['event_id']} is not the id of this place", f"seq {row['seq']}")
    points = {row["seq"]: row["points"] for row in learner.rows}
    for event in learner.events:
        notes.expect("event points", points[event.seq], event.fact.score_points, f"seq {event.seq}")


def _check_totals(notes: Notes, learner: Learner) -> None:
    """The score three ways, the badges and the experience."""
    state = learner.state
    if state is None:
        return
    held = {grant["badge_code"]: grant["points"] for grant in learner.grants if grant["revoked_at"] is None}
    valid = sum(row["points"] for row in learner.completions if row["status"] == "validated")
    score = state.challenge_points + state.badge_points
    notes.expect("score from events", score, sum(row["points"] for row in learner.rows))
    notes.expect("challenge points", state.challenge_points, valid)
    notes.expect("badge points", state.badge_points, sum(held.values()))
    notes.expect("held badges", sorted(state.held_badges), sorted(held))
    notes.expect("experience", state.xp_total, sum(row["points"] for row in learner.experience))


def _apart(found: Mapping[Any, Any], expected: Mapping[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return both without what they have in common."""
    wrong = [key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key)]
    return {key: found[key] for key in wrong if key in found}, {key: expected[key] for key in wrong if key in expected}


def _experience(learner: Learner) -> Experience:
    return {
        (str(row["event_id"]), row["reason"]): (row["points"], row["category"], row["local_date"].isoformat())
        for row in learner.experience
    }


def _completions(learner: Learner) -> dict[int, tuple[Any, ...]]:
    return {
        row["id"]: (row["status"], row["challenge_id"], row["period"], _settled(row["status"], row["points"]))
        for row in learner.completions
    }


def _completions_of(events: list[RecordedEvent]) -> dict[int, tuple[Any, ...]]:
    found = {}
    for event in events:
        if isinstance(fact := event.fact, ChallengeFact):
            status = COMPLETION_STATUS[type(fact)]
            points = _settled(status, getattr(fact, "points", None))
            found[fact.completion_id] = status, fact.challenge_id, fact.period, points
    return found


def _settled(status: str, points: int | None) -> int | None:
    """Return the points of a completion that counts or counted; of no other the journal says how many there are."""
    return points if status in ("validated", "revoked") else None


def _grant_fields(grant: Mapping[Any, Any]) -> Doc:
    return {name: grant[name] for name in GRANT_FIELDS} | {"event_id": str(grant["event_id"]), "seq": grant["seq"]}


def _grants_of(events: list[RecordedEvent]) -> dict[str, Doc]:
    seqs = {str(event.event_id): event.seq for event in events}
    awards = AWARDS.changes(events).values()
    return {
        award["badge"]: {name: award.get(name) for name in GRANT_FIELDS}
        | {"event_id": award.get("event_id"), "seq": seqs.get(award.get("event_id", ""))}
        for award in awards
    }
