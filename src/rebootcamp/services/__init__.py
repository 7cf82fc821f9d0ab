"""Use cases and queries of each domain."""
