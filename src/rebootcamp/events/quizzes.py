"""Facts about quizzes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rebootcamp.events.facts import Fact


@dataclass(frozen=True, kw_only=True)
class QuizCompleted(Fact):
    """A learner finished a quiz; `attempt` counts the finished attempts at this quiz from 1, `percent` is 0 to 100."""

    type: ClassVar[str] = "quiz.completed"
    is_announced: ClassVar[bool] = True

    quiz_id: int
    titles: dict[str, str]
    attempt: int
    percent: int
