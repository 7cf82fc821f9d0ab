"""Savings of CO2e as a projection: what an event adds to the figures of the whole platform.

The figures are `co2e_grams:<category>` and `completions:<category>`, whose sums over the categories are the totals,
and `learners`: how many have saved more than nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from rebootcamp.events.challenges import ChallengeCompleted, ChallengeRevoked
from rebootcamp.storage.sql import Row

GRAMS, COMPLETIONS, LEARNERS = "co2e_grams", "completions", "learners"

SIGNS: Final[Mapping[tuple[str, int], int]] = {
    (ChallengeCompleted.type, ChallengeCompleted.version): 1,
    (ChallengeRevoked.type, ChallengeRevoked.version): -1,
}

# The rows that all relays share are touched last and in one order, so that none waits long, nor for ever.
_ADD: Final = text("""
    WITH change AS (
        SELECT * FROM unnest(CAST(:user_ids AS bigint[]), CAST(:grams AS bigint[])) AS c (user_id, co2e_grams)
    ), moved AS (
        INSERT INTO eco_contributions AS kept (user_id, co2e_grams) SELECT user_id, co2e_grams FROM change
        ON CONFLICT (user_id) DO UPDATE SET co2e_grams = kept.co2e_grams + excluded.co2e_grams
        RETURNING user_id, co2e_grams
    ), figures AS (
        SELECT * FROM unnest(CAST(:names AS text[]), CAST(:values AS bigint[])) AS f (name, value)
        UNION ALL
        SELECT :learners, sum((m.co2e_grams > 0)::int - (m.co2e_grams - c.co2e_grams > 0)::int)
        FROM moved m JOIN change c ON c.user_id = m.user_id
    )
    INSERT INTO eco_totals AS total (name, value) SELECT name, value FROM figures ORDER BY name
    ON CONFLICT (name) DO UPDATE SET value = total.value + excluded.value
