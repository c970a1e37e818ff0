"""The law where facts come last, as a rebuild is filled: from what workers held back, or from the timeline."""

from __future__ import annotations

from dataclasses import replace

import pytest
from direct_journal import DirectRun, drawn
from generators import Shape, seeded_log
from log_shapes import CROWDED, TINY, WIDE

from customer_timeline.projections.postgres import deferral


def filled(url: str, seed: int, shape: Shape, *, forgetful: int = 0) -> DirectRun:
    return replace(drawn(url, seeded_log(seed, shape), seed), filling=True, forgetful=forgetful)


@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
@pytest.mark.parametrize("seed", range(3))
def test_facts_that_waited_are_what_the_reference_says(database: str, shape: Shape, seed: int) -> None:
    assert filled(database, seed, shape).difference() == ""


@pytest.mark.parametrize("shape", [TINY, CROWDED], ids=["tiny", "crowded"])
def test_what_is_held_is_written_in_pieces_where_it_is_much(
    database: str, shape: Shape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferral, "MOST_ANCHORS", 3)
    assert filled(database, 3, shape).difference() == ""


@pytest.mark.parametrize("shape", [TINY, CROWDED], ids=["tiny", "crowded"])
def test_what_a_killed_worker_held_is_folded_from_the_timeline(database: str, shape: Shape) -> None:
    assert filled(database, 4, shape, forgetful=20).difference() == ""


@pytest.mark.verify
@pytest.mark.parametrize("shape", [TINY, CROWDED, WIDE], ids=["tiny", "crowded", "wide"])
@pytest.mark.parametrize("forgetful", [0, 20])
def test_filling_in_many_histories(database: str, shape: Shape, forgetful: int) -> None:
    for seed in range(20_000, 20_010 if shape is WIDE else 20_060):
        assert filled(database, seed, shape, forgetful=forgetful).difference() == "", f"seed {seed}"
