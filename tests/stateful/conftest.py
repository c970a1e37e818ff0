"""Workers, for the model of the whole pipeline."""

from pipeline import farm

__all__ = ["farm"]
