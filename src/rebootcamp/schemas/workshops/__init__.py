"""The wire shapes of workshops."""
