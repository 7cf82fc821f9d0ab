"""Events to documents: order given, repetition and redelivery change nothing."""

from __future__ import annotations

from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from rebootcamp.events.accounts import AccountRegistered
from rebootcamp.events.facts import Fact, RecordedEvent
from rebootcamp.events.projector import AWARDS, RECENT, fold, fold_all, history_document
from rebootcamp.models.mongo.progress import ProgressDocument
from tests.factories.events import DAY, awarded, completed, happened, revoked, taken_back

facts = st.one_of(
    st.builds(completed, st.integers(1, 5), points=st.integers(0, 50)),
    st.builds(lambda n: revoked(completed(n)), st.integers(1, 5)),
    st.builds(awarded, st.sampled_from("abc"), st.integers(0, 30)),
    st.builds(taken_back, st.sampled_from("abc"), st.integers(0, 30)),
    st.just(AccountRegistered(learner_id=1)),
)
lines = st.lists(facts, max_size=40).map(
    lambda told: [happened(fact, seq, DAY + timedelta(days=seq)) for seq, fact in enumerate(told, start=1)]
)
EMPTY = ProgressDocument(1)


def line_of(*told: Fact) -> list[RecordedEvent]:
    return [happened(fact, seq) for seq, fact in enumerate(told, start=1)]


@given(lines)
def test_folding_each_event_twice_equals_once(line: list[RecordedEvent]) -> None:
    twice = [event for event in line for _ in range(2)]
    assert fold_all(EMPTY, twice) == fold_all(EMPTY, line)


@given(lines, st.randoms(use_true_random=False))
def test_redelivery_of_contained_events_in_any_order_changes_nothing(line: list[RecordedEvent], random: Random) -> None:
    whole = fold_all(EMPTY, line)
    again = [random.choice(line) for _ in range(len(line))]
    assert fold_all(whole, again) == whole


@given(lines, st.integers(0, 40))
def test_folding_in_two_parts_equals_folding_at_once(line: list[RecordedEvent], cut: int) -> None:
    assert fold_all(fold_all(EMPTY, line[:cut]), line[cut:]) == fold_all(EMPTY, line)


@given(lines)
def test_summary_says_what_the_events_say(line: list[RecordedEvent]) -> None:
    summary = fold_all(EMPTY, line)
    assert sum(summary.totals.values()) == sum(event.fact.score_points for event in line)
    held = {award["badge"] for award in AWARDS.changes(line).values() if award["state"] == "held"}
    assert {badge["code"] for badge in summary.badges} == held
    assert len(summary.badges) == len(held)
    assert [entry["seq"] for entry in summary.recent] == [event.seq for event in reversed(line)][:RECENT]
    assert summary.seq == len(line)


def test_recent_keeps_the_newest_twenty() -> None:
    summary = fold_all(EMPTY, line_of(*(completed(n) for n in range(1, 26))))
    assert [entry["seq"] for entry in summary.recent] == list(range(25, 5, -1))


def test_folding_leaves_the_document_it_started_from_alone() -> None:
    first = fold(EMPTY, happened(completed(), 1))
    fold(first, happened(awarded(), 2))
    assert (EMPTY.totals, first.totals) == (
        {"challenge_points": 0, "badge_points": 0},
        {"challenge_points": 20, "badge_points": 0},
    )


def test_badge_taken_back_and_given_again_stands_at_the_end_with_its_new_date() -> None:
    line = line_of(awarded("a"), awarded("b"), taken_back("a"), awarded("a", 15))
    summary = fold_all(EMPTY, line)
    assert [(badge["code"], badge["points"]) for badge in summary.badges] == [("b", 10), ("a", 15)]
    assert summary.badges[1]["event_id"] == str(line[3].event_id)
    assert summary.totals["badge_points"] == 25


def test_revoked_award_keeps_its_reasons_and_a_new_one_forgets_the_revocation() -> None:
    line = line_of(awarded("a"), taken_back("a", reason="Wrong person."))
    award = AWARDS.changes(line)["1:a"]
    assert (award["state"], award["seq"], award["revoke_reason"]) == ("revoked", 2, "Wrong person.")
    assert award["event_id"] == str(line[0].event_id)
    again = AWARDS.changes([*line, happened(awarded("a"), 3)])["1:a"]
    assert (again["state"], again["seq"], again["revoked_at"], again["revoke_reason"]) == ("held", 3, None, None)


def test_history_document_is_the_event_under_its_own_id() -> None:
    event = happened(completed(4), 9)
    document = history_document(event)
    assert (document["_id"], document["seq"], document["data"]) == (str(event.event_id), 9, event.fact.payload())
