"""What a backup and a restore must survive, tried for real: `make chaos`."""
