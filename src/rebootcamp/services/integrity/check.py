"""Proof that both stores agree: every derived figure and document is made again and compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import sqlalchemy as sa

from rebootcamp.core.levels import MIN_LEVELS
from rebootcamp.events.catalogue import badge_fields
from rebootcamp.events.challenges import (
    ChallengeCompleted,
    ChallengeFact,
    ChallengeRejected,
    ChallengeRevoked,
    ChallengeSubmitted,
)
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.projector import award_changes, fold_all, history_document
from rebootcamp.events.store import list_dead_letters, list_pending, readable, stream_events
from rebootcamp.models.mongo.badges import AwardDocument, BadgeDocument
from rebootcamp.models.mongo.progress import HistoryDocument, ProgressDocument
from rebootcamp.models.sql.badges import BadgeDefinition, BadgeGrant
from rebootcamp.models.sql.calendar import RestDay
from rebootcamp.models.sql.challenges import ChallengeCompletion
from rebootcamp.models.sql.levels import LevelDefinition
from rebootcamp.models.sql.operations import AppMeta
from rebootcamp.models.sql.progress import LearnerState, XpEntry
from rebootcamp.services.gamification.engine import load_rules, standing_of
from rebootcamp.services.gamification.levels import ONE_LEVEL, first_fault
from rebootcamp.services.gamification.measures import is_standard_key, packed
from rebootcamp.services.gamification.progression import Standing
from rebootcamp.services.gamification.replay import replay
from rebootcamp.services.gamification.rest_days import Calendar, rest_of
from rebootcamp.services.gamification.rulebook import RuleBook
from rebootcamp.services.integrity.boards import Boards
from rebootcamp.services.integrity.report import Finding, Report
from rebootcamp.services.integrity.totals import ExpectedGoals, ExpectedSavings, counted_members
from rebootcamp.storage import mongo
from rebootcamp.storage.cut import Cut, common_cut
from rebootcamp.storage.documents import by_id
from rebootcamp.storage.mongo import Doc
from rebootcamp.storage.mongo_schema import undeclared
from rebootcamp.storage.sql import Row

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


@dataclass
class _Ledgers:
    """Per-learner figures that PostgreSQL keeps beside the events."""

    states: dict[int, LearnerState]
    xp: dict[int, int]
    completed: dict[int, int]
    completions: dict[int, dict[int, str]]
    grants: dict[int, dict[str, BadgeGrant]]
    rules: RuleBook
    pending: dict[int, set[int]]
    calendar: Calendar

    def held(self, user_id: int) -> dict[str, BadgeGrant]:
        """Return the grants that were not revoked."""
        return {code: grant for code, grant in self.grants[user_id].items() if grant.revoked_at is None}


def check_stores() -> Report:
    """Compare both stores at one common cut; the service may run meanwhile."""
    with common_cut() as cut:
        return check_cut(cut)


def check_cut(cut: Cut) -> Report:
    """Compare both stores as they were at the cut."""
    report = Report()
    _check_schema(report)
    with report.examining("store", "meta"):
        _check_identity(report, cut)
    with report.examining("badges", "catalogue"):
        _check_catalogue(report, cut)
    _check_curve(report, cut)
    ledgers = _read_ledgers(cut)
    report.pending = sum(map(len, ledgers.pending.values()))
    boards, savings = Boards(), ExpectedSavings()
    goals = ExpectedGoals(cut, ledgers.rules.team_goals)
    known: set[int] = set()
    for user_id, group in groupby(stream_events(cut.sql), key=lambda row: row["user_id"]):
        rows = list(group)
        known.add(user_id)
        report.learners += 1
        report.events += len(rows)
        boards.count(user_id, rows, ledgers.pending.get(user_id, set()))
        savings.count(rows, ledgers.pending.get(user_id, set()))
        goals.count(rows, ledgers.pending.get(user_id, set()))
        _check_learner(report, cut, ledgers, rows)
    with report.examining("strangers", "documents"):
        _check_strangers(report, cut, ledgers, known)
    boards.check(report, cut)
    for invariant, subject, found, expected in (
        *savings.compared(cut),
        *counted_members(cut),
        *goals.compared(cut),
    ):
        report.expect(invariant, subject, found, expected)
    _check_outbox(report, cut)
    return report


def _check_identity(report: Report, cut: Cut) -> None:
    meta = cut.sql.scalars(sa.select(AppMeta)).one_or_none()
    stored = mongo.database()["meta"].find_one({"_id": "store"}, session=cut.mongo)
    if meta is None or stored is None:
        report.findings.append(Finding("store", "meta", "one of the stores was never prepared: run flask prepare"))
        return
    report.expect("store", "store_id", stored.get("store_id"), str(meta.store_id))
    report.expect("store", "epoch", stored.get("epoch"), meta.epoch)


def _check_schema(report: Report) -> None:
    """Validators and indexes are not part of a snapshot; only an operator changes them."""
    with mongo.guarded():
        differing = undeclared(mongo.database())
    for collection in differing:
        report.findings.append(Finding("schema", collection, "validator or indexes differ: run flask mongo-init"))


def _check_catalogue(report: Report, cut: Cut) -> None:
    stored = by_id(BadgeDocument.collection().find({}, session=cut.mongo))
    badges = {badge.code: badge for badge in cut.sql.scalars(sa.select(BadgeDefinition))}
    for code in stored.keys() | badges.keys():
        badge = badges.get(code)
        if badge is None:
            report.findings.append(Finding("badges", code, "document without a definition"))
        elif badge.projected_version == badge.version:
            report.expect("badges", code, stored.get(code), _badge_document(badge))


def _check_curve(report: Report, cut: Cut) -> None:
    columns = LevelDefinition.number, LevelDefinition.xp_floor
    rows = cut.sql.execute(sa.select(*columns).order_by(LevelDefinition.number)).all()
    report.expect("levels", "numbers", [row.number for row in rows], list(range(1, max(len(rows), MIN_LEVELS) + 1)))
    report.expect("levels", "floors", first_fault([row.xp_floor for row in rows] or [0]), None)


def _badge_document(badge: BadgeDefinition) -> Doc:
    return {"_id": badge.code, "version": badge.version, **badge_fields(badge)}


def _read_ledgers(cut: Cut) -> _Ledgers:
    valid = ChallengeCompletion.status == "validated"
    grants: dict[int, dict[str, BadgeGrant]] = defaultdict(dict)
    for grant in cut.sql.scalars(sa.select(BadgeGrant)):
        grants[grant.user_id][grant.badge_code] = grant
    completions: dict[int, dict[int, str]] = defaultdict(dict)
    columns = ChallengeCompletion.user_id, ChallengeCompletion.id, ChallengeCompletion.status
    for user_id, completion_id, status in cut.sql.execute(sa.select(*columns)):
        completions[user_id][completion_id] = status
    pending: dict[int, set[int]] = defaultdict(set)
    for user_id, seq in list_pending(cut.sql):
        pending[user_id].add(seq)
    return _Ledgers(
        states={state.user_id: state for state in cut.sql.scalars(sa.select(LearnerState))},
        xp=_sums(cut, sa.select(XpEntry.user_id, sa.func.sum(XpEntry.points)).group_by(XpEntry.user_id)),
        completed=_sums(
            cut,
            sa.select(ChallengeCompletion.user_id, sa.func.sum(ChallengeCompletion.points))
            .where(valid)
            .group_by(ChallengeCompletion.user_id),
        ),
        completions=completions,
        grants=grants,
        rules=load_rules(0, ONE_LEVEL),
        pending=pending,
        calendar=Calendar(map(rest_of, cut.sql.execute(sa.select(RestDay.__table__)).mappings())),
    )


def _sums(cut: Cut, statement: sa.Select[int, int]) -> dict[int, int]:
    return {user_id: int(total) for user_id, total in cut.sql.execute(statement)}


def _check_learner(report: Report, cut: Cut, ledgers: _Ledgers, rows: list[Row]) -> None:
    user_id = rows[0]["user_id"]
    events = list(readable(rows))
    pending = ledgers.pending.get(user_id, set())
    delivered = [event for event in events if event.seq not in pending]
    subject = f"user {user_id}"
    with report.examining("events", subject):
        _check_totals(report, ledgers, rows, events)
    with report.examining("history", subject):
        _check_history(report, cut, user_id, events, delivered)
    with report.examining("awards", subject):
        _check_awards(report, cut, user_id, events, pending)
    with report.examining("progress", subject):
        _check_progress(report, cut, user_id, events, delivered)


def _check_totals(report: Report, ledgers: _Ledgers, rows: list[Row], events: list[RecordedEvent]) -> None:
    user_id = rows[0]["user_id"]
    subject = f"user {user_id}"
    state = ledgers.states.get(user_id)
    if state is None:
        report.findings.append(Finding("state", subject, "events without a learner state"))
        return
    report.expect("sequence", subject, [row["seq"] for row in rows], list(range(1, state.last_seq + 1)))
    score = state.challenge_points + state.badge_points
    report.expect("score from events", subject, score, sum(row["points"] for row in rows))
    report.expect("challenge points", subject, state.challenge_points, ledgers.completed.get(user_id, 0))
    held = ledgers.held(user_id)
    report.expect("badge points", subject, state.badge_points, sum(grant.points for grant in held.values()))
    report.expect("held badges", subject, sorted(state.held_badges), sorted(held))
    report.expect("experience", subject, state.xp_total, ledgers.xp.get(user_id, 0))
    if len(events) == len(rows):
        kept = standing_of(state)
        made = replay(events, ledgers.rules, state.measured_version, ledgers.calendar)
        made = replace(made, counters=packed(made.counters))
        report.expect("replay", subject, _without_forgotten(kept, made, ledgers.rules), made)
        report.expect("completions", subject, ledgers.completions[user_id], _completions_of(events))
        granted = {code: _grant_fields(grant) for code, grant in ledgers.grants[user_id].items()}
        report.expect("grants", subject, granted, _grants_of(events))


def _without_forgotten(kept: Standing, made: Standing, rules: RuleBook) -> Standing:
    """Return a stored standing without the counters that no rule needs any more; nothing continues those."""
    counted = {measure.key for measure, since in rules.measures.since.items() if since <= made.measured}
    is_known = made.counters.keys() | counted
    counters = {key: value for key, value in kept.counters.items() if key in is_known or is_standard_key(key)}
    return replace(kept, counters=counters)


def _completions_of(events: list[RecordedEvent]) -> dict[int, str]:
    return {
        event.fact.completion_id: COMPLETION_STATUS[type(event.fact)]
        for event in events
        if isinstance(event.fact, ChallengeFact)
    }


def _grant_fields(grant: BadgeGrant) -> Doc:
    return {name: getattr(grant, name) for name in GRANT_FIELDS} | {"event_id": str(grant.event_id), "seq": grant.seq}


def _grants_of(events: list[RecordedEvent]) -> dict[str, Doc]:
    seqs = {str(event.event_id): event.seq for event in events}
    awards = award_changes(events).values()
    return {
        award["badge"]: {name: award.get(name) for name in GRANT_FIELDS}
        | {"event_id": award.get("event_id"), "seq": seqs.get(award.get("event_id", ""))}
        for award in awards
    }


def _check_history(
    report: Report, cut: Cut, user_id: int, events: list[RecordedEvent], delivered: list[RecordedEvent]
) -> None:
    found = by_id(HistoryDocument.collection().find({"user_id": user_id}, session=cut.mongo))
    expected = {str(event.event_id): history_document(event) for event in events}
    for event in delivered:
        if str(event.event_id) not in found:
            report.findings.append(Finding("history", f"user {user_id} seq {event.seq}", "delivered but absent"))
    for key, document in found.items():
        report.expect("history", f"user {user_id} event {key}", document, expected.get(key))


def _check_awards(report: Report, cut: Cut, user_id: int, events: list[RecordedEvent], pending: set[int]) -> None:
    stored = by_id(AwardDocument.collection().find({"user_id": user_id}, session=cut.mongo))
    touched = {key for event in events if event.seq in pending for key in award_changes([event])}
    expected = award_changes(events)
    for key in stored.keys() | expected.keys():
        if key not in touched:
            # A document of before badges could end does not say that this one never does.
            document = {"expires_at": None, **stored[key]} if key in stored else {}
            found = {name: value for name, value in document.items() if name != "_id"}
            report.expect("awards", key, found, expected.get(key, {}))


def _check_progress(
    report: Report, cut: Cut, user_id: int, events: list[RecordedEvent], delivered: list[RecordedEvent]
) -> None:
    stored = ProgressDocument.collection().find_one({"_id": user_id}, session=cut.mongo)
    if stored is None:
        report.expect("progress", f"user {user_id}", "absent", "absent" if not delivered else "present")
        return
    found = ProgressDocument.from_bson(stored)
    behind = delivered and found.seq < delivered[-1].seq
    report.expect("progress", f"user {user_id}", "behind" if behind else "", "")
    reached = (event for event in events if event.seq <= found.seq)
    report.expect("progress", f"user {user_id}", found, fold_all(ProgressDocument(user_id), reached))


def _check_strangers(report: Report, cut: Cut, ledgers: _Ledgers, known: set[int]) -> None:
    """Nothing may speak of a learner who has no events."""
    for cls, name in ((HistoryDocument, "user_id"), (AwardDocument, "user_id"), (ProgressDocument, "_id")):
        nobodys = cls.collection().count_documents({name: {"$not": {"$type": "number"}}}, session=cut.mongo)
        report.expect(cls.collection_name, f"documents whose {name} is no number", nobodys, 0)
        owners = cls.collection().distinct(name, {name: {"$type": "number"}}, session=cut.mongo)
        for user_id in set(owners) - known:
            report.findings.append(Finding(cls.collection_name, f"user {user_id}", "document without any event"))
    for user_id in (ledgers.completions.keys() | ledgers.grants.keys() | ledgers.xp.keys()) - known:
        report.findings.append(Finding("state", f"user {user_id}", "ledger rows without any event"))
    for user_id in ledgers.states.keys() - known:
        report.expect("sequence", f"user {user_id}", ledgers.states[user_id].last_seq, 0)


def _check_outbox(report: Report, cut: Cut) -> None:
    for user_id, seq, reason in list_dead_letters(cut.sql):
        report.findings.append(Finding("dead letter", f"user {user_id} seq {seq}", reason or "no reason kept"))
