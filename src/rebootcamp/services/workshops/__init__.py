"""Use cases and queries about workshops."""
