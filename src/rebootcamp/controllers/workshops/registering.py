"""Seats over HTTP: registering, leaving, offers, attendance and feedback."""

from __future__ import annotations
