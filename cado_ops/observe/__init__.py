"""Reading AWS: targets, instances. Read-only; what cannot be read is a failure, never an empty answer."""
