"""The drill: docs/MIGRATION_BDD.md carried out as it is written, between two pairs of real servers."""
