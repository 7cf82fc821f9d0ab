"""Restores that die at every step and at random moments: the live pair is the old or the new one, never a mixture."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from rebootcamp.storage import mongo
from tests.acceptance.restores import Seen, Shop, assert_restored, assert_tidy, commands_on
from tests.relay.tools import started, until

KILLED = -signal.SIGKILL
BEFORE_THE_SWITCH = (
    "created",
    "marked",
    "claimed",
    "loaded_sql",
    "loaded_mongo",
    "proved",
    "adopted",
    "closed",
    "half_renamed",
    "before_switch",
)
RANDOM_KILLS = 15


def test_what_a_failed_restore_left_is_dropped_with_the_old_pairs(shop: Shop, grown: Seen) -> None:
    assert shop.run("restore", "--force", failpoints="restore.closed").status == KILLED
    dropped = shop.run("restore", "--drop-old")
    assert (dropped.status, f"{shop.stores.name}_new_{shop.short}" in dropped.told["dropped"]) == (0, True)
    assert shop.live.is_open
    assert shop.stores.seen() == grown
    assert_tidy(shop.stores)


def test_killed_before_the_switch_it_leaves_the_live_pair_and_the_next_run_goes_on(shop: Shop, grown: Seen) -> None:
    for point in BEFORE_THE_SWITCH:
        done = shop.run("restore", "--force", failpoints=f"restore.{point}")
        assert done.status == KILLED, (point, done.output)
        if not shop.live.is_open:
            # Nobody may come in; the next command opens it, even one that is refused.
            assert shop.run("restore").status == 65
        assert shop.stores.seen() == grown, point
    done = shop.run("restore", "--force")
    assert done.status == 0, done.output
    assert_restored(shop, shop.stores, grown)
    assert_tidy(shop.stores)
    shop.check()


def test_asked_to_stop_before_the_switch_it_leaves_the_live_pair_open(shop: Shop, grown: Seen) -> None:
    own = {"BACKUP_DIR": str(shop.place / "backups")}
    with started(shop.app, "restore", "--force", shop.bid, **own) as process:
        until(lambda: not shop.live.is_open, seconds=60)
        process.terminate()
        assert process.wait(30) == 128 + signal.SIGTERM
    assert shop.live.is_open
    assert shop.stores.seen() == grown
    assert shop.run("restore", "--force", shop.bid).status == 0
    assert_tidy(shop.stores)


@pytest.mark.parametrize("point", ["switched", "unclaimed"])
def test_killed_after_the_switch_it_has_restored_and_the_next_run_says_so(shop: Shop, grown: Seen, point: str) -> None:
    done = shop.run("restore", "--force", failpoints=f"restore.{point}")
    assert done.status == KILLED, done.output
    assert_restored(shop, shop.stores, grown)
    switched = shop.stores.seen()
    again = shop.run("restore")
    assert (again.status, "an earlier run had done it" in again.output) == (0, True), again.output
    assert shop.stores.seen() == switched
    assert_tidy(shop.stores)
    # From now on it is a pair like any other.
    assert shop.run("restore").status == 65


def test_killed_while_the_new_pair_settles_the_command_fails_and_the_live_pair_stays(shop: Shop, grown: Seen) -> None:
    done = shop.run("restore", "--force", failpoints="restore.settling")
    assert (done.status, done.told["error"]) == (70, "restored_pair_not_settled"), done.output
    assert shop.stores.seen() == grown


def test_killed_while_old_pairs_are_dropped_the_next_run_drops_the_rest(shop: Shop, grown: Seen) -> None:
    old = shop.run("restore", "--force").told["old"]
    assert shop.run("restore", "--drop-old", failpoints="restore.half_dropped").status == KILLED
    assert old in shop.run("restore", "--drop-old").told["dropped"]
    assert shop.stores.names() == [shop.stores.name]
    assert_tidy(shop.stores)


def test_a_rehearsal_that_was_killed_may_be_run_again(shop: Shop, grown: Seen) -> None:
    for point in ("loaded_mongo", "switched"):
        assert shop.run("restore", "--into", "again", failpoints=f"restore.{point}").status == KILLED
    assert shop.run("restore", "--into", "again").status == 0
    assert shop.stores.find("again").mark.role == "rehearsal"  # type: ignore[union-attr]
    assert shop.stores.seen() == grown
    shop.run("restore", "--drop-old", "--into", "again")


def test_killed_at_any_moment_the_pair_is_the_old_or_the_new_one(shop: Shop, grown: Seen) -> None:
    shop.run("restore", "--drop-old")
    dice, length = random.Random(20261121), shop.run("restore", "--force").told["seconds"]
    switched = killed = 0
    for _ in range(RANDOM_KILLS):
        before = shop.stores.seen()
        done = shop.run("restore", "--force", seconds=dice.uniform(0, length))
        killed += done.status == KILLED
        if not shop.live.is_open:
            assert shop.run("restore").status == 65
        found = shop.stores.seen()
        switched += found != before
        if found != before:
            assert_restored(shop, shop.stores, before)
    assert killed >= RANDOM_KILLS // 2
    print(f"{killed} killed, {switched} switched")
    before = shop.stores.seen()
    done = shop.run("restore", "--force")
    assert done.status == 0, done.output
    if "an earlier run had done it" not in done.output:
        assert_restored(shop, shop.stores, before)
    assert_tidy(shop.stores)
    shop.check()


def assert_opened_by(shop: Shop, grown: Seen, *command: str) -> None:
    """What a killed restore closed is open again after a command, which did its work."""
    assert shop.run("restore", "--force", failpoints="restore.closed").status == KILLED
    assert not shop.live.is_open
    done = shop.run(*command)
    assert done.status == 0, done.output
    assert shop.live.is_open
    assert "again" in done.output or "reopened" in done.output
    assert shop.stores.seen() == grown


@pytest.mark.parametrize(
    "command",
    [("restore", "--dry-run"), ("restore", "--drop-old"), ("prepare",), ("relay", "--once"), ("check",)],
    ids=" ".join,
)
def test_every_command_opens_what_a_killed_restore_closed(shop: Shop, grown: Seen, command: tuple[str, ...]) -> None:
    assert_opened_by(shop, grown, *command)


def test_a_backup_opens_it_too(shop: Shop, grown: Seen, tmp_path: Path) -> None:
    assert shop.run("restore", "--force", failpoints="restore.closed").status == KILLED
    with commands_on(shop.settings, tmp_path) as commands:
        assert commands.run("backup").status == 0
    assert shop.stores.seen().emails == grown.emails


def test_the_service_answers_again_by_itself(shop: Shop, grown: Seen) -> None:
    client = shop.app.test_client()
    mongo.configure(shop.settings)
    assert shop.run("restore", "--force", failpoints="restore.closed").status == KILLED
    assert [client.get("/readyz").status_code for _ in range(2)][-1] == 200
    assert shop.stores.seen() == grown


def test_what_a_restore_at_work_keeps_closed_stays_closed(shop: Shop, grown: Seen) -> None:
    assert shop.run("restore", "--force", failpoints="restore.closed").status == KILLED
    with shop.stores.holding():
        assert shop.run("restore", "--dry-run").status == 0
        assert shop.run("prepare").status == 2
        assert not shop.live.is_open
    assert shop.run("prepare").status == 0


def test_what_somebody_else_closed_stays_closed(shop: Shop, grown: Seen) -> None:
    shop.run("restore", "--drop-old")
    allow = 'ALTER DATABASE "{}" ALLOW_CONNECTIONS {}'.format
    shop.stores.sql(allow(shop.stores.name, "false"), "postgres")
    try:
        assert shop.run("prepare").status == 2
        assert shop.run("restore", "--dry-run").status == 0
        assert not shop.live.is_open
    finally:
        shop.stores.sql(allow(shop.stores.name, "true"), "postgres")
    assert shop.stores.seen() == grown
