"""Profiles: what a channel learnt about a person or a company. Traits describe, they never identify."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from customer_timeline.schemas.touchpoint import AnyonesTouchpoint, CustomerTouchpoint
from customer_timeline.schemas.values import IsoDate, Part, Personal, ShortText, ShortTexts, Token, Url

_Text = Annotated[ShortText | None, Personal()]
_Texts = Annotated[ShortTexts | None, Personal()]
_Day = Annotated[IsoDate | None, Personal()]


class PostalAddress(Part):
    """A postal address."""

    line1: _Text = None
    city: _Text = None
    region: _Text = None
    postal_code: _Text = None
    country: _Text = None


class Address(PostalAddress):
    """An address of a person; `kind` says what it is for, such as home, work, billing or shipping."""

    kind: ShortText


class Said(Part):
    """What is said about somebody. A field left out says nothing; an explicit null forgets the value."""

    @property
    def forgotten(self) -> frozenset[str]:
        """Names of the traits that the event forgets by an explicit null."""
        return frozenset(name for name in self.model_fields_set if getattr(self, name) is None)

    @model_serializer(mode="wrap")
    def _keep_explicit_nulls(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Leaving out what equals its default must not turn "forget the birthday" into "says nothing of the birthday".
        said: dict[str, Any] = handler(self)
        return {name: said.get(name) for name in type(self).model_fields if name in self.model_fields_set}


class Traits(Said):
    """What is said about the person. A field left out says nothing; an explicit null forgets the value."""

    given_name: _Text = None
    family_name: _Text = None
    full_name: _Text = None
    birthday: _Day = None
    anniversary: _Day = None
    gender: _Text = None
    language: _Text = None
    timezone: _Text = None
    emails: _Texts = None
    phones: _Texts = None
    addresses: Annotated[tuple[Address, ...] | None, Field(max_length=20), Personal()] = None
    company: _Text = None
    title: _Text = None
    industry: _Text = None
    interests: _Texts = None
    hobbies: _Texts = None
    needs: _Texts = None


class ProfileUpdated(CustomerTouchpoint):
    """A channel learnt or forgot something about the person."""

    type_name = "profile.updated.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "crm_id", "value": "C-1001"}, {"kind": "email", "value": "ann@example.com"}],
        "channel": "crm",
        "traits": {
            "given_name": "Ann",
            "family_name": "Lee",
            "birthday": "1988-05-17",
            "phones": ["+12025550143"],
            "addresses": [{"kind": "home", "city": "Washington", "country": "US"}],
            "gender": None,
        },
    }

    traits: Traits


class AccountTraits(Said):
    """What is said about the company. A field left out says nothing; an explicit null forgets the value."""

    name: ShortText | None = None
    industry: ShortText | None = None
    size: Annotated[ShortText | None, Field(description="Number of people, or a class such as 50-249.")] = None
    address: PostalAddress | None = None
    website: Url | None = None


class AccountUpdated(AnyonesTouchpoint):
    """A channel learnt or forgot something about a company, and perhaps that a person belongs to it."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"identifiers": {"minItems": 1}}, "required": ["identifiers"]},
            "then": {"required": ["channel"]},
        }
    )

    type_name = "account.updated.v1"
    who = "system"
    example = {
        "identifiers": [{"kind": "crm_id", "value": "C-1001"}],
        "channel": "crm",
        "account": "acme",
        "traits": {
            "name": "Acme Lighting",
            "industry": "retail",
            "size": "50-249",
            "address": {"city": "Berlin", "country": "DE"},
            "website": "https://acme.example.com/",
        },
    }

    channel: Annotated[Token | None, Field(description="Required where the event names a person.")] = None
    account: Annotated[Token, Field(description="Id of the company that is described.")]
    traits: AccountTraits
