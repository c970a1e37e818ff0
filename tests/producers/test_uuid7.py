"""Ids of version 7, by the RFC's own example."""

from __future__ import annotations

import uuid

from customer_timeline.producers.uuid7 import _assemble, uuid7


def test_the_layout_is_that_of_the_example_in_rfc_9562() -> None:
    # Appendix A.6: February 22, 2022 2:22:22.00 PM GMT-05:00 = 0x017F22E279B0 ms, rand_a 0xCC3,
    # rand_b 0x18C4DC0C0C07398F, written 017F22E2-79B0-7CC3-98C4-DC0C0C07398F. rand_a is our fraction of the
    # millisecond: 0xCC3 = 3267 of 4096 is 797,607.4 ns, so 797,608 is the first whole one that is cut to it.
    made = _assemble(0x017F22E279B0 * 1_000_000 + 797_608, 0x18C4DC0C0C07398F)

    assert made == uuid.UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


def test_version_and_variant_are_set() -> None:
    made = uuid7()

    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_ids_of_later_milliseconds_sort_later_and_none_repeats() -> None:
    made = [uuid7() for _ in range(10_000)]

    milliseconds = [one.int >> 80 for one in made]
    assert milliseconds == sorted(milliseconds)
    assert len(set(made)) == 10_000


def test_a_later_part_of_a_millisecond_sorts_later_whatever_the_random_bits() -> None:
    earlier = _assemble(5_000_000, (1 << 62) - 1)
    later = _assemble(5_000_245, 0)  # 245 ns are one step: 10^6 / 4096 = 244.1

    assert earlier < later
