"""Shapes of small histories, and the sizes of batches they are applied in: for laws that many of them must keep."""

from __future__ import annotations

from generators import Shape

TINY = Shape(
    events=10,
    people=3,
    glue_percent=30,
    thing_percent=50,
    correction_percent=20,
    conflict_percent=10,
    retraction_percent=15,
    broken_percent=0,
    decisions=1,
    crowds=0,
)
# Many member ids and values shared by many: limits and sharing are at work in most components.
CROWDED = Shape(events=30, people=10, member_percent=90, glue_percent=35, thing_percent=20, decisions=3, crowds=3)
WIDE = Shape(events=80, people=25, glue_percent=15, thing_percent=35, correction_percent=10)
# The digest counts the spelling that is kept of one content.
SPELLED = Shape(events=40, people=12, respelled_percent=40, any_type_percent=60)
BATCHES = ((1,), (3,), (1, 4), (2, 9, 40), (5000,))
