"""`--to python`: own code folds what counts, and the answer does not depend on how the log is partitioned."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from reference.log_model import history_of
from replay_runs import CODEC, environment, fill, hard_log, replay

from customer_timeline.runtime.replay.errors import UnusableProjection
from customer_timeline.runtime.replay.folding import load_projection

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "revenue_by_first_channel.py"
NAMED = f"{EXAMPLE}:RevenueByFirstChannel"


def test_parts_of_a_history_combine_to_the_fold_of_the_whole(kafka: str) -> None:
    records = fill(kafka, "replay-folded", hard_log(3, 300))
    answer, told = replay(
        {**os.environ, **environment(kafka, "replay-folded")}, "--to", "python", "--projection", NAMED
    )
    projection = load_projection(NAMED)
    whole = projection.initial()
    for winner in history_of(records, CODEC).winners:
        projection.apply(whole, winner.decoded)
    assert json.loads(answer) == projection.finish(whole)
    assert json.loads(answer)
    assert (told["projection"], told["version"]) == ("revenue-by-first-channel", 1)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("revenue", "names no class"),
        ("no_such_module:Fold", "cannot be imported"),
        ("no/such/file.py:Fold", "no such file"),
        (f"{EXAMPLE}:Revenue", "there is no class Revenue"),
        ("datetime:datetime", "cannot be made without arguments"),
        ("collections:Counter", "it has no name, version"),
    ],
)
def test_what_is_no_projection_is_named(reference: str, why: str) -> None:
    with pytest.raises(UnusableProjection, match=why):
        load_projection(reference)
