"""Who may do what: roles hold permissions, written `noun:verb`."""

from __future__ import annotations

from typing import Final

ROLES: Final = ("student", "instructor", "examiner", "admin")

ROLE_ALIASES: Final = {
    "etudiant": "student",
    "étudiant": "student",
    "etudiants": "student",
    "étudiants": "student",
    "students": "student",
    "formateur": "instructor",
    "formateurs": "instructor",
    "instructors": "instructor",
    "examinateur": "examiner",
    "examinateurs": "examiner",
    "examiners": "examiner",
    "administrateur": "admin",
    "administrateurs": "admin",
    "admins": "admin",
}

_LEARNER: Final = frozenset(
    {
        "challenge:read",
        "challenge:complete",
        "badge:read",
        "level:read",
        "leaderboard:read",
        "profile:edit",
        "group:read",
        "group:join",
        "workshop:read",
        "workshop:register",
    }
)
_STAFF: Final = _LEARNER | {
    "challenge:write",
    "submission:review",
    "progress:read_any",
    "group:write",
    "group:read_any",
    "statistics:read",
    "workshop:write",
    "registration:read_any",
}

PERMISSIONS: Final = {
    "student": _LEARNER,
    "instructor": _STAFF,
    "examiner": _LEARNER
    | {"submission:review", "progress:read_any", "group:read_any", "statistics:read"}
    | {"registration:read_any"},
    "admin": _STAFF
    | {
        "completion:revoke",
        "badge:write",
        "calendar:write",
        "level:write",
        "user:read_any",
        "user:write",
        "group:write_any",
        "leaderboard:configure",
        "leaderboard:freeze",
        "job:read",
        "workshop:write_any",
    },
}

ALL_PERMISSIONS: Final = frozenset().union(*PERMISSIONS.values())


def canonical_role(text: str) -> str | None:
    """Return the English wire value of a role in either language, or None."""
    lowered = text.strip().lower()
    role = ROLE_ALIASES.get(lowered, lowered)
    return role if role in ROLES else None


def is_allowed(role: str, permission: str) -> bool:
    """Tell whether the role holds the permission."""
    return permission in PERMISSIONS.get(role, frozenset())
