"""The guide as a programme: what its marked blocks say, and where each of them is carried out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
FRENCH, ENGLISH = DOCS / "MIGRATION_BDD.md", DOCS / "migration.md"
STEP = re.compile(r"^<!-- drill: (\w+) (\w+)(?: (\w+))? -->\n(?:```\w*\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
# What a reader puts in place of it, and the drill too.
PASSWORDS = ("MOT_DE_PASSE", "PASSWORD")


@dataclass(frozen=True)
class Step:
    """One block: `place` is the old or the new server, `action` is what is done there with the text."""

    place: str
    action: str
    detail: str
    text: str

    def filled(self, password: str) -> str:
        """Return the text with a password in place of the word that stands for one."""
        for word in PASSWORDS:
            self_text = self.text.replace(f"'{word}'", f"'{password}'")
            if self_text != self.text:
                return self_text
        return self.text

    @property
    def commands(self) -> str:
        """Return what two languages must have in common."""
        text = self.text
        for word in PASSWORDS:
            text = text.replace(word, "…")
        comments = re.compile(r"^--.*\n", re.MULTILINE)
        keys = re.compile(r"^(\w+)=.*$", re.MULTILINE)
        return keys.sub(r"\1=", text) if self.action == "env" else comments.sub("", text)


def read_steps(document: Path) -> list[Step]:
    """Return the marked blocks of a document, in order."""
    found = STEP.findall(document.read_text(encoding="utf-8"))
    return [Step(*groups) for groups in found]


def require_same_steps() -> list[Step]:
    """Return the steps of the French document; fail where the English one says something else."""
    french, english = read_steps(FRENCH), read_steps(ENGLISH)
    assert [(step.place, step.action, step.detail, step.commands) for step in french] == [
        (step.place, step.action, step.detail, step.commands) for step in english
    ], "both documents must have the same marked blocks"
    return french
