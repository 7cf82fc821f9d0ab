"""The event spine: facts, their journal, the projector and the relay."""
