"""The pages in `docs/` that show the matrix to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.architecture.authorisation.matrix import CALLERS, Matrix

DOCS: Final = Path(__file__).resolve().parents[3] / "docs"
HOW: Final = "python -m tests.architecture.authorisation"
ENGLISH: Final = f"""# Who may call what

[En français](authorisation.fr.md) · [Documents](README.md)

Written by `{HOW}` from the tables in `tests/architecture/authorisation/`. A test sends every
request of these tables in the name of every caller. ✓ is let in (a later rule may still answer 409); 401: who are you?
403: not you; 404: it does not exist as far as you are concerned.

- **owner**: the learner whose id is in the path, or who made the thing (a share link, a registration, a comment);
  a member of the instructor's group
- **student**: another member of the same group; **other student**: one who has to do with nothing of it
- **instructor**: who made the group or the workshop; **other instructor**: one who did not
- **suspended**: an administrator whose account was deactivated, with a token that has not expired
"""
FRENCH: Final = f"""# Qui peut appeler quoi

[In English](authorisation.md) · [Documents](README.md)

Écrit par `{HOW}` à partir des tables de `tests/architecture/authorisation/`. Un test envoie
chaque requête de ces tables au nom de chaque appelant. ✓ : admis (une règle ultérieure peut encore répondre 409) ;
401 : qui êtes-vous ? 403 : pas vous ; 404 : cela n'existe pas pour vous.

- **propriétaire** : l'apprenant dont l'identifiant est dans le chemin, ou qui a fait la chose (un lien de partage,
  une inscription, un commentaire) ; membre du groupe du formateur
- **étudiant** : un autre membre du même groupe ; **autre étudiant** : quelqu'un qui n'a rien à y voir
- **formateur** : qui a fait le groupe ou l'atelier ; **autre formateur** : qui ne l'a pas fait
- **suspendu** : un administrateur dont le compte a été désactivé, avec un jeton qui n'a pas expiré
"""
FRENCH_CALLERS: Final = (
    "anonyme",
    "étudiant",
    "autre étudiant",
    "propriétaire",
    "formateur",
    "autre formateur",
    "examinateur",
    "admin",
    "suspendu",
)


def pages(matrix: Matrix) -> Mapping[Path, str]:
    """Return the text of each page."""
    return {
        DOCS / "authorisation.md": "\n".join([ENGLISH, *_table(matrix, ("route", *CALLERS))]) + "\n",
        DOCS / "authorisation.fr.md": "\n".join([FRENCH, *_table(matrix, ("adresse", *FRENCH_CALLERS))]) + "\n",
    }


def _table(matrix: Matrix, heads: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{':-:|' * (len(heads) - 1)}"
    for label, outcomes in matrix.items():
        route, _, case = label.partition(" [")
        shown = (outcomes[caller].replace("ok", "✓") for caller in CALLERS)
        yield f"| `{route}`{f' ({case[:-1]})' if case else ''} | {' | '.join(shown)} |"
