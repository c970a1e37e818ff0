"""The page of settings: every environment variable with its default and meaning."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from customer_timeline.projections.alive import AliveParameters
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.runtime.settings import DEVELOPMENT_SECRET, PREFIX, Settings
from customer_timeline.schemas.identity_policy import IdentityPolicy, KindPolicy
from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = """
Settings are environment variables. They are read once, when a command starts, and all problems are told at once; a
misspelt name is a problem too. `customer-timeline config show` prints what is in force, with secrets masked.
"""

IDENTITY = f"""
## Identity

A nested setting is named with two underscores. `{PREFIX}IDENTITY__DEFAULT_PHONE_REGION=DE` changes one value;
`{PREFIX}IDENTITY__KINDS='{{"phone": {{"share_limit": 3}}}}'` changes one kind and leaves the others as they are. All
of it is part of the projection version: a worker with other settings refuses the tables, and says that a change needs
a rebuild (`customer-timeline projection reset`). Every worker, the API and the commands must have the same.
"""

STAGES = f"""
## Stages

`{PREFIX}STAGES__SILENT_DAYS=45` changes one threshold. The worker assesses every customer again with it; nothing is
rebuilt. What the thresholds mean: [stages](../explanation/stages.md).
"""

ALIVE = f"""
## P(alive)

`{PREFIX}ALIVE__R=0.31` changes one parameter. It is reported only; no stage depends on it.
"""


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr):
        plain = value.get_secret_value()
        return "for development only" if plain == DEVELOPMENT_SECRET else f"`{plain}`"
    if value is None:
        return "not set"
    if isinstance(value, BaseModel | dict):
        return "see below"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, frozenset | tuple):
        return "none" if not value else ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def _rows(model: type[BaseModel], prefix: str) -> list[tuple[str, str, str]]:
    return [
        (f"`{prefix}{name.upper()}`", _default(field), field.description or "")
        for name, field in model.model_fields.items()
    ]


def _kinds() -> str:
    rows = [
        (
            f"`{kind}`" if kind != "open_id" else "`open_id:<platform>`",
            str(policy.rank),
            str(policy.max_per_customer or "any number"),
            str(policy.share_limit),
            "yes" if policy.links else "no",
            ", ".join(f"`{value}`" for value in policy.blocked) or "none",
        )
        for kind, policy in IdentityPolicy().kinds.items()
    ]
    return table(("kind", "rank", "most per customer", "share limit", "glues", "blocked values"), rows)


def page() -> str:
    """docs/reference/settings.md."""
    fields = [(f"`{name}`", field.description or "") for name, field in KindPolicy.model_fields.items()]
    return markdown_page(
        "Settings",
        INTRODUCTION,
        table(("variable", "default", "meaning"), _rows(Settings, PREFIX)),
        IDENTITY,
        table(("variable", "default", "meaning"), _rows(IdentityPolicy, PREFIX + "IDENTITY__")),
        "Each kind of identifier has:",
        table(("field", "meaning"), fields),
        "The kinds, as they are by default:",
        _kinds(),
        STAGES,
        table(("variable", "default", "meaning"), _rows(StageRules, PREFIX + "STAGES__")),
        ALIVE,
        table(("variable", "default", "meaning"), _rows(AliveParameters, PREFIX + "ALIVE__")),
    )
