"""Everything that the proofs of backup and restore need."""

from pipeline import farm, pipeline

__all__ = ["farm", "pipeline"]
