"""Both stores saved as one, and brought back as one."""
