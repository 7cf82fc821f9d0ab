"""Rules, levels and streaks as pure functions, and the one engine that applies them."""
