"""Proof that both stores agree."""

from rebootcamp.services.integrity.check import check_cut, check_stores
from rebootcamp.services.integrity.report import Finding, Report

__all__ = ["Finding", "Report", "check_cut", "check_stores"]
