"""RebootCamp: learning progress and gamification on PostgreSQL and MongoDB."""

__version__ = "0.1.0"
