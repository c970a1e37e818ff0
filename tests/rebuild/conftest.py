"""Fixtures that the folders with real workers share."""

from pipeline import farm, pipeline

__all__ = ["farm", "pipeline"]
