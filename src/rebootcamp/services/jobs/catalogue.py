"""The maintenance jobs: what each is for and when it should run. Adding one is adding a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from rebootcamp.core import clock
from rebootcamp.core.languages import Text
from rebootcamp.models.sql.operations import KEY_LIFETIME, IdempotencyKey
from rebootcamp.services import tokens
from rebootcamp.services.challenges.attempts import forget_attempts
from rebootcamp.services.jobs.archives import compact_archives
from rebootcamp.services.jobs.marks import forget_marks
from rebootcamp.services.jobs.statistics import keep_statistics
from rebootcamp.services.mails import forget_mails
from rebootcamp.services.workshops.retention import forget_log
from rebootcamp.storage.batches import delete_in_batches

Tell = Callable[[int], None]
Counts = Mapping[str, int]


@dataclass(frozen=True)
class Job:
    """Work that may be repeated, and stopped, at any time; `schedule` is advice, five fields as in a crontab (UTC)."""

    name: str
    purpose: Text
    schedule: str
    work: Callable[[Tell], Counts]


def _forget_tokens(tell: Tell) -> Counts:
    return {"tokens": tokens.forget_expired(tell)}


def _forget_keys(tell: Tell) -> Counts:
    is_over = IdempotencyKey.created_at < clock.now() - KEY_LIFETIME
    return {"keys": delete_in_batches(IdempotencyKey, is_over, tell)}


def _forget_attempts(tell: Tell) -> Counts:
    return {"attempts": forget_attempts(tell)}


JOBS: Final = {
    job.name: job
    for job in (
        Job(
            "answer-attempts",
            Text(
                "Drops the counts of wrong answers whose pause is over.",
                "Supprime les décomptes de mauvaises réponses dont la pause est terminée.",
            ),
            "30 3 * * *",
            _forget_attempts,
        ),
        Job(
            "archived-data",
            Text(
                "Drops superseded back-fills, ended share links and old runs of jobs.",
                "Supprime les rattrapages dépassés, les liens de partage échus et les anciens passages des tâches.",
            ),
            "50 3 * * 0",
            compact_archives,
        ),
        Job(
            "expired-tokens",
            Text(
                "Drops refresh tokens that are past their life.",
                "Supprime les jetons de renouvellement arrivés à échéance.",
            ),
            "10 3 * * *",
            _forget_tokens,
        ),
        Job(
            "idempotency-keys",
            Text(
                "Drops the stored answers to commands after 24 hours.",
                "Supprime les réponses conservées des commandes après 24 heures.",
            ),
            "20 * * * *",
            _forget_keys,
        ),
        Job(
            "old-mails",
            Text(
                "Drops mails 30 days after they were sent or not needed any more, and dead ones after 90 days.",
                "Supprime les courriels 30 jours après leur envoi ou leur péremption, et les refusés après 90 jours.",
            ),
            "45 3 * * *",
            forget_mails,
        ),
        Job(
            "outbox-marks",
            Text(
                "Drops old marks of backups in both stores and counts dead letters, which it never drops.",
                "Supprime les anciennes marques de sauvegarde des deux bases et compte les événements refusés, "
                "qu'elle ne supprime jamais.",
            ),
            "40 3 * * *",
            forget_marks,
        ),
        Job(
            "statistics",
            Text(
                "Keeps the daily figures of use, and tells PostgreSQL's planner what changed.",
                "Tient les chiffres d'usage quotidiens et met à jour les statistiques du planificateur PostgreSQL.",
            ),
            "5 0 * * *",
            keep_statistics,
        ),
        Job(
            "workshop-log",
            Text(
                "Drops old views of workshops, the texts of deleted comments, and what a kill left of others.",
                "Supprime les anciennes consultations d'ateliers, les textes des commentaires supprimés et les restes "
                "d'écritures interrompues.",
            ),
            "0 4 * * *",
            forget_log,
        ),
    )
}
