"""Pages: what people look at on the web."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import Milliseconds, Personal, ShortText, Sku, Url


class PageViewed(CustomerTouchpoint):
    """The customer looked at a page; `dwell_ms` says how long, `sku` which product it shows."""

    type_name = "page.viewed.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "web",
        "url": "https://shop.example.com/p/lamp",
        "title": "Desk lamp",
        "dwell_ms": 41000,
        "sku": "LAMP-1",
    }

    url: Annotated[Url, Personal()]
    title: ShortText | None = None
    referrer: Annotated[Url | None, Personal()] = None
    dwell_ms: Milliseconds | None = None
    sku: Sku | None = None
