"""Workshops over HTTP: the catalogue, editing, cancelling, calendars."""

from __future__ import annotations
