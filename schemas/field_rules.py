"""Rules between two fields of one event's data, for the models in `touchpoints/`.

A rule stands at the later of the two fields, because an error of the whole model could not say which field to mend.
What JSON Schema can say of a rule is said there too. Pure.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import ConfigDict, ValidationInfo
from pydantic.functional_validators import AfterValidator
from pydantic_core import PydanticCustomError


def not_before(first: str) -> AfterValidator:
    """Refuses a date earlier than that of the field `first`, which the model declares before this one."""

    def check(value: date, info: ValidationInfo) -> date:
        least = info.data.get(first)  # missing where that field itself was refused
        if least is not None and value < least:
            raise PydanticCustomError("too_early", "expected a date not earlier than {first}", {"first": first})
        return value

    return AfterValidator(check)


def required_without(other: str) -> AfterValidator:
    """Refuses None where the field `other`, which the model declares before this one, is not given either.

    Works only on a field with `validate_default=True`, or it would not be asked where the field is left out.
    """

    def check(value: Any, info: ValidationInfo) -> Any:
        if value is None and info.data.get(other, "refused already") is None:
            raise PydanticCustomError("missing", "expected this field or {other}, or both", {"other": other})
        return value

    return AfterValidator(check)


def at_least_one(*names: str) -> ConfigDict:
    """What `required_without` demands, for the JSON Schema of the model."""
    return ConfigDict(json_schema_extra={"anyOf": [{"required": [name]} for name in names]})