""")

# What was delivered, by learner. Rows that are right already are left alone.
_RECOUNT: Final = text(f"""
    WITH made AS MATERIALIZED (
        SELECT e.user_id, sum(coalesce((e.payload ->> 'co2e_grams')::bigint, 0)
            * CASE e.type WHEN '{ChallengeCompleted.type}' THEN 1 ELSE -1 END)::bigint AS co2e_grams
        FROM activity_events e
        WHERE (e.type, e.version) IN (('{ChallengeCompleted.type}', {ChallengeCompleted.version}),
                ('{ChallengeRevoked.type}', {ChallengeRevoked.version}))
            AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id)
        GROUP BY e.user_id
    ), dropped AS (
        DELETE FROM eco_contributions k WHERE NOT EXISTS (SELECT 1 FROM made WHERE made.user_id = k.user_id)
    )
    INSERT INTO eco_contributions AS kept (user_id, co2e_grams) SELECT user_id, co2e_grams FROM made
    ON CONFLICT (user_id) DO UPDATE SET co2e_grams = excluded.co2e_grams
    WHERE kept.co2e_grams <> excluded.co2e_grams""")  # noqa: S608

# The figures as they are with every event that is still on its way, a name possibly more than once.
ALL_FIGURES: Final = f"""
    WITH pending AS (
        SELECT e.user_id, e.payload ->> 'category' AS category, (e.payload ->> 'co2e_grams')::bigint AS co2e_grams,
            CASE e.type WHEN '{ChallengeCompleted.type}' THEN 1 ELSE -1 END AS sign
        FROM outbox o JOIN activity_events e ON e.event_id = o.event_id
        WHERE (e.type, e.version) IN (('{ChallengeCompleted.type}', {ChallengeCompleted.version}),
            ('{ChallengeRevoked.type}', {ChallengeRevoked.version}))
    ), moving AS (SELECT user_id, sum(sign * co2e_grams) AS co2e_grams FROM pending GROUP BY user_id)
    SELECT name, value FROM eco_totals
    UNION ALL
    SELECT '{GRAMS}:' || category, sum(sign * co2e_grams)::bigint FROM pending GROUP BY category
    UNION ALL
    SELECT '{COMPLETIONS}:' || category, sum(sign) FROM pending GROUP BY category
    UNION ALL
    SELECT '{LEARNERS}', coalesce(sum(
        (coalesce(kept.co2e_grams, 0) + m.co2e_grams > 0)::int - (coalesce(kept.co2e_grams, 0) > 0)::int), 0)
    FROM moving m LEFT JOIN eco_contributions kept ON kept.user_id = m.user_id"""  # noqa: S608

_ADD_FIGURES: Final = text("""
    INSERT INTO eco_totals AS total (name, value)
    SELECT name, value FROM unnest(CAST(:names AS text[]), CAST(:values AS bigint[])) AS f (name, value) ORDER BY name
    ON CONFLICT (name) DO UPDATE SET value = total.value + excluded.value""")
# The figures as stored, and what the delivered events would add to them: where that is nothing, all is well.
_OFF: Final = text(f"""
    WITH delivered AS (
        SELECT e.user_id, e.payload ->> 'category' AS category, (e.payload ->> 'co2e_grams')::bigint AS co2e_grams,
            CASE e.type WHEN '{ChallengeCompleted.type}' THEN 1 ELSE -1 END AS sign
        FROM activity_events e
        WHERE (e.type, e.version) IN (('{ChallengeCompleted.type}', {ChallengeCompleted.version}),
            ('{ChallengeRevoked.type}', {ChallengeRevoked.version}))
            AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.event_id)
    ), expected AS (
        SELECT '{GRAMS}:' || category AS name, sum(sign * co2e_grams)::bigint AS value FROM delivered GROUP BY category
        UNION ALL
        SELECT '{COMPLETIONS}:' || category, sum(sign) FROM delivered GROUP BY category
        UNION ALL
        SELECT '{LEARNERS}', count(*) FROM (
            SELECT user_id FROM delivered GROUP BY user_id HAVING sum(sign * co2e_grams) > 0) AS saving
    )
    SELECT name, coalesce(t.value, 0) AS value, coalesce(e.value, 0) - coalesce(t.value, 0) AS missing
    FROM expected e FULL JOIN eco_totals t USING (name)
    WHERE coalesce(e.value, 0) <> coalesce(t.value, 0) ORDER BY name""")  # noqa: S608


def figures_off(session: Session) -> list[tuple[str, int, int]]:
    """Return name, stored value and what it lacks of each figure that the delivered events do not make."""
    return [(row.name, row.value, row.missing) for row in session.execute(_OFF)]


def add_figures(session: Session, missing: Mapping[str, int]) -> None:
    """Add to some figures what they lack; what relays add meanwhile comes on top."""
    session.execute(_ADD_FIGURES, {"names": list(missing), "values": list(missing.values())})


def take_back(session: Session, events: Sequence[Row], before: int, after: int) -> None:
    """Undo what delivered events of one learner added: they are delivered anew. The learner's grams fall as told."""
    figures: Counter[str] = Counter()
    for event in events:
        figures.subtract(figures_of(event))
    figures[LEARNERS] += (after > 0) - (before > 0)
    add_figures(session, {name: value for name, value in figures.items() if value})


def figures_of(event: Row) -> dict[str, int]:
    """Return what an event row adds to the figures of its category."""
    sign, payload = _sign(event), event["payload"]
    if not sign:
        return {}
    category = payload.get("category")
    return {f"{GRAMS}:{category}": grams_of(event), f"{COMPLETIONS}:{category}": sign}


def grams_of(event: Row) -> int:
    """Return the grams that an event row adds to its learner's savings."""
    return _sign(event) * int(event["payload"].get("co2e_grams", 0))


def add_to_savings(session: Session, events: Iterable[Row]) -> None:
    """Add delivered events to the figures: once each, because their outbox rows leave in the same transaction."""
    grams: Counter[int] = Counter()
    figures: Counter[str] = Counter()
    for event in events:
        if changes := figures_of(event):
            figures.update(changes)
            grams[event["user_id"]] += grams_of(event)
    if not figures:
        return
    session.execute(
        _ADD,
        {
            "user_ids": list(grams),
            "grams": list(grams.values()),
            "names": list(figures),
            "values": list(figures.values()),
            "learners": LEARNERS,
        },
    )


def recount_contributions(session: Session) -> None:
    """Make what each learner saved anew from what was delivered; nothing may be delivered meanwhile."""
    session.execute(_RECOUNT)


def _sign(event: Row) -> int:
    return SIGNS.get((event["type"], event["version"]), 0)
