"""Restoring: what comes back, what is refused, and what every kill leaves behind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rebootcamp.config import Settings
from rebootcamp.services.backups import load_manifest, make_keys
from rebootcamp.services.backups.errors import ForeignBackup
from rebootcamp.storage import mongo
from tests.acceptance.restores import Commands, Seen, Shop, Stores, assert_restored, assert_tidy, commands_on
from tests.stores import create_pair


def elsewhere(shop: Shop, name: str) -> Settings:
    """Return settings of a server where nothing of that name is yet."""
    url = shop.stores.url.set(database=name).render_as_string(hide_password=False)
    return replace(shop.settings, database_url=url, mongodb_database=name)


def test_what_was_saved_takes_the_place_of_the_live_pair_which_is_kept(shop: Shop, grown: Seen) -> None:
    shop.run("restore", "--drop-old")
    done = shop.run("restore", "--force")
    assert done.status == 0, done.output
    assert f"RESTORE VERIFIED bid={shop.bid}" in done.output
    told = done.told
    assert (told["ok"], told["database"], told["findings"], told["pending"]) == (True, "restore", 0, 0)
    assert_restored(shop, shop.stores, grown)
    shop.check()
    old = told["old"]
    assert old == f"restore_old_{shop.short}"
    assert shop.stores.seen(old) == grown
    assert shop.stores.find(old).is_open
    assert_tidy(shop.stores)
    dropped = shop.run("restore", "--drop-old")
    assert (dropped.status, dropped.told["dropped"]) == (0, [old])
    assert shop.stores.names() == ["restore"]
    assert shop.stores.mongo_names() == {shop.stores.seen().mongo_database}
    shop.check()


def test_a_pair_that_holds_data_is_refused_and_untouched(shop: Shop, grown: Seen) -> None:
    names = shop.stores.names()
    done = shop.run("restore", shop.short)
    assert (done.status, done.told["error"], done.told["exit"]) == (65, "target_not_empty", 65)
    assert (shop.stores.seen(), shop.stores.names()) == (grown, names)


def test_a_dry_run_changes_nothing(shop: Shop, grown: Seen) -> None:
    names = shop.stores.names()
    done = shop.run("restore", "--dry-run", "--force")
    assert (done.status, done.told["bid"]) == (0, shop.bid)
    assert (shop.stores.seen(), shop.stores.names()) == (grown, names)


def test_a_server_without_the_database_gets_it(shop: Shop, tmp_path: Path) -> None:
    settings = elsewhere(shop, "elsewhere")
    stores = Stores(settings)
    with commands_on(settings, shop.place) as commands:
        done = commands.run("restore", shop.bid)
        assert (done.status, done.told["old"]) == (0, None), done.output
        assert_restored(shop, stores, None)
        assert commands.run("check").status == 0
        assert_tidy(stores)
        assert commands.run("restore").told["error"] == "target_not_empty"


def test_a_pair_of_another_store_is_replaced_only_by_force(shop: Shop, settings: Settings) -> None:
    other = create_pair(settings, "another")
    stores = Stores(other)
    before = stores.seen()
    with commands_on(other, shop.place) as commands:
        done = commands.run("restore")
        assert (done.status, done.told["error"]) == (65, "foreign_backup")
        assert (stores.seen(), stores.names()) == (before, ["another"])
        assert commands.run("restore", "--force").status == 0
        assert_restored(shop, stores, before)
        assert stores.seen(f"another_old_{shop.short}") == before


def test_a_rehearsal_leaves_the_live_pair_alone(shop: Shop, grown: Seen) -> None:
    done = shop.run("restore", "--into", "rehearsal")
    assert done.status == 0, done.output
    assert "--drop-old --into rehearsal" in done.output
    assert shop.stores.seen() == grown
    rehearsed = shop.stores.seen("rehearsal")
    assert (rehearsed.events, rehearsed.emails) == (shop.saved.events, shop.saved.emails)
    again = shop.run("restore", "--into", "rehearsal", "--force")
    assert (again.status, again.told["error"]) == (65, "name_taken")
    shop.run("restore", "--drop-old")
    assert "rehearsal" in shop.stores.names()
    assert shop.run("restore", "--drop-old", "--into", "rehearsal").told["dropped"] == ["rehearsal"]
    assert "rehearsal" not in shop.stores.names()
    with shop.stores.mongo() as client:
        assert rehearsed.mongo_database not in client.list_database_names()


def test_the_live_pair_is_never_dropped(shop: Shop, grown: Seen) -> None:
    refused = shop.run("restore", "--drop-old", "--into", "restore")
    assert (refused.status, refused.told["error"]) == (65, "live_pair")
    old = shop.run("restore", "--force").told["old"]
    # Somebody took the restore back by hand: what is live now still bears the mark of what was put aside.
    new = shop.stores.seen()
    shop.stores.rename("restore", "restore_wrong")
    shop.stores.rename(old, "restore")
    assert old not in shop.run("restore", "--drop-old").told["dropped"]
    assert shop.stores.seen() == grown
    shop.stores.drop("restore_wrong", new.mongo_database)


def test_a_pair_that_appears_meanwhile_is_not_replaced_without_force(shop: Shop, settings: Settings) -> None:
    with shop.beginning(elsewhere(shop, "meanwhile"), is_forced=False) as job:
        create_pair(settings, "meanwhile")
        mongo.configure(shop.settings)
        with pytest.raises(ForeignBackup):
            job.switch()
    assert Stores(elsewhere(shop, "meanwhile")).find("meanwhile").is_open


def test_a_pair_that_is_rebuilt_meanwhile_is_kept_as_it_is_then(shop: Shop, grown: Seen) -> None:
    # So that the first name is taken already.
    assert shop.run("restore", "--force").status == 0
    grown = shop.stores.seen()
    with shop.beginning(shop.settings, is_forced=True) as job:
        job.fill(lambda _: None)
        job.prove()
        job.adopt()
        assert shop.run("rebuild").status == 0
        rebuilt = shop.stores.seen().mongo_database
        assert rebuilt != grown.mongo_database
        old = job.switch()
    assert old is not None
    mark = shop.stores.find(old).mark
    assert mark is not None
    assert mark.mongo_database == rebuilt
    assert grown.mongo_database in shop.run("rebuild", "--drop-old").output


@pytest.mark.parametrize(
    "arguments", [("--nonsense",), ("--into", "A b"), ("--drop-old", "--force"), ("--drop-old", "latest")]
)
def test_wrong_usage_is_told_from_failure(shop: Shop, arguments: tuple[str, ...]) -> None:
    assert shop.run("restore", *arguments).status == 64


def test_a_backup_of_a_newer_version_is_refused(shop: Shop, grown: Seen, tmp_path: Path) -> None:
    copy = shop.copy_of_backup(tmp_path)
    shop.seal(copy, replace(load_manifest(copy), revision="9999"))
    done = shop.run("restore", "--force", str(copy))
    assert (done.status, done.told["error"]) == (65, "newer_backup")
    assert shop.stores.seen() == grown


@pytest.mark.parametrize("file", ["manifest.json", "postgresql.dump", "mongo/history.bson.gz"])
def test_a_damaged_backup_is_refused(shop: Shop, grown: Seen, tmp_path: Path, file: str) -> None:
    copy = shop.copy_of_backup(tmp_path)
    content = bytearray((copy / file).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / file).write_bytes(content)
    done = shop.run("restore", "--force", str(copy))
    assert (done.status, done.told["ok"]) == (65, False), done.output
    assert shop.stores.seen() == grown


def test_what_was_loaded_is_held_against_the_manifest(shop: Shop, grown: Seen, tmp_path: Path) -> None:
    copy = shop.copy_of_backup(tmp_path)
    manifest = load_manifest(copy)
    other = replace(manifest.tables["users"], hash=manifest.tables["users"].hash + "1")
    shop.seal(copy, replace(manifest, tables={**manifest.tables, "users": other}))
    done = shop.run("restore", "--force", str(copy))
    assert (done.status, done.told["error"]) == (70, "not_as_saved"), done.output
    assert "table users" in done.told["detail"]
    assert shop.stores.seen() == grown


def test_what_waited_is_delivered_before_the_switch(shop: Shop, grown: Seen, tmp_path: Path) -> None:
    waiting = shop.grow(delivered=False)
    with commands_on(shop.settings, tmp_path) as commands:
        assert commands.run("backup").status == 0
        done = commands.run("restore", "--force")
    assert done.status == 0, done.output
    assert done.told["delivered"] >= 1
    assert (done.told["pending"], done.told["events"]) == (0, waiting.events)
    shop.check()


def test_who_was_erased_since_stays_erased(shop: Shop, grown: Seen, tmp_path: Path) -> None:
    ada = next(email for email in grown.emails if email not in shop.saved.emails)
    with commands_on(shop.settings, tmp_path, ERASURE_LOG=str(shop.place / "erasures.jsonl")) as commands:
        assert commands.run("backup").status == 0
        shop.erase(ada)
        done = commands.run("restore", "--force")
    assert (done.status, done.told["erased"], done.told["pending"]) == (0, 1, 0), done.output
    found = shop.stores.seen()
    assert ada not in found.emails
    assert any(email.endswith("@erased.invalid") for email in found.emails)
    assert found.events == grown.events + 1
    shop.check()
    assert shop.run("restore", "--force", shop.bid).status == 0


def test_a_pair_is_restored_with_the_faults_it_was_saved_with_and_no_others(
    shop: Shop, grown: Seen, tmp_path: Path
) -> None:
    with shop.stores.mongo() as client:
        client[grown.mongo_database]["history"].delete_one({})
    with commands_on(shop.settings, tmp_path) as commands:
        path = Path(commands.run("backup").told["path"])
        copy = shop.copy_of_backup(tmp_path, path)
        shop.seal(copy, replace(manifest := load_manifest(copy), check=replace(manifest.check, findings=0)))
        done = commands.run("restore", "--force", str(copy))
        assert (done.status, done.told["error"]) == (70, "restored_pair_not_settled"), done.output
        assert "history" in done.told["detail"]
        done = commands.run("restore", "--force", str(path))
        assert (done.status, done.told["findings"]) == (0, manifest.check.findings), done.output
    assert shop.run("restore", "--force", shop.bid).status == 0


def test_sealed_backups_are_restored_by_who_has_the_keys(shop: Shop, settings: Settings, tmp_path: Path) -> None:
    keys, others = make_keys(tmp_path / "mine"), make_keys(tmp_path / "others")
    writer = {"BACKUP_RECIPIENTS": keys.recipient, "BACKUP_SIGNING_KEY": str(keys.signing_key)}
    reader = {"BACKUP_IDENTITY": str(keys.identity), "BACKUP_VERIFY_KEY": str(keys.verify_key)}
    with commands_on(shop.settings, tmp_path, **writer) as commands:
        assert commands.run("backup").status == 0
    before = shop.stores.seen()
    for wrong in (
        {},
        {**reader, "BACKUP_IDENTITY": str(others.identity)},
        reader | {"BACKUP_VERIFY_KEY": str(others.verify_key)},
    ):
        with commands_on(shop.settings, tmp_path, **wrong) as commands:
            assert commands.run("restore", "--force").status == 65
    assert shop.stores.seen() == before
    with commands_on(shop.settings, tmp_path, **reader) as commands:
        done = commands.run("restore", "--force")
        assert done.status == 0, done.output
    found = shop.stores.seen()
    assert (found.events, found.emails) == (before.events, before.emails)


def test_a_backup_of_an_older_version_is_brought_to_the_present_schema(settings: Settings, tmp_path: Path) -> None:
    older = create_pair(settings, "older")
    stores = Stores(older)
    (present,) = stores.sql("SELECT version_num FROM alembic_version")
    with commands_on(older, tmp_path) as commands:
        assert commands.run("db", "downgrade").status == 0
        (before,) = stores.sql("SELECT version_num FROM alembic_version")
        assert before != present
        taken = commands.run("backup")
        assert (taken.status, taken.told["findings"]) == (0, None)
        assert "saved, but not checked" in taken.output
        done = commands.run("restore", "--force")
        assert done.status == 0, done.output
        assert stores.sql("SELECT version_num FROM alembic_version") == [present]
        assert stores.sql("SELECT version_num FROM alembic_version", done.told["old"]) == [before]
        assert commands.run("check").status == 0


def test_one_restore_at_a_time(shop: Shop, grown: Seen) -> None:
    with shop.stores.holding():
        done = shop.run("restore", "--force")
    assert (done.status, done.told["error"]) == (75, "busy")
    assert shop.stores.seen() == grown


def test_a_role_that_may_not_make_databases_is_told_what_it_needs(shop: Shop, grown: Seen) -> None:
    shop.stores.sql("DROP ROLE IF EXISTS humble")
    shop.stores.sql("CREATE ROLE humble LOGIN PASSWORD 'humble'")
    url = shop.stores.url.set(username="humble", password="humble").render_as_string(hide_password=False)
    with commands_on(replace(shop.settings, database_url=url), shop.place) as commands:
        done = commands.run("restore", "--force")
        assert (done.status, done.told["error"]) == (65, "databases_not_ours")
        assert 'ALTER ROLE "humble" CREATEDB;' in done.told["detail"]
        shop.stores.sql("ALTER ROLE humble CREATEDB")
        done = commands.run("restore", "--force")
        assert 'ALTER DATABASE "restore" OWNER TO "humble";' in done.told["detail"]
    assert shop.stores.seen() == grown


def assert_kept(commands: Commands, stores: Stores, names: list[str]) -> None:
    """What was put aside is not dropped."""
    done = commands.run("restore", "--drop-old")
    assert (done.status, done.told["error"], stores.names()) == (65, "nothing_live", names), done.output


def test_what_was_put_aside_is_kept_while_nothing_is_live(shop: Shop, settings: Settings) -> None:
    here = create_pair(settings, "vanished")
    stores = Stores(here)
    with commands_on(here, shop.place) as commands:
        old = commands.run("restore", "--force", shop.bid).told["old"]
        restored = stores.seen()
        stores.drop("vanished", restored.mongo_database)
        assert_kept(commands, stores, [old])
        # An empty database of that name holds nothing either.
        stores.sql("CREATE DATABASE vanished", "postgres")
        assert_kept(commands, stores, ["vanished", old])
        stores.sql("DROP DATABASE vanished", "postgres")
        stores.rename(old, "vanished")
        assert commands.run("check").status == 0


def test_epochs_never_fall_back_whichever_pair_somebody_went_back_to(shop: Shop, grown: Seen) -> None:
    old = shop.run("restore", "--force").told["old"]
    wrong = shop.stores.seen()
    shop.stores.rename("restore", "restore_wrong")
    shop.stores.rename(old, "restore")
    assert shop.run("restore", "--force").status == 0
    found = shop.stores.seen()
    assert found.epoch > wrong.epoch
    assert found.token_epoch > wrong.token_epoch
    shop.stores.drop("restore_wrong", wrong.mongo_database)
