"""The proof of the proof: with one safeguard taken out of a copy of the code, the tests that guard it fail.

A test that passes with and without a safeguard says nothing about it. Each mutation names the text that it changes, so
it fails loudly when the code has moved on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("schemas", "projections", "producers", "streams", "api", "runtime", "tests", ".typing")
STEPS = "tests/crash/test_crash_steps.py"
RACING = "tests/racing/test_racing_workers.py"
FENCE = "tests/projections_postgres/test_journal_fence.py"
LOCKS = "tests/projections_postgres/test_lock_protocol.py"
LAW = "tests/laws/test_journal_law.py"


@dataclass(frozen=True)
class Mutation:
    """`pattern` (a regular expression that matches once in `file`) becomes `replacement`; of `tests` some must fail.

    `tries`: how often they may pass before, where it takes two processes to meet, as it does in `tests` themselves.
    """

    safeguard: str
    file: str
    pattern: str
    replacement: str
    tests: tuple[str, ...]
    marker: str = "not verify and not soak"
    tries: int = 1


SQL = "projections/postgres/projector.sql"
# The statement that locks sees a row as it is when the lock is granted; a join in it, as it was when the wait began.
LOCK = (
    r"SELECT customer_id::text, gen, contested, facts::text, schedule::text, rules, partial_until_us, swept_us, "
    r"sweep_us,\n"
    r"    announce_from_us FROM customer\n"
    r"WHERE customer_id = ANY \(%\(ids\)s::uuid\[\]\) ORDER BY customer_id FOR UPDATE"
)
READ_BEFORE_LOCK = (
    "WITH held AS MATERIALIZED (SELECT customer_id FROM customer\n"
    "    WHERE customer_id = ANY (%(ids)s::uuid[]) ORDER BY customer_id FOR UPDATE)\n"
    "SELECT c.customer_id::text, c.gen, c.contested, c.facts::text, c.schedule::text, c.rules, c.partial_until_us,\n"
    "    c.swept_us, c.sweep_us, c.announce_from_us FROM held JOIN customer c USING (customer_id)"
)
BUILDER_SQL = "projections/postgres/partials.sql"
PARTIALS = "tests/projections_postgres/test_partial_states.py"
MUTATIONS = (
    Mutation(
        "an event is in the timeline once, whoever else brings it at the same time",
        "projections/postgres/migrations/0001_pre_initial.sql",
        r"(?<=    event_id       uuid) PRIMARY KEY(?=,\n    anchor_id )",
        "",
        (f"{LOCKS}::test_an_event_that_two_workers_bring_at_once_is_written_and_folded_once",),
    ),
    Mutation(
        "offsets move only from where they stand, told by processes",
        SQL,
        r" AND o\.next_offset = t\.expected",
        "",
        (f"{STEPS}::test_a_worker_whose_position_is_no_longer_the_stored_one_goes_back_to_it",),
    ),
    Mutation(
        "offsets move only from where they stand, told by the journal",
        SQL,
        r" AND o\.next_offset = t\.expected",
        "",
        (f"{FENCE}::test_a_batch_that_skips_positions_is_not_written",),
    ),
    Mutation(
        "offsets move only under the epoch that was given, told by processes",
        SQL,
        r" AND o\.epoch = t\.epoch(?= AND o\.next_offset)",
        "",
        (f"{STEPS}::test_a_replaced_worker_writes_nothing_although_its_position_is_still_the_right_one",),
        tries=5,  # now and then Kafka tells the first worker that it was replaced before it comes to its transaction
    ),
    Mutation(
        "offsets move only under the epoch that was given, told by the journal",
        SQL,
        r" AND o\.epoch = t\.epoch(?= AND o\.next_offset)",
        "",
        (f"{FENCE}::test_a_worker_that_was_replaced_writes_nothing",),
    ),
    Mutation(
        "facts are read once the lock is held, told by racing workers",
        SQL,
        LOCK,
        READ_BEFORE_LOCK,
        (RACING,),
        "not soak",  # the long proof too: it may take some runs until two workers meet
    ),
    Mutation(
        "facts are read once the lock is held, told by interleavings",
        SQL,
        LOCK,
        READ_BEFORE_LOCK,
        (LOCKS,),
    ),
    Mutation(
        "a value that becomes shared renews its customer's gen",
        "projections/postgres/identity_decision.py",
        r" and self\._a\.newly_shared\.isdisjoint\(inside\)",
        "",
        (f"{LAW}::test_a_value_found_shared_while_it_was_alone_glues_nobody_at_a_worker_that_knew_it_before",),
    ),
    Mutation(
        "a sighting is read again before it is lowered",
        "projections/postgres/identity_store.py",
        r"        self\.known\.update\(self\.read\(news\)\)\n",
        "",
        (f"{LAW}::test_a_first_sighting_that_another_worker_wrote_is_not_overwritten_by_a_later_one",),
    ),
    Mutation(
        "a span is watched under the customer's lock",
        BUILDER_SQL,
        r"(?<=WHERE customer_id = %\(customer\)s) FOR UPDATE SKIP LOCKED",
        "",
        (f"{PARTIALS}::test_a_worker_that_takes_the_customer_while_events_are_counted_is_not_overtaken",),
    ),
    Mutation(
        "a hole is filled only if its events are still those that were folded",
        BUILDER_SQL,
        r" AND gen = %\(gen\)s(?= FOR UPDATE SKIP LOCKED)",
        "",
        (f"{PARTIALS}::test_a_span_that_changed_while_it_was_folded_is_not_filled",),
    ),
    Mutation(
        "whoever opens a span renews its gen",
        SQL,
        r"UPDATE partial_state p SET facts = NULL, gen = %\(gen\)s",
        "UPDATE partial_state p SET facts = NULL",
        (f"{PARTIALS}::test_a_span_that_changed_while_it_was_folded_is_not_filled",),
    ),
    Mutation(
        "a correction opens the span in which the event was",
        "projections/postgres/partial_store.py",
        r"\*\(one for replacement in replaced for one in replacement\)",
        "*(replacement.event for replacement in replaced)",
        (f"{PARTIALS}::test_a_correction_opens_where_the_event_was_and_where_it_is_now",),
    ),
    Mutation(
        "a customer that is folded again knows the partial states of the things that came along",
        "projections/postgres/partial_store.py",
        r"if until_us is not None:\n            self\._until\[customer_id\] = until_us",
        "if until_us is not None:",
        (f"{PARTIALS}::test_an_order_that_changes_hands_takes_its_partial_states_along",),
    ),
)


def mutated_copy(mutation: Mutation, into: Path) -> Path:
    """The packages and tests with the mutation in them."""
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, into / folder, symlinks=True, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", into)
    file = into / mutation.file
    text, count = re.subn(mutation.pattern, mutation.replacement, file.read_text())
    assert count == 1, f"{mutation.file} has {count} places like {mutation.pattern}: has the code moved on?"
    file.write_text(text)
    return into


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.safeguard)
def test_each_mutation_finds_the_text_that_it_changes(mutation: Mutation) -> None:
    assert len(re.findall(mutation.pattern, (ROOT / mutation.file).read_text())) == 1
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / file).read_text()


@pytest.mark.verify
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.safeguard)
def test_without_the_safeguard_its_test_fails(mutation: Mutation, tmp_path: Path) -> None:
    copy = mutated_copy(mutation, tmp_path / "copy")
    environment = {**os.environ, "PYTHONPATH": str(copy / ".typing"), "PYTHONDONTWRITEBYTECODE": "1"}
    where = "import customer_timeline.projections.postgres as p; print(p.__path__)"
    loaded = subprocess.run(
        [sys.executable, "-c", where], cwd=copy, env=environment, capture_output=True, text=True, check=True
    )
    assert str(copy) in loaded.stdout, "the copy is not what is tested"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", mutation.marker]
    for _ in range(mutation.tries):
        run = subprocess.run(
            [*command, *mutation.tests],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        # 1: tests ran and some failed. 0: they passed. Anything else (usage, collection, no tests) proves nothing.
        if run.returncode != 0:
            break
    assert run.returncode == 1, f"exit {run.returncode}\n{run.stdout[-3000:]}\n{run.stderr[-2000:]}"
    assert re.search(r"\d+ failed", run.stdout), run.stdout[-3000:]
