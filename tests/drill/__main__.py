"""Carry out the guide and print what became of it: `make drill`."""

from __future__ import annotations

import json
import re
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psycopg2

from rebootcamp.cli.dev.servers import temporary_servers
from rebootcamp.core import clock
from tests.drill.document import FRENCH, Step, require_same_steps
from tests.drill.reading import Compared, Reader, compare
from tests.drill.sites import Site

ADMIN, STUDENT = "admin@example.org", "student@example.org"
WRITERS = 2
CREATE_ROLE = re.compile(r"CREATE ROLE (\w+)")


class Drill:
    """Both servers, and everything that the guide says to do with them."""

    def __init__(self, old: Site, new: Site) -> None:
        self.old, self.new = old, new
        self.password = secrets.token_urlsafe(12)
        self.owner = ""
        self.is_over = threading.Event()
        self.written = 0
        self.threads: list[threading.Thread] = []
        self.results: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Let the old server be one that has worked for half a year, and works."""
        owner = self.old.servers.postgres
        assert owner is not None
        env = self.old.env_of(["APP_ENV", "SECRET_KEY", "DATABASE_URL", "MONGODB_URI"], owner.user, owner.password)
        for site in (self.old, self.new):
            site.install()
        self.old.write_env(**env)
        # The embedded server comes with one; one that somebody installs does not.
        self.new.sql("DROP DATABASE rebootcamp", "postgres")
        self.old.variables["NEW"] = str(self.new.place)
        self.old.run(".venv/bin/flask prepare --demo && .venv/bin/flask relay --once")
        self.old.start()
        self.tokens = {email: self.old.sign_in(email) for email in (ADMIN, STUDENT)}
        self._publish()
        wanted = {"pictures": ["progress", "activity", "workshops"]}
        self.shared = list(self._post("/api/users/me/share-links", STUDENT, wanted)["urls"].values())
        for _ in range(WRITERS):
            self.threads.append(threading.Thread(target=self._write))
            self.threads[-1].start()

    def _publish(self) -> None:
        """Add what the demo has none of, so that there is something to read everywhere."""
        today = clock.now().date()
        year, week, _ = (today - timedelta(weeks=1)).isocalendar()
        self._post("/api/leaderboards/weekly/freeze", ADMIN, {"period": f"{year}-W{week:02}"})
        names = {"en": "Rest", "fr": "Repos"}
        begin = today + timedelta(days=60)
        self._post(
            "/api/calendar",
            ADMIN,
            {"starts_on": begin.isoformat(), "ends_on": begin.isoformat(), "translations": names},
        )

    def _post(self, path: str, email: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.old.send("POST", path, self._token(email), json=body)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def carry_out(self, step: Step) -> None:
        """Do what one block of the guide says."""
        site = self.old if step.place == "old" else self.new
        print(f"— {step.place} {step.action} {step.detail}".rstrip(), flush=True)
        getattr(self, f"_do_{step.action}")(site, step)

    def _do_run(self, site: Site, step: Step) -> None:
        for line in step.text.splitlines():
            print(f"    {line}", flush=True)
        written, began = self.written, time.monotonic()
        output = site.run(step.text)
        for line in output.splitlines():
            if line.startswith('{"command":"backup"'):
                told = json.loads(line)
                detail = f"{told['seconds']} s, barrier {told['barrier_ms']} ms, {told['bytes']:,} bytes"
                self.results.append(("backup", f"{detail}, {self.written - written} completions meanwhile"))
            if line.startswith('{"command":"restore"') and "database" in line:
                self.results.append(("restore", f"{json.loads(line)['seconds']} s"))
            if "both stores agree" in line or line.startswith("RESTORE VERIFIED"):
                self.results.append(("proof", line))
        print(f"    {time.monotonic() - began:.1f} s", flush=True)

    def _do_sql(self, site: Site, step: Step) -> None:
        if found := CREATE_ROLE.search(step.text):
            self.owner = self.owner or found[1]
        site.sql(step.filled(self.password), step.detail)

    def _do_env(self, site: Site, step: Step) -> None:
        names = [line.partition("=")[0] for line in step.text.splitlines()]
        site.write_env(**site.env_of(names, self.owner, self.password))

    def _do_start(self, site: Site, _: Step) -> None:
        site.stop()
        site.start()

    def _do_stop(self, site: Site, _: Step) -> None:
        """Stop writing first, so that both servers can be asked the same afterwards."""
        self._end_writers()
        self._look_around()
        site.stop()

    def _look_around(self) -> None:
        """Let the student see every workshop: the first look of a day is noted, and each server would note its own."""
        token = self._token(STUDENT)
        found = self.old.send("GET", "/api/workshops?from=2000-01-01&limit=100", token).json()["items"]
        for workshop in found:
            assert self.old.send("GET", f"/api/workshops/{workshop['id']}", token).status_code == HTTPStatus.OK

    def _do_directus(self, site: Site, _: Step) -> None:
        """Prove that the role reads, keeps its own tables, changes nothing of ours, and survives a restore."""
        account = {"user": "directus", "password": self.password}
        site.sql("CREATE TABLE directus.directus_settings AS SELECT 1 AS id", "rebootcamp", **account)
        assert site.sql("SELECT count(email) FROM users", "rebootcamp", **account)[0][0] > 0
        for refused in (
            "CREATE TABLE public.mine (id int)",
            "ALTER TABLE users ADD COLUMN mine int",
            "UPDATE users SET first_name = 'x'",
            "DELETE FROM activity_events",
            "SELECT password_hash FROM users",
            "SELECT * FROM refresh_tokens",
        ):
            self._require_refused(site, refused, account)
        server = site.servers.postgres
        assert server is not None
        url = {"host": "127.0.0.1", "port": server.port, "dbname": "rebootcamp", **account}
        with closing(psycopg2.connect(**url)):
            # Somebody looks at the data while they are replaced.
            site.run("./backup.sh\n./restore.sh --force\n./restore.sh --drop-old")
        rights = [step for step in require_same_steps() if (step.action, step.detail) == ("sql", "rebootcamp")]
        site.sql(rights[0].text, "rebootcamp")
        site.sql("INSERT INTO directus.directus_settings VALUES (2)", "rebootcamp", **account)
        self.results.append(("directus", "reads, keeps its own tables, changes nothing else, survives a restore"))

    @staticmethod
    def _require_refused(site: Site, statement: str, account: dict[str, str]) -> None:
        try:
            site.sql(statement, "rebootcamp", **account)
        except psycopg2.errors.InsufficientPrivilege:
            return
        raise AssertionError(f"directus may {statement}")

    def compare(self) -> dict[str, Compared]:
        """Ask both servers everything; the old one is started once more, for reading."""
        self.old.start()
        readers = {}
        for name, email in (("administrator", ADMIN), ("student", STUDENT)):
            tokens = [site.sign_in(email)["access_token"] for site in (self.old, self.new)]
            readers[name] = Reader(*tokens)
        return compare(self.old, self.new, readers, self.shared)

    def require_old_tokens_refused(self) -> None:
        """What was handed out by the old server opens nothing on the new one."""
        for email, tokens in self.tokens.items():
            answer = self.new.send("GET", "/api/users/me", tokens["access_token"])
            assert answer.status_code == HTTPStatus.UNAUTHORIZED, (email, answer.text)
            spent = self.new.send("POST", "/api/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
            assert spent.status_code == HTTPStatus.UNAUTHORIZED, (email, spent.text)
        self.results.append(("old tokens", "access and refresh tokens refused"))

    def end(self) -> None:
        """Stop everything."""
        self._end_writers()
        for site in (self.old, self.new):
            site.stop()

    def _end_writers(self) -> None:
        self.is_over.set()
        while self.threads:
            self.threads.pop().join()

    def _token(self, email: str) -> str:
        token: str = self.tokens[email]["access_token"]
        return token

    def _write(self) -> None:
        """Join as one learner after the other, and complete challenges."""
        found = self.old.send("GET", "/api/challenges?limit=100", self._token(ADMIN)).json()["items"]
        tasks = [task["id"] for task in found if task["validation"] == "self"]
        while not self.is_over.is_set():
            email = f"{secrets.token_hex(6)}@drill.example.org"
            person = {"email": email, "password": secrets.token_urlsafe(), "first_name": "D", "last_name": "Rill"}
            self.old.send("POST", "/api/auth/register", json=person)
            account = {"email": email, "password": person["password"]}
            token = self.old.send("POST", "/api/auth/login", json=account).json().get("access_token")
            for task in tasks if token else ():
                if self.is_over.is_set():
                    return
                answer = self.old.send("POST", f"/api/challenges/{task}/complete", token, json={})
                self.written += answer.status_code == HTTPStatus.CREATED


def print_table(table: dict[str, Compared]) -> int:
    """Print what became of each route; return how many answers differ."""
    width = max(map(len, table))
    print(f"\n{'route':<{width}}  asked  equal  status")
    for route, row in sorted(table.items()):
        statuses = ", ".join(map(str, sorted(row.statuses)))
        print(f"{route:<{width}}  {row.asked:>5}  {row.equal:>5}  {statuses}")
        for line in row.differing[:3]:
            print(f"    differs: {line}")
    asked, equal = (sum(getattr(row, name) for row in table.values()) for name in ("asked", "equal"))
    print(f"{'all':<{width}}  {asked:>5}  {equal:>5}")
    return asked - equal


@contextmanager
def sites() -> Iterator[tuple[Site, Site]]:
    """Yield both servers; whatever they keep is gone afterwards."""
    secret = secrets.token_hex(32)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="drill-")))
        found = [stack.enter_context(temporary_servers()) for _ in range(2)]
        yield Site("old", place / "old", found[0], secret), Site("new", place / "new", found[1], secret)


def main() -> int:
    """Carry out the guide; 0 when everything is as it says."""
    steps, began = require_same_steps(), time.monotonic()
    print(f"{len(steps)} steps of {FRENCH.name}", flush=True)
    with sites() as both:
        drill = Drill(*both)
        try:
            drill.begin()
            for step in steps:
                drill.carry_out(step)
            drill.require_old_tokens_refused()
            differing = print_table(drill.compare())
        finally:
            drill.end()
    print()
    for what, result in drill.results:
        print(f"{what:<12}{result}")
    print(
        f"\n{'DRILL FAILED' if differing else 'DRILL OK'}: {differing} answers differ, {time.monotonic() - began:.0f} s"
    )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
