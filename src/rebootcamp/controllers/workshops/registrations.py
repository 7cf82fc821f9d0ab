"""Registrations over HTTP: who takes part, joined from both stores, and the interaction log."""

from __future__ import annotations
