"""docs/reference/customer-facts.md tells the truth: its example is what the fold makes, its queries answer as shown."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import psycopg2
from folding import Customer, decoded, given, profile, purchase, refund

from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import from_micros

PAGE = (Path(__file__).parents[2] / "docs/reference/customer-facts.md").read_text(encoding="utf-8")
CUSTOMER_ID = "00000000-0000-0000-0000-00000000000a"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def ann() -> Customer:
    """The customer of the page's example."""
    email = {"channel": "email", "message_id": "m-1"}
    contract = {"channel": "field", "contract_id": "sap:40017", "starts_on": "2026-02-01", "ends_on": "2027-01-31"}
    complaint = {"channel": "phone", "case_id": "desk:501", "theme": "late delivery"}
    answer = {"channel": "phone", "survey_id": "s-1", "via": "phone", "csat": 2, "nps": 6}
    return given(
        profile("2026-01-05T00:00:00Z", number=1, given_name="Ann", birthday=None),
        purchase("2026-01-05T09:00:00Z", "25.50", number=2, cost=("20.00", "USD")),
        purchase("2026-01-26T09:00:00Z", "50.00", number=3),
        refund("2026-01-26T11:00:00Z", "5.50", number=4),
        decoded(CATALOGUE["email.sent.v1"], "2026-02-01T10:00:00Z", email, number=5),
        decoded(CATALOGUE["contract.signed.v1"], "2026-01-20T09:00:00Z", contract, number=6),
        decoded(CATALOGUE["complaint.opened.v1"], "2026-01-27T09:00:00Z", complaint, number=7),
        decoded(CATALOGUE["survey.answered.v1"], "2026-01-30T09:00:00Z", answer, number=8),
    )


def test_the_example_is_what_the_fold_makes() -> None:
    (example,) = blocks("json")
    customer = ann()
    assert orjson.loads(customer.projection.encode(customer.facts)) == orjson.loads(example)


def test_the_queries_answer_as_shown(database: str) -> None:
    customer = ann()
    columns = customer.projection.columns(customer.facts)
    instants = [columns.first_event_us, columns.last_event_us, columns.last_sign_of_life_us]
    connection = psycopg2.connect(database, options="-c timezone=UTC -c search_path=customer_timeline")
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO customer (customer_id, gen, contested, events, signs_of_life, first_event_at,"
                " last_event_at, last_sign_of_life_at, purchases, facts)"
                " VALUES (%s, 1, false, %s, %s, %s, %s, %s, %s, %s)",
                (
                    CUSTOMER_ID,
                    columns.events,
                    columns.signs_of_life,
                    *(None if us is None else from_micros(us) for us in instants),
                    columns.purchases,
                    customer.projection.encode(customer.facts).decode(),
                ),
            )
            for query, answer in zip(blocks("sql"), blocks("text"), strict=True):
                cursor.execute(query)
                assert [" | ".join(map(str, row)) for row in cursor.fetchall()] == answer.splitlines()
    finally:
        connection.close()
