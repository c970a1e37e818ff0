"""What the customer's facts say, by examples with numbers worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
from folding import ANN, ANN_PHONE, account, decoded, event_id, given, preference, profile, purchase, refund

from customer_timeline.projections.customer import CustomerColumns
from customer_timeline.projections.purchases import next_due_on
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.decoded import DecodedEvent

PAGE, CALL, EMAIL_SENT = CATALOGUE["page.viewed.v1"], CATALOGUE["call.completed.v1"], CATALOGUE["email.sent.v1"]


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_a_customer_without_events_is_described_by_nothing() -> None:
    assert given().then() == {
        "profile": {},
        "activity": {
            "events": 0,
            "signs_of_life": 0,
            "first_at": None,
            "last_at": None,
            "last_sign_of_life_at": None,
            "by_channel": {},
            "by_type": {},
            "by_month": {},
        },
        "purchases": {
            "count": 0,
            "days": 0,
            "first_at": None,
            "last_at": None,
            "by_currency": {},
            "median_gap_days": None,
        },
        "complaints": {"open": 0, "opened_total": 0, "open_cases": []},
        "contracts": [],
        "satisfaction": {"answers": 0, "csat": None, "nps": None},
    }


# -- activity --


def call(at: str, direction: str, *, result: str = "answered", number: int) -> DecodedEvent:
    return decoded(
        CALL, at, {"channel": "phone", "direction": direction, "duration_s": 60, "result": result}, number=number
    )


def test_activity_counts_by_channel_and_direction_by_type_and_by_month() -> None:
    customer = given(
        decoded(PAGE, "2026-01-31T10:00:00Z", {"channel": "web", "url": "https://shop.example/a"}, number=1),
        decoded(PAGE, "2026-02-01T10:00:00Z", {"channel": "web", "url": "https://shop.example/b"}, number=2),
        call("2026-02-02T10:00:00Z", "inbound", number=3),
        call("2026-02-03T10:00:00Z", "outbound", number=4),
        call("2026-02-04T10:00:00Z", "outbound", result="no_answer", number=5),
        decoded(EMAIL_SENT, "2026-02-05T10:00:00.250000Z", {"channel": "email", "message_id": "m1"}, number=6),
        profile("2026-01-30T09:00:00Z", number=7, given_name="Ann"),
    )
    assert customer.then()["activity"] == {
        "events": 7,
        "signs_of_life": 4,  # two pages, the call that came in, the call that was answered
        "first_at": "2026-01-30T09:00:00Z",
        "last_at": "2026-02-05T10:00:00.250000Z",
        "last_sign_of_life_at": "2026-02-03T10:00:00Z",
        "by_channel": {
            "crm": {"inbound": 0, "outbound": 0, "system": 1, "last_at": "2026-01-30T09:00:00Z"},
            "email": {"inbound": 0, "outbound": 1, "system": 0, "last_at": "2026-02-05T10:00:00.250000Z"},
            "phone": {"inbound": 1, "outbound": 2, "system": 0, "last_at": "2026-02-04T10:00:00Z"},
            "web": {"inbound": 2, "outbound": 0, "system": 0, "last_at": "2026-02-01T10:00:00Z"},
        },
        "by_type": {"call.completed": 3, "email.sent": 1, "page.viewed": 2, "profile.updated": 1},
        "by_month": {"2026-01": 2, "2026-02": 5},
    }


def test_columns_repeat_what_lists_are_sorted_by() -> None:
    assert given().projection.columns(given().facts) == CustomerColumns(0, 0, None, None, None, 0)
    customer = given(
        purchase("2026-01-02T00:00:00Z", "5.00", number=1),
        decoded(EMAIL_SENT, "2026-01-03T00:00:00Z", {"channel": "email", "message_id": "m1"}, number=2),
    )
    assert customer.projection.columns(customer.facts) == CustomerColumns(
        events=2,
        signs_of_life=1,
        first_event_us=us("2026-01-02T00:00:00Z"),
        last_event_us=us("2026-01-03T00:00:00Z"),
        last_sign_of_life_us=us("2026-01-02T00:00:00Z"),
        purchases=1,
    )


def test_a_machine_s_event_counts_but_is_no_sign_of_life() -> None:
    page = {"channel": "web", "url": "https://shop.example/a", "automated": True}
    shown = given(decoded(PAGE, "2026-01-31T10:00:00Z", page)).then()["activity"]
    assert (shown["events"], shown["signs_of_life"], shown["last_sign_of_life_at"]) == (1, 0, None)


def test_months_are_cut_in_the_business_time_zone() -> None:
    # 2026-03-31T22:30Z: already April in Berlin (UTC+2 since 29 March), still March in Sao Paulo (UTC-3) and in UTC.
    page = decoded(PAGE, "2026-03-31T22:30:00Z", {"channel": "web", "url": "https://shop.example/a"})
    assert given(page, zone="Europe/Berlin").then()["activity"]["by_month"] == {"2026-04": 1}
    assert given(page, zone="America/Sao_Paulo").then()["activity"]["by_month"] == {"2026-03": 1}
    assert given(page, zone="UTC").then()["activity"]["by_month"] == {"2026-03": 1}


def test_each_identifier_is_seen_from_its_first_to_its_last_event() -> None:
    page = {"channel": "web", "url": "https://shop.example/a"}
    customer = given(
        decoded(PAGE, "2026-01-02T00:00:00Z", page, number=1, identifiers=(ANN, ANN_PHONE)),
        decoded(PAGE, "2026-01-03T00:00:00Z", page, number=2),
        decoded(PAGE, "2026-01-01T00:00:00Z", page, number=3),
    )
    assert customer.facts.seen == {
        ANN: [us("2026-01-01T00:00:00Z"), us("2026-01-03T00:00:00Z")],
        ANN_PHONE: [us("2026-01-02T00:00:00Z"), us("2026-01-02T00:00:00Z")],
    }


# -- profile --


def test_each_trait_keeps_the_value_learnt_last_and_where_from() -> None:
    customer = given(
        profile("2026-01-02T00:00:00Z", number=2, source="shop", given_name="Ann", company="Acme"),
        profile("2026-01-01T00:00:00Z", number=1, source="crm", given_name="Anna", family_name="Lee"),
    )
    assert customer.then()["profile"] == {
        "company": {
            "value": "Acme",
            "occurred_at": "2026-01-02T00:00:00Z",
            "source": "shop",
            "event_id": event_id(2),
        },
        "family_name": {
            "value": "Lee",
            "occurred_at": "2026-01-01T00:00:00Z",
            "source": "crm",
            "event_id": event_id(1),
        },
        "given_name": {
            "value": "Ann",
            "occurred_at": "2026-01-02T00:00:00Z",
            "source": "shop",
            "event_id": event_id(2),
        },
    }


def test_of_two_values_of_one_instant_the_greater_event_id_counts() -> None:
    one = profile("2026-01-01T00:00:00Z", number=1, given_name="Zoe")
    two = profile("2026-01-01T00:00:00Z", number=2, given_name="Ann")
    for customer in (
        given(one, two),
        given(two, one),
        given(one).merged_with(given(two)),
        given(two).merged_with(given(one)),
    ):
        assert customer.then()["profile"]["given_name"]["value"] == "Ann"


def test_null_forgets_and_an_older_value_that_arrives_later_stays_forgotten() -> None:
    customer = given(
        profile("2026-01-02T00:00:00Z", number=2, birthday=None),
    ).when(profile("2026-01-01T00:00:00Z", number=1, birthday="1988-05-17", given_name="Ann"))
    assert set(customer.then()["profile"]) == {"given_name"}
    # Learnt again later, it is back.
    customer.when(profile("2026-01-03T00:00:00Z", number=3, birthday="1988-05-18"))
    assert customer.then()["profile"]["birthday"]["value"] == "1988-05-18"


def test_a_trait_left_out_says_nothing() -> None:
    customer = given(
        profile("2026-01-01T00:00:00Z", number=1, given_name="Ann"),
        profile("2026-01-02T00:00:00Z", number=2, company="Acme"),
    )
    assert customer.then()["profile"]["given_name"]["value"] == "Ann"


def test_lists_and_addresses_are_kept_as_a_whole_without_what_is_unknown() -> None:
    customer = given(
        profile(
            "2026-01-01T00:00:00Z",
            emails=["ann@example.com"],
            addresses=[{"kind": "home", "city": "Bonn", "region": None}, {"kind": "work", "country": "DE"}],
        )
    )
    shown = customer.then()["profile"]
    assert shown["emails"]["value"] == ["ann@example.com"]
    assert shown["addresses"]["value"] == [{"city": "Bonn", "kind": "home"}, {"country": "DE", "kind": "work"}]


def test_what_is_said_of_the_company_is_learnt_of_its_person() -> None:
    customer = given(
        account(
            "2026-01-02T00:00:00Z",
            name="Acme Lighting",
            industry="retail",
            size="50-249",
            address={"city": "Berlin", "region": None},
            website="https://acme.example.com/",
        )
    )
    origin = {"occurred_at": "2026-01-02T00:00:00Z", "source": "erp", "event_id": event_id(1)}
    assert customer.then()["profile"] == {
        "account": {"value": "acme", **origin},
        "company": {"value": "Acme Lighting", **origin},
        "company_address": {"value": {"city": "Berlin"}, **origin},
        "company_size": {"value": "50-249", **origin},
        "company_website": {"value": "https://acme.example.com/", **origin},
        "industry": {"value": "retail", **origin},
    }


def test_a_company_learnt_from_the_person_and_from_the_company_is_one_value_the_last() -> None:
    person = profile("2026-01-03T00:00:00Z", number=2, company="Acme", industry="lamps", account="globex")
    company = account("2026-01-02T00:00:00Z", number=1, name="Acme Lighting", industry="retail", size="50-249")
    for customer in (given(person, company), given(company).merged_with(given(person))):
        shown = {trait: (entry["value"], entry["source"]) for trait, entry in customer.then()["profile"].items()}
        assert shown == {
            "account": ("globex", "crm"),
            "company": ("Acme", "crm"),
            "company_size": ("50-249", "erp"),
            "industry": ("lamps", "crm"),
        }


def test_a_null_of_the_company_forgets_and_a_null_of_a_preference_says_nothing() -> None:
    customer = given(
        account("2026-01-01T00:00:00Z", number=1, size="50-249", name="Acme"),
        account("2026-01-02T00:00:00Z", number=2, size=None),
        preference("2026-01-01T00:00:00Z", number=3, interests=["lamps"], preferred_channel="email"),
        preference("2026-01-02T00:00:00Z", number=4, interests=None, topics=["offers"]),
    )
    shown = {trait: entry["value"] for trait, entry in customer.then()["profile"].items()}
    assert shown == {
        "account": "acme",
        "company": "Acme",
        "interests": ["lamps"],
        "preferred_channel": "email",
        "topics": ["offers"],
    }


def test_interests_are_those_said_last_by_the_person_or_of_them() -> None:
    stated = preference("2026-01-02T00:00:00Z", number=2, interests=["garden"])
    learnt = profile("2026-01-01T00:00:00Z", number=1, interests=["lamps"])
    shown = given(stated, learnt).then()["profile"]["interests"]
    assert (shown["value"], shown["source"], shown["event_id"]) == (["garden"], "app", event_id(2))


def test_the_repr_of_facts_shows_nothing_personal() -> None:
    customer = given(profile("2026-01-01T00:00:00Z", given_name="Ann"))
    assert repr(customer.facts) == "CustomerFacts(events=1)"


# -- purchases --


def test_purchases_are_summed_exactly_per_currency() -> None:
    customer = given(
        purchase("2026-01-01T10:00:00Z", "0.10", number=1, cost=("0.03", "USD")),
        purchase("2026-01-01T12:00:00Z", "0.2", number=2),
        purchase("2026-01-08T10:00:00Z", "1000000.000001", number=3, cost=("7", "EUR")),
        purchase("2026-02-01T10:00:00Z", "5", number=4, currency="EUR"),
        refund("2026-02-02T10:00:00Z", "0.05", number=5),
    )
    assert customer.then()["purchases"] == {
        "count": 4,
        "days": 3,
        "first_at": "2026-01-01T10:00:00Z",
        "last_at": "2026-02-01T10:00:00Z",
        "by_currency": {
            "EUR": {"gross": "5.00", "refunds": "0.00", "net": "5.00", "cost": "7.00"},
            # 0.10 + 0.20 + 1000000.000001 = 1000000.300001; less 0.05
            "USD": {"gross": "1000000.300001", "refunds": "0.05", "net": "1000000.250001", "cost": "0.03"},
        },
        "median_gap_days": 15.5,  # 1 Jan, 8 Jan, 1 Feb: gaps of 7 and 24 days
    }


def test_a_refund_before_its_purchase_counts_the_same() -> None:
    bought, returned = (
        purchase("2026-01-01T10:00:00Z", "20.00", number=1),
        refund("2026-01-05T10:00:00Z", "20.00", number=2),
    )
    early = given(returned)
    assert early.then()["purchases"] == {
        "count": 0,
        "days": 0,
        "first_at": None,
        "last_at": None,
        "by_currency": {"USD": {"gross": "0.00", "refunds": "20.00", "net": "-20.00", "cost": "0.00"}},
        "median_gap_days": None,
    }
    assert early.when(bought).facts == given(bought, returned).facts
    assert early.then()["purchases"]["by_currency"]["USD"]["net"] == "0.00"


def test_recurring_charges_are_revenue_but_no_purchase_day() -> None:
    customer = given(
        purchase("2026-01-01T10:00:00Z", "9.99", number=1),
        purchase("2026-02-01T10:00:00Z", "9.99", number=2, recurring=True),
        purchase("2026-03-01T10:00:00Z", "9.99", number=3, recurring=True),
        purchase("2026-03-02T10:00:00Z", "9.99", number=4),
    )
    shown = customer.then()["purchases"]
    assert (shown["count"], shown["days"]) == (4, 2)
    assert shown["by_currency"]["USD"]["gross"] == "39.96"
    assert shown["median_gap_days"] == 60  # 1 Jan to 2 March: 31 + 28 + 1
    assert customer.then()["activity"]["signs_of_life"] == 2


def test_purchase_days_are_days_of_the_business_time_zone() -> None:
    # Sao Paulo, daylight saving from 2018-11-04 on: the evening of the 3rd, then the night of the 4th, are two days
    # there and one in UTC; 02:30 local on the 4th and 23:30 local on the 4th are one day there and two in UTC.
    evening = purchase("2018-11-04T02:30:00Z", "1.00", number=1)  # 23:30 on the 3rd, UTC-3
    night = purchase("2018-11-04T04:30:00Z", "1.00", number=2)  # 02:30 on the 4th, UTC-2
    late = purchase("2018-11-05T01:30:00Z", "1.00", number=3)  # 23:30 on the 4th, UTC-2
    assert given(evening, night, late, zone="America/Sao_Paulo").then()["purchases"]["days"] == 2
    assert given(evening, night, zone="America/Sao_Paulo").then()["purchases"]["days"] == 2
    assert given(night, late, zone="America/Sao_Paulo").then()["purchases"]["days"] == 1
    assert given(evening, night, zone="UTC").then()["purchases"]["days"] == 1
    assert given(night, late, zone="UTC").then()["purchases"]["days"] == 2


def test_the_gap_over_a_change_of_the_clock_is_one_day() -> None:
    # 28 and 29 March 2026 at noon in Berlin are 23 hours apart.
    customer = given(
        purchase("2026-03-28T11:00:00Z", "1.00", number=1),
        purchase("2026-03-29T10:00:00Z", "1.00", number=2),
        zone="Europe/Berlin",
    )
    assert customer.then()["purchases"]["median_gap_days"] == 1


def test_facts_of_ten_years_of_daily_purchases_stay_below_64_kb() -> None:
    start = datetime(2016, 1, 1, 8, 30, 15, 123456, tzinfo=UTC)
    customer = given(zone="Europe/Berlin")
    for day in range(3653):
        at = start + timedelta(days=day)
        customer.projection.apply(customer.facts, purchase(at.isoformat(), "12.34", number=day, cost=("5.67", "USD")))
    encoded = customer.projection.encode(customer.facts)
    assert len(encoded) < 64 * 1024
    # 3,653 x 12.34 = 45,078.02 and 3,653 x 5.67 = 20,712.51
    assert customer.then()["purchases"]["by_currency"]["USD"] == {
        "gross": "45078.02",
        "refunds": "0.00",
        "net": "45078.02",
        "cost": "20712.51",
    }


# -- two customers turn out to be one --


def test_a_merge_says_what_one_customer_would_have_said() -> None:
    mine = [
        purchase("2026-01-01T10:00:00Z", "10.00", number=1),
        purchase("2026-01-10T20:00:00Z", "1.00", number=2),
        profile("2026-01-02T00:00:00Z", number=3, given_name="Ann", company="Acme"),
        call("2026-01-03T10:00:00Z", "inbound", number=4),
    ]
    theirs = [
        purchase("2026-01-10T08:00:00Z", "2.50", number=5, currency="EUR"),
        refund("2026-01-11T08:00:00Z", "1.00", number=6),
        profile("2026-01-03T00:00:00Z", number=7, company=None, title="Head of lamps"),
        call("2026-01-02T10:00:00Z", "outbound", number=8),
    ]
    merged = given(*mine).merged_with(given(*theirs))
    assert merged.facts == given(*theirs).merged_with(given(*mine)).facts == given(*mine, *theirs).facts
    shown = merged.then()
    assert {trait: entry["value"] for trait, entry in shown["profile"].items()} == {
        "given_name": "Ann",
        "title": "Head of lamps",
    }
    assert shown["purchases"] == {
        "count": 3,
        "days": 2,  # 1 January, and 10 January twice
        "first_at": "2026-01-01T10:00:00Z",
        "last_at": "2026-01-10T20:00:00Z",
        "by_currency": {
            "EUR": {"gross": "2.50", "refunds": "0.00", "net": "2.50", "cost": "0.00"},
            "USD": {"gross": "11.00", "refunds": "1.00", "net": "10.00", "cost": "0.00"},
        },
        "median_gap_days": 9,
    }
    assert shown["activity"]["by_channel"]["phone"] == {
        "inbound": 1,
        "outbound": 1,
        "system": 0,
        "last_at": "2026-01-03T10:00:00Z",
    }


# -- the encoded form that analysts read --


def test_encoded_facts_have_the_documented_names() -> None:
    customer = given(
        purchase("2026-01-02T00:00:00Z", "5.00", number=1),
        profile("2026-01-03T00:00:00Z", number=2, given_name="Ann"),
    )
    first, second = us("2026-01-02T00:00:00Z"), us("2026-01-03T00:00:00Z")
    facts = orjson.loads(customer.projection.encode(customer.facts))
    assert len(facts["purchases"].pop("day_set")) == 16
    assert len(facts["activity"].pop("life_spells")) == 24
    assert facts == {
        "activity": {
            "events": 2,
            "signs_of_life": 1,
            "first_event_us": first,
            "last_event_us": second,
            "first_sign_of_life_us": first,
            "last_sign_of_life_us": first,
            "by_channel": {"crm": {"system": 1, "last_us": second}, "web": {"inbound": 1, "last_us": first}},
            "by_type": {"profile.updated": 1, "purchase.completed": 1},
            "by_month": {"2026-01": 2},
        },
        "profile": {
            "given_name": {"value": "Ann", "occurred_us": second, "event_id": event_id(2), "source": "crm"},
        },
        "purchases": {
            "count": 1,
            "days": 1,
            "first_us": first,
            "last_us": first,
            "by_currency": {"USD": {"gross": "5.00", "refunds": "0.00", "cost": "0.00"}},
        },
        "seen": {ANN: [first, second]},
    }


# -- what is derived --


def test_the_next_purchase_is_due_a_median_gap_after_the_last_purchase_day() -> None:
    assert next_due_on(given(purchase("2026-01-01T12:00:00Z", "1.00")).facts.purchases) is None
    bought = given(*(purchase(f"2026-{day}T12:00:00Z", "1.00") for day in ("01-01", "01-08", "02-01")))
    # Gaps of 7 and 24 days: 15.5, and half a day is rounded up; 1 February and 16 days.
    assert next_due_on(bought.facts.purchases) == "2026-02-17"
