"""Proof that both stores agree."""

from rebootcamp.services.integrity.check import check_cut, check_stores
from rebootcamp.services.integrity.invariants import INVARIANTS
from rebootcamp.services.integrity.repair import repair_stores
from rebootcamp.services.integrity.report import Finding, Report

__all__ = ["INVARIANTS", "Finding", "Report", "check_cut", "check_stores", "repair_stores"]
