"""Mending what is stored of one learner, wherever the journal and the ledgers agree on what it must be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from rebootcamp.core import clock
from rebootcamp.core.failpoints import failpoint
from rebootcamp.events.boards import rewrite, tell
from rebootcamp.events.pair import require_pair
from rebootcamp.events.redelivery import deliver_again
from rebootcamp.events.savings import take_back
from rebootcamp.models.mongo.quarantine import QuarantinedDocument
from rebootcamp.models.sql.challenges import TeamContribution
from rebootcamp.models.sql.eco import EcoContribution
from rebootcamp.models.sql.progress import LearnerState
from rebootcamp.services.gamification.engine import standing_of, store_standing
from rebootcamp.services.integrity.boards import wrong_entries
from rebootcamp.services.integrity.check import check_learner
from rebootcamp.services.integrity.documents import Fault, faults_of, witness_of
from rebootcamp.services.integrity.invariants import DOUBTS
from rebootcamp.services.integrity.ledgers import remade, without_forgotten
from rebootcamp.services.integrity.report import Report
from rebootcamp.services.integrity.sources import Learner, read_learners
from rebootcamp.services.integrity.stores import check_validators, refused
from rebootcamp.services.integrity.totals import grams, shares_of, stored_shares
from rebootcamp.services.integrity.world import World, read_world
from rebootcamp.storage.cut import Cut
from rebootcamp.storage.locks import LISTING, MENDING_LIMITS, Barrier, barrier, share
from rebootcamp.storage.sql import Row
from rebootcamp.storage.transactions import transaction

REASON: Final = "not what the journal says"


@dataclass
class _Patient:
    """A learner under the knife: nobody else writes what is mended here until the transaction ends."""

    session: Session
    learner: Learner
    world: World
    faults: list[Fault] = field(default_factory=list)

    @property
    def seqs(self) -> set[int]:
        """Return the events that must be shown again."""
        return {fault.seq for fault in self.faults if fault.seq is not None}

    @property
    def shown(self) -> list[Row]:
        """Return the events that count as delivered once those that must be shown again do not."""
        return [row for row in self.learner.delivered if row["seq"] not in self.seqs]


@contextmanager
def relays_held_off() -> Iterator[Barrier]:
    """Hold relays off as long as this process lives and moves; raise `Busy`, `Unpaired`.

    The pair in use is followed: it may be another one since it was checked.
    """
    with barrier(MENDING_LIMITS) as held, held.kept():
        require_pair()
        yield held


def mend_learner(user_id: int) -> list[str]:
    """Mend what is stored of a learner, and say what was done. Raises `Busy`.

    Relays wait meanwhile, and so do the learner's own commands: some milliseconds. The outbox comes first, so that
    a kill at any point leaves what the next repair, or any relay, goes on with.
    """
    with relays_held_off() as held:
        with transaction() as session:
            patient = _admit(session, user_id)
            actions = list(_mend(patient)) if patient else []
        failpoint("repair.enqueued")
        for fault in patient.faults if patient else ():
            if fault.document is not None:
                held.require()
                QuarantinedDocument.put_aside(fault.collection, fault.document["_id"], REASON)
                failpoint("repair.moved")
                actions.append(f"{fault.collection} {fault.document['_id']}: moved to _quarantine")
    return actions


def _admit(session: Session, user_id: int) -> _Patient | None:
    """Lock what is to be mended and read it; None when there is nothing, or nothing that can be relied on."""
    session.execute(sa.select(LearnerState.user_id).where(LearnerState.user_id == user_id).with_for_update())
    share(session, LISTING)
    cut = Cut(session, None)
    world = read_world(cut, clock.now())
    for learner in list(read_learners(cut, user_id)):
        report = Report()
        check_learner(report, learner, world)
        check_validators(report, cut, user_id)
        found = {finding.invariant for finding in report.findings}
        if found and not found & DOUBTS and not _lacks_events(learner):
            faults = list(faults_of(learner))
            return _Patient(session, learner, world, [*faults, *_refused(learner, faults)])
    return None


def _refused(learner: Learner, faults: list[Fault]) -> Iterator[Fault]:
    """Yield what says the right thing in a form that its collection would not accept."""
    known = {(fault.collection, fault.document["_id"]) for fault in faults if fault.document is not None}
    for name, document in refused(None, learner.user_id):
        if (name, document["_id"]) not in known:
            seq = witness_of(learner, name, document["_id"])
            yield Fault(name, "refused by its collection", document=document, seq=seq)


def _lacks_events(learner: Learner) -> bool:
    """Tell whether the journal has a gap, or ends before the state does."""
    seqs = [row["seq"] for row in learner.rows]
    last = learner.state.last_seq if learner.state else 0
    return seqs != list(range(1, len(seqs) + 1)) or last > len(seqs) or (learner.is_witnessed and not seqs)


def _mend(patient: _Patient) -> Iterator[str]:
    learner = patient.learner
    if patient.seqs:
        deliver_again(patient.session, learner.user_id, sorted(patient.seqs))
        for seq in sorted(patient.seqs):
            yield f"user {learner.user_id} seq {seq}: to be delivered again"
    yield from _mend_state(patient)
    yield from _mend_entries(patient)
    yield from _mend_savings(patient)
    yield from _mend_shares(patient)


def _mend_state(patient: _Patient) -> Iterator[str]:
    learner, world = patient.learner, patient.world
    if not learner.rows or not learner.is_readable:
        return
    state = patient.session.get(LearnerState, learner.user_id, populate_existing=True)
    # A new state has every counter that the rules need, for all of them are made from the whole journal.
    measured = world.rules.version if state is None else state.measured_version
    made, _ = remade(learner, world, measured)
    if state is None:
        state = LearnerState(user_id=learner.user_id, measured_version=measured)
        patient.session.add(state)
    elif without_forgotten(standing_of(state), made, world.rules) == made and state.last_seq == len(learner.rows):
        return
    state.last_seq = len(learner.rows)
    store_standing(state, made)
    yield f"user {learner.user_id}: state made again from {len(learner.rows)} events"


def _mend_entries(patient: _Patient) -> Iterator[str]:
    learner = patient.learner
    before, after = tell(learner.delivered), tell(patient.shown)
    wrong = wrong_entries(learner, after)
    if wrong:
        rewrite(patient.session, learner.user_id, before, after)
        yield f"user {learner.user_id}: {len(wrong)} leaderboard entries made again"


def _mend_savings(patient: _Patient) -> Iterator[str]:
    learner, again = patient.learner, [row for row in patient.learner.delivered if row["seq"] in patient.seqs]
    before, after = grams(learner.delivered), grams(patient.shown)
    if again:
        take_back(patient.session, again, before, after)
    if after != sum(row["co2e_grams"] for row in learner.savings):
        _put(patient.session, EcoContribution, {"user_id": learner.user_id}, {"co2e_grams": after})
        yield f"user {learner.user_id}: savings made again"


def _mend_shares(patient: _Patient) -> Iterator[str]:
    learner, wrong = patient.learner, 0
    found, expected = stored_shares(learner), shares_of(learner, patient.world, patient.shown)
    for key in sorted(found.keys() | expected.keys()):
        if found.get(key, 0) != expected.get(key, 0):
            names = dict(zip(("challenge_id", "period", "group_id"), key, strict=True))
            _put(
                patient.session,
                TeamContribution,
                {**names, "user_id": learner.user_id},
                {"value": expected.get(key, 0)},
            )
            wrong += 1
    if wrong:
        yield f"user {learner.user_id}: {wrong} team contributions made again"


def _put(session: Session, table: type[Any], key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    statement = insert(table).values({**key, **values})
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=dict(values)))
