"""Backup of the log: segments of records as they are, a manifest that vouches for them, and the way back into Kafka."""
