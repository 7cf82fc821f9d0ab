"""The broken rules of the domain."""

from __future__ import annotations

from rebootcamp.core.errors import DomainError, Kind, RateLimited
from rebootcamp.core.languages import Text


class AlreadyCompleted(DomainError):
    """One completion a period."""

    kind = Kind.CONFLICT
    code = "already_completed"
    title = Text("Already completed", "Défi déjà réussi")
    detail = Text(
        "You already completed this challenge for the current period, or it waits for approval.",
        "Vous avez déjà réussi ce défi pour la période en cours, ou il attend une validation.",
    )


class ChallengeClosed(DomainError):
    """Not published, archived, or outside its window."""

    kind = Kind.CONFLICT
    code = "challenge_closed"
    title = Text("Challenge closed", "Défi fermé")
    detail = Text(
        "This challenge cannot be completed now; see starts_at and ends_at, or choose another one.",
        "Ce défi ne peut pas être réalisé maintenant ; voyez starts_at et ends_at, ou choisissez-en un autre.",
    )


class WrongAnswer(DomainError):
    """The answer is not among the accepted ones."""

    kind = Kind.INVALID
    code = "wrong_answer"
    title = Text("Wrong answer", "Mauvaise réponse")
    detail = Text(
        "This is not the answer; read the challenge again and retry.",
        "Ce n'est pas la bonne réponse ; relisez le défi puis réessayez.",
    )


class TooManyAttempts(RateLimited):
    """Guessing has an end."""

    code = "too_many_attempts"
    title = Text("Too many attempts", "Trop de tentatives")
    detail = Text(
        "{limit} wrong answers within {minutes} minutes; try again in {retry_after} seconds.",
        "{limit} mauvaises réponses en {minutes} minutes ; réessayez dans {retry_after} secondes.",
    )


class SlugTaken(DomainError):
    """Two challenges cannot share a slug."""

    kind = Kind.CONFLICT
    code = "slug_taken"
    title = Text("Slug already used", "Identifiant déjà utilisé")
    detail = Text(
        "Another challenge has this slug; choose another one.",
        "Un autre défi porte cet identifiant ; choisissez-en un autre.",
    )


class ChallengeInUse(DomainError):
    """Completions are counted under these fields; changing them would tear deeds from their counters."""

    kind = Kind.CONFLICT
    code = "challenge_in_use"
    title = Text("Challenge already completed by somebody", "Défi déjà réalisé")
    detail = Text(
        "What completions were counted by (category, difficulty, cadence; of a timed one its criteria, window, joining "
        "and target) and the badge that it gives are fixed once somebody completed it; archive it and create another.",
        "Ce qui a compté pour les réussites (catégorie, difficulté, cadence ; pour un défi à durée, ses critères, sa "
        "période, la participation et la cible) et le badge qu'il donne sont figés dès qu'une personne l'a réalisé ; "
        "archivez-le et créez-en un autre.",
    )


class NotPending(DomainError):
    """Only a completion that waits can be approved or rejected."""

    kind = Kind.CONFLICT
    code = "not_pending"
    title = Text("Not waiting for approval", "Pas en attente de validation")
    detail = Text(
        "This submission was already reviewed; its status says how.",
        "Cette soumission a déjà été examinée ; son statut indique le résultat.",
    )


class NotRevocable(DomainError):
    """Only a valid completion can be revoked."""

    kind = Kind.CONFLICT
    code = "not_revocable"
    title = Text("Nothing to revoke", "Rien à révoquer")
    detail = Text(
        "Only a validated completion can be revoked; its status says what it is.",
        "Seule une réussite validée peut être révoquée ; son statut indique ce qu'il en est.",
    )


class SelfReview(DomainError):
    """Nobody approves their own submission."""

    kind = Kind.FORBIDDEN
    code = "self_review"
    title = Text("Not your own submission", "Pas votre propre soumission")
    detail = Text(
        "Another member of staff must review this submission.",
        "Un autre membre de l'équipe doit examiner cette soumission.",
    )


class CompletesByItself(DomainError):
    """A timed challenge counts deeds; nobody completes it by hand."""

    kind = Kind.CONFLICT
    code = "completes_by_itself"
    title = Text("Completes by itself", "Se réussit tout seul")
    detail = Text(
        "This challenge is completed as soon as your deeds meet its criteria; see advance.",
        "Ce défi est réussi dès que vos actions remplissent ses critères ; voyez advance.",
    )


class NotJoinable(DomainError):
    """Only timed challenges have participants."""

    kind = Kind.CONFLICT
    code = "not_joinable"
    title = Text("Nothing to join", "Rien à rejoindre")
    detail = Text(
        "Only challenges with criteria can be joined; simply complete this one.",
        "Seuls les défis à critères se rejoignent ; réalisez simplement celui-ci.",
    )


class AlreadyJoined(DomainError):
    """One takes part once."""

    kind = Kind.CONFLICT
    code = "already_joined"
    title = Text("Already joined", "Participation déjà enregistrée")
    detail = Text(
        "You already take part in this challenge.",
        "Vous participez déjà à ce défi.",
    )


class NotJoined(DomainError):
    """Only who takes part can leave."""

    kind = Kind.CONFLICT
    code = "not_joined"
    title = Text("Not joined", "Aucune participation")
    detail = Text(
        "You do not take part in this challenge.",
        "Vous ne participez pas à ce défi.",
    )


class NotTimed(DomainError):
    """Only timed challenges have results."""

    kind = Kind.CONFLICT
    code = "not_timed"
    title = Text("No results", "Aucun résultat")
    detail = Text(
        "Only challenges with criteria have windows and results.",
        "Seuls les défis à critères ont des périodes et des résultats.",
    )
