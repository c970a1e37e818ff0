"""What the benchmark's events say: people, products, mails, purchases, and text that brings records to their size.

Pure: everything that varies comes from the random numbers given. Used by `benchmarks.workload` and the mixed catalogue.
"""

from __future__ import annotations

import random
from typing import Any

Fields = dict[str, Any]

PLACES = ("Berlin", "Lisbon", "Osaka", "Toronto", "Nairobi", "Lima", "Chengdu", "Austin")
_REFERRERS = (
    "https://www.search.example/results",
    "https://news.example/mail/autumn-collection",
    "https://social.example/feed",
)
_PADDING = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore "
)


def user_id(customer: int) -> str:
    """The strongest identifier of a customer of the topic."""
    return f"user-{customer:07d}"


def email(customer: int) -> str:
    """The other identifier that the first pass links to it."""
    return f"person.{customer}@mail.example.com"


def identifier(kind: str, value: str) -> dict[str, str]:
    """One entry of `identifiers`."""
    return {"kind": kind, "value": value}


def padding(length: int) -> str:
    """Text of that many characters."""
    return (_PADDING * (length // len(_PADDING) + 1))[:length]


def campaign(rng: random.Random) -> dict[str, str]:
    """One of forty campaigns by mail."""
    return {"id": f"season-{rng.randrange(40)}", "medium": "email"}


def page_view(number: int, rng: random.Random) -> Fields:
    """Data of a `page.viewed` that shows one of 5,000 products."""
    product = f"sku-{rng.randrange(5_000):05d}"
    return {
        "channel": "web",
        "url": f"https://shop.example/catalogue/{product}?session={rng.getrandbits(64):016x}&step={number % 9}",
        "title": f"Product {product}: details, sizes, colours and availability in the stores near you",
        "referrer": rng.choice(_REFERRERS),
        "dwell_ms": rng.randrange(500, 90_000),
        "sku": product,
        "attributes": {"agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    }


def order(number: int, rng: random.Random) -> tuple[Fields, int]:
    """Data of an order or a purchase of one or two lines, and its total in cents."""
    items = []
    cents = 0
    for _ in range(rng.randrange(1, 3)):
        line = rng.randrange(500, 20_000)
        cents += line
        items.append(
            {
                "sku": f"sku-{rng.randrange(5_000):05d}",
                "name": "Wool jumper, long sleeves",
                "quantity": 1,
                "amount": f"{line / 100:.2f}",
            }
        )
    data: Fields = {
        "channel": "web",
        "order_id": f"shop:{number:08d}",
        "total": {"amount": f"{cents / 100:.2f}", "currency": "USD"},
        "items": items,
    }
    return data, cents
