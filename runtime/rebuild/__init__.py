"""A second set of tables beside the live one: made, filled, verified, switched, and dropped (ADR 0014)."""
