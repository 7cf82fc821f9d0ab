"""How both databases are reached; nothing here knows a business rule."""
