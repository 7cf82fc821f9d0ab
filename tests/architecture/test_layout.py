"""The shape of the code: what DESIGN.md promises and no linter checks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from rebootcamp.controllers import BLUEPRINTS
from rebootcamp.core.errors import THINGS, NotFound
from rebootcamp.core.languages import LANGUAGES
from rebootcamp.events.facts import _REGISTRY
from rebootcamp.schemas.summaries import SENTENCES

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "rebootcamp"
LONGEST_FUNCTION, LONGEST_MODULE = 40, 400
DOMAINS = {"accounts", "challenges", "badges", "progress", "levels", "leaderboards", "groups", "eco", "operations"}
DOMAINS |= {"pictures", "calendar", "jobs", "workshops"}
# gunicorn and prometheus_client are configured by their own variables; the commands for development start processes.
READERS_OF_THE_ENVIRONMENT = {"config.py", "gunicorn_conf.py", "web/metrics.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name, relative to the folder, and the text of each module."""
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")


def functions(text: str) -> Iterator[Function]:
    yield from (node for node in ast.walk(ast.parse(text)) if isinstance(node, Function))


def length(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def own_length(function: Function) -> int:
    """Return the lines of a function without those of the functions inside it."""
    inner = [node for node in ast.walk(function) if isinstance(node, Function) and node is not function]
    return length(function) - sum(length(node) for node in inner)


def test_nothing_is_long() -> None:
    for name, text in modules(SOURCE):
        assert len(text.splitlines()) <= LONGEST_MODULE, name
        assert [f.name for f in functions(text) if length(f) > LONGEST_FUNCTION] == [], name
    for name, text in modules(ROOT / "tests"):
        assert len(text.splitlines()) <= LONGEST_MODULE, name
        assert [f.name for f in functions(text) if own_length(f) > LONGEST_FUNCTION] == [], name


def test_a_domain_has_one_name_everywhere() -> None:
    assert {blueprint.name for blueprint in BLUEPRINTS} == DOMAINS
    for folder in ("controllers", "schemas", "services", "models/sql"):
        assert {path.stem for path in (SOURCE / folder).iterdir()} >= DOMAINS, folder
    for domain in DOMAINS:
        assert (ROOT / "tests" / "controllers" / f"test_{domain}.py").exists()


def test_there_is_one_committer() -> None:
    committing = [name for name, text in modules(SOURCE) if re.search(r"\.commit\(", text)]
    assert committing == ["storage/transactions.py"]


def test_only_the_events_touch_their_tables() -> None:
    touching = re.compile(r"\b(activity_events|ActivityEvent|OutboxEntry)\b|\b(FROM|JOIN|INTO|UPDATE|TABLE) outbox\b")
    found = {name.split("/")[0] for name, text in modules(SOURCE) if touching.search(text)}
    assert found == {"events", "models"}


def test_there_is_one_reader_of_the_environment() -> None:
    reading = {name for name, text in modules(SOURCE) if re.search(r"os\.(environ|getenv)", text)}
    assert {name for name in reading if not name.startswith("cli/")} == READERS_OF_THE_ENVIRONMENT


def test_there_is_one_clock() -> None:
    asking = re.compile(r"datetime\.(now|utcnow|today)\(|date\.today\(|time\.time\(")
    found = [name for name, text in modules(SOURCE) if asking.search(text)]
    assert [name for name in found if not name.startswith("cli/")] == ["core/clock.py"]


def test_imports_are_not_hidden_in_functions() -> None:
    hiding = set()
    for name, text in modules(SOURCE):
        for function in functions(text):
            if any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function)):
                hiding.add((name, function.name))
    # The library decides at its import how it counts, from a variable that this module sets.
    assert hiding == {("gunicorn_conf.py", "child_exit")}


def test_controllers_do_nothing_but_parse_call_and_answer() -> None:
    for name, text in modules(SOURCE / "controllers"):
        for function in functions(text):
            loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While | ast.Try | ast.With)]
            assert not loops, (name, function.name)


def test_whatever_can_be_missing_has_a_french_name() -> None:
    raised = set()
    for name, text in modules(SOURCE):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("NotFound"):
                (argument,) = node.args
                assert isinstance(argument, ast.Constant), name
                raised.add(argument.value)
    assert raised == set(THINGS) - {"resource"}
    for thing, french in THINGS.items():
        assert re.fullmatch(r"(Ce|Cet|Cette) [a-zé ]+", french), french
        assert thing not in french.split()[1:] or thing == "badge", french
        missing = NotFound(thing)
        assert missing.detail_in("en") == f"There is no such {thing}, or it is not yours to see."
        assert missing.detail_in("fr") == f"{french} n'existe pas ou ne vous est pas accessible."


def test_every_event_can_be_said_in_both_languages() -> None:
    assert set(SENTENCES) == set(_REGISTRY)
    assert LANGUAGES == ("en", "fr")
    for sentence in SENTENCES.values():
        assert sentence.en != sentence.fr
        placeholders = [re.findall(r"\{(\w+)\}", text) for text in (sentence.en, sentence.fr)]
        assert sorted(placeholders[0]) == sorted(placeholders[1])
