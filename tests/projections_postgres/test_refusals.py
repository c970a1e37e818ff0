"""What a worker says of tables that it does not write: only what differs, by its name."""

from __future__ import annotations

import json
from typing import Any

from customer_timeline.projections.postgres.refusals import other_version


def details(**changed: Any) -> str:
    kinds = {"email": {"rank": 50, "share_limit": 5}, "phone": {"rank": 40, "share_limit": changed.get("limit", 5)}}
    considered = {
        "projection": "customer-3",
        "identity": {"kinds": kinds},
        "extra_channels": changed.get("channels", []),
        **{f"further_{number}": number for number in range(changed.get("further", 0))},
    }
    return json.dumps({"considered": considered, "recorded": {"customer-timeline": "0.1.0"}})


def test_settings_that_differ_are_named_with_both_values() -> None:
    told = str(other_version("customer-3-a", details(), "customer-3-b", details(limit=9, channels=["kiosk"])))
    assert (
        "written by projection version customer-3-a; this worker is customer-3-b "
        '(extra_channels [] there, ["kiosk"] here; identity.kinds.phone.share_limit 5 there, 9 here). A change'
    ) in told
    assert "rebuild start" in told


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    told = str(other_version("a", details(), "b", details(further=8)))
    assert "further_0 null there, 0 here" in told
    assert "further_4 null there, 4 here; 3 more)" in told
    assert len(told) < 1_000


def test_tables_of_a_release_that_kept_no_details_are_refused_too() -> None:
    assert "this worker is b" in str(other_version("a", "{}", "b", details()))
