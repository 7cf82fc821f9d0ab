"""Everything that is not ours: each one behind the smallest interface that the services need."""
