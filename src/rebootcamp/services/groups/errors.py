"""The broken rules of the domain."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind
from rebootcamp.core.groups import MAX_MEMBERS
from rebootcamp.core.languages import Text


class GroupSlugTaken(DomainError):
    """Two groups cannot share a slug."""

    kind = Kind.CONFLICT
    code = "slug_taken"
    title = Text("Slug already used", "Identifiant déjà utilisé")
    detail = Text(
        "Another group has this slug; choose another one, or leave it out.",
        "Un autre groupe porte cet identifiant ; choisissez-en un autre, ou n'en donnez pas.",
    )


class GroupFull(DomainError):
    """A group has a largest size."""

    kind = Kind.CONFLICT
    code = "group_full"
    title = Text("Group full", "Groupe complet")
    detail = Text(
        f"A group has at most {MAX_MEMBERS} members; nobody was added.",
        f"Un groupe compte au plus {MAX_MEMBERS} membres ; personne n'a été ajouté.",
    )


class GroupClosed(DomainError):
    """Only the owner adds members to a closed group."""

    kind = Kind.CONFLICT
    code = "group_closed"
    title = Text("Group closed", "Groupe fermé")
    detail = Text(
        "This group cannot be joined with a code now; ask its owner.",
        "On ne peut pas rejoindre ce groupe avec un code pour l'instant ; demandez à son responsable.",
    )


class GroupArchived(DomainError):
    """An archived group stays as it is."""

    kind = Kind.CONFLICT
    code = "group_archived"
    title = Text("Group archived", "Groupe archivé")
    detail = Text("This group is archived and can no longer change.", "Ce groupe est archivé et ne change plus.")


class UnknownJoinCode(DomainError):
    """No group has this code, any more or at all."""

    kind = Kind.NOT_FOUND
    code = "unknown_join_code"
    title = Text("Unknown code", "Code inconnu")
    detail = Text(
        "No group has this code; check it, or ask for the present one.",
        "Aucun groupe n'a ce code ; vérifiez-le, ou demandez le code actuel.",
    )


class AlreadyMember(DomainError):
    """One belongs to a group once."""

    kind = Kind.CONFLICT
    code = "already_member"
    title = Text("Already a member", "Déjà membre")
    detail = Text("You already belong to this group.", "Vous faites déjà partie de ce groupe.")


class NotMember(DomainError):
    """Only members leave."""

    kind = Kind.CONFLICT
    code = "not_member"
    title = Text("Not a member", "Pas membre")
    detail = Text("You do not belong to this group.", "Vous ne faites pas partie de ce groupe.")
