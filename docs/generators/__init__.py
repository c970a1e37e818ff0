"""Generators of reference pages: what the code says about itself, as Markdown. Called by `docs.generate` only."""
