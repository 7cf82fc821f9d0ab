"""Comments of workshops over HTTP."""

from __future__ import annotations
