"""Forms, files, apps: what people do online besides looking at pages."""

from __future__ import annotations

from typing import Annotated

from customer_timeline.schemas.touchpoint import CustomerTouchpoint
from customer_timeline.schemas.values import JsonObject, Personal, Seconds, ShortText, Token, Url


class FormSubmitted(CustomerTouchpoint):
    """The customer sent a form; `fields` are what was filled in."""

    type_name = "form.submitted.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "email", "value": "ann@example.com"}],
        "channel": "web",
        "form": "catalogue-order",
        "fields": {"language": "en", "by_mail": True},
    }

    form: Token
    fields: Annotated[JsonObject | None, Personal()] = None


class FileDownloaded(CustomerTouchpoint):
    """The customer downloaded a file."""

    type_name = "file.downloaded.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "user_id", "value": "u-2207"}],
        "channel": "web",
        "file": "lamp-manual.pdf",
        "url": "https://shop.example.com/files/lamp-manual.pdf",
    }

    # Invoices and offers bear names.
    file: Annotated[ShortText, Personal()]
    url: Annotated[Url | None, Personal()] = None


class AppUsed(CustomerTouchpoint):
    """The customer did something in an app."""

    type_name = "app.used.v1"
    who = "customer"
    life = True
    example = {
        "identifiers": [{"kind": "device_id", "value": "5f0c1d52-7f0e-4f0b-9d51-0a6f7d1c9b11"}],
        "channel": "app",
        "app": "shop-ios",
        "action": "search",
        "duration_s": 95,
    }

    app: Token
    action: Token
    duration_s: Seconds | None = None
