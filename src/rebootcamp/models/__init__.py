"""Entities (PostgreSQL) and documents (MongoDB)."""
