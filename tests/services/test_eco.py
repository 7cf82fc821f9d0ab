"""Savings over the platform: whatever happened and whatever is delivered, they are the sum over the learners."""

from __future__ import annotations

from collections import Counter

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from rebootcamp.app import create_app
from rebootcamp.config import Settings
from rebootcamp.core.actors import Actor
from rebootcamp.events.rebuild import rebuild
from rebootcamp.events.relay import Relay
from rebootcamp.models.sql.eco import EcoTotal
from rebootcamp.services import challenges, eco
from rebootcamp.services.integrity import check_stores
from rebootcamp.storage import mongo
from rebootcamp.storage.sql import db
from tests.factories import admin, complete, drain, make_challenge
from tests.relay.tools import assert_stores_agree, execute, in_threads, make_learners, waiting
from tests.stores import create_pair

pytestmark = pytest.mark.usefixtures("committed_db")

LEARNERS, CHALLENGES = 3, 4
GRAMS = (0, 250, 7_000, 144_000)
CATEGORIES = ("energy", "energy", "water", "mobility")
STEPS = st.one_of(
    st.tuples(st.just("complete"), st.integers(0, LEARNERS - 1), st.integers(0, CHALLENGES - 1)),
    st.tuples(st.just("revoke"), st.integers(0, LEARNERS - 1), st.integers(0, CHALLENGES - 1)),
    st.tuples(st.just("deliver"), st.integers(1, 3), st.just(0)),
)


def assert_sums_agree(learners: list[Actor]) -> None:
    """The platform's figures equal the sum of what each learner reads of oneself."""
    db.session.remove()
    platform = eco.get_platform_savings()
    own = [eco.get_learner_savings(learner, learner.user_id) for learner in learners]
    assert platform.savings.total == sum((found.savings.total for found in own), eco.Saving())
    assert platform.learners == sum(found.savings.total.co2e_grams > 0 for found in own)
    by_category: Counter[str] = Counter()
    for found in own:
        for category, saving in found.savings.by_category:
            by_category[category] += saving.completions
        parts = (found.savings.by_category, found.by_month)
        for part in (*parts, [("", source.saving) for source in found.sources]):
            assert sum((saving for _, saving in part), eco.Saving()) == found.savings.total
    assert {name: saving.completions for name, saving in platform.savings.by_category} == by_category


@examples(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=14))
def test_the_platform_is_the_sum_of_its_learners(steps: list[tuple[str, int, int]]) -> None:
    already = eco.get_platform_savings()
    learners = make_learners(LEARNERS)
    tasks = [make_challenge(co2e_grams=grams, category=name) for grams, name in zip(GRAMS, CATEGORIES, strict=True)]
    valid: dict[tuple[int, int], int] = {}
    for step, who, what in steps:
        if step == "deliver":
            Relay(batch=who, poll_seconds=0.01).deliver_batch()
        elif step == "complete" and (who, what) not in valid:
            valid[who, what] = complete(learners[who], tasks[what]).completion.id
        elif step == "revoke" and (who, what) in valid:
            done = valid.pop((who, what))
            challenges.revoke_completion(admin(), learners[who].user_id, done, reason="A test.")
    db.session.remove()
    own = [eco.get_learner_savings(learner, learner.user_id).savings.total for learner in learners]
    assert [saving.co2e_grams for saving in own] == [
        sum(GRAMS[what] for who, what in valid if who == number) for number in range(LEARNERS)
    ]
    for _ in range(2):
        platform = eco.get_platform_savings()
        assert platform.savings.total == sum(own, already.savings.total)
        assert platform.learners == already.learners + sum(saving.co2e_grams > 0 for saving in own)
        drain()
    assert_stores_agree()


def busy_learners() -> list[Actor]:
    """Let learners save, take some of it back, and deliver a part."""
    learners = make_learners(4)
    tasks = [make_challenge(co2e_grams=grams, category=name) for grams, name in zip(GRAMS, CATEGORIES, strict=True)]
    for learner in learners[:3]:
        done = [complete(learner, task).completion.id for task in tasks]
    Relay(batch=5, poll_seconds=0.01).deliver_batch()
    for completion_id in done:
        challenges.revoke_completion(admin(), learners[2].user_id, completion_id, reason="A test.")
    return learners


def test_sums_agree_with_the_relay_stopped_running_and_done() -> None:
    learners = busy_learners()
    assert waiting()
    assert_sums_agree(learners)
    while Relay(batch=2, poll_seconds=0.01).deliver_batch().delivered:
        assert_sums_agree(learners)
    assert eco.get_platform_savings().learners == 2


def test_relays_at_once_count_everything_once(committed_db: Flask) -> None:
    learners, tasks = make_learners(12), [make_challenge(co2e_grams=10, category=name) for name in CATEGORIES]
    for learner in learners:
        for task in tasks:
            complete(learner, task)
    in_threads(committed_db, *[lambda: Relay(batch=3, poll_seconds=0.01).drain()] * 4)
    drain()
    assert not waiting()
    assert eco.get_platform_savings().savings.total == eco.Saving(480, 48)
    assert_sums_agree(learners)
    assert_stores_agree()


def test_a_rebuild_counts_anew() -> None:
    learners = busy_learners()
    drain()
    before = eco.get_platform_savings()
    execute("UPDATE eco_totals SET value = value + 7")
    execute("DELETE FROM eco_contributions")
    rebuild(lambda step, done: None)
    assert eco.get_platform_savings() == before
    assert_sums_agree(learners)
    assert_stores_agree()


def test_the_migration_counts_what_was_delivered_before_it(committed_db: Flask, settings: Settings) -> None:
    older = create_app(create_pair(settings, "older"))
    with older.app_context():
        learners = busy_learners()
        before = eco.get_platform_savings()
        for revision in ("downgrade", "0001"), ("upgrade", "head"):
            db.session.remove()
            done = older.test_cli_runner().invoke(args=["db", *revision], catch_exceptions=False)
            assert done.exit_code == 0
        assert waiting()
        assert eco.get_platform_savings() == before
        drain()
        assert_sums_agree(learners)
        assert_stores_agree()
        db.session.remove()
        db.engine.dispose()
    mongo.configure(committed_db.config["REBOOTCAMP"])


WRONG: dict[str, str] = {
    "eco total": "UPDATE eco_totals SET value = value + 1 WHERE name = 'learners'",
    "eco contribution": "UPDATE eco_contributions SET co2e_grams = co2e_grams + 1",
    "co2e of completions": "UPDATE challenge_completions SET co2e_grams = co2e_grams + 1",
}


@pytest.mark.parametrize("invariant", WRONG)
def test_a_wrong_figure_is_found(invariant: str) -> None:
    busy_learners()
    drain()
    execute(WRONG[invariant])
    db.session.remove()
    assert {finding.invariant for finding in check_stores().findings} == {invariant}


def test_the_platforms_figures_stay_few() -> None:
    busy_learners()
    drain()
    names = set(db.session.scalars(sa.select(EcoTotal.name)))
    assert names == {"learners"} | {f"{kind}:{name}" for kind in ("co2e_grams", "completions") for name in CATEGORIES}
