"""The mappings in examples/mappings do what they are shown for."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from published_log import CODEC
from table_import import Imported, imported

from customer_timeline.producers.tables.mapping import parse_mapping
from customer_timeline.runtime.cdnow import cdnow_events

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "mappings"


def example(name: str) -> Imported:
    mapping = parse_mapping((EXAMPLES / f"{name}.toml").read_text(encoding="utf-8"))
    return imported((EXAMPLES / f"{name}.csv").read_bytes(), mapping)


def test_the_cdnow_mapping_makes_the_events_of_the_demo() -> None:
    master = resources.files("customer_timeline.runtime") / "data" / "cdnow" / "CDNOW_master.txt.gz"
    mapping = parse_mapping((EXAMPLES / "cdnow.toml").read_text(encoding="utf-8"))

    found = imported(master.read_bytes(), mapping)

    assert found.rejected == []
    assert len(found.events) == 69_659  # as the data's README says
    by_id = {event["id"]: json.dumps(event).encode() for event in found.events}
    for event in cdnow_events(sample=True):
        assert CODEC.canonical_hash(by_id[event["id"]]) == CODEC.canonical_hash(json.dumps(event).encode())
        assert json.loads(by_id[event["id"]])["time"] == event["time"]


def test_the_orders_mapping_makes_purchases_and_refunds_of_one_row() -> None:
    found = example("orders")

    assert [(event["id"], event["time"], event["data"]["total"]["amount"]) for event in found.events] == [
        # Berlin is an hour ahead of UTC in November.
        ("1001-paid", "2025-11-03T08:12:00Z", "59.90"),
        ("1002-paid", "2025-11-03T17:40:00Z", "1249.00"),
        ("1002-refunded", "2025-11-19T11:00:00Z", "1249.00"),
        ("1004-paid", "2025-11-05T21:31:00Z", "8.50"),
        ("1006-paid", "2025-11-07T09:15:00Z", "20.00"),
        ("1006-refunded", "2025-11-10T11:00:00Z", "5.00"),
    ]
    assert [(row["row"], row["reason"], row["field"]) for row in found.rejected] == [(5, "invalid_cell", "data.total")]
    assert found.report["rows"]["without_event"] == 1


def test_the_contacts_mapping_makes_profiles_with_several_identifiers() -> None:
    found = example("contacts")

    assert [event["id"].partition("-")[2][:1] for event in found.events] == ["1", "2", "4"]
    assert [identifier["kind"] for identifier in found.data[0]["identifiers"]] == ["crm_id", "email", "phone"]
    assert found.data[0]["traits"] == {
        "given_name": "Ann",
        "family_name": "Lee",
        "company": "Lampen & Söhne",
        "birthday": "1988-05-17",
        "emails": ["ann@example.com"],
        "phones": ["+49 30 901820"],
        "addresses": [{"city": "Berlin", "kind": "home"}],
        "interests": ["lighting", "gardening"],
    }
    # There is no 31 February; C-4 has no address, which the export writes as n/a.
    assert [row["original"]["Id"] for row in found.rejected] == ["C-3"]
    assert found.data[2]["identifiers"] == [{"kind": "crm_id", "value": "C-4"}]
