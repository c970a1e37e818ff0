"""The AsyncAPI 3.0 document of the log: one channel, one message a type of event, payloads by reference.

For tools: catalogues of events, code generators, mocks. Payloads are the JSON Schemas of `schemas/json`, which carry
an example each, so nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import yaml

from customer_timeline.producers.delivery import CONTENT_TYPE
from customer_timeline.runtime.settings import Settings
from customer_timeline.schemas.catalogue import CATALOGUE
from customer_timeline.schemas.topics import touchpoints_topic
from customer_timeline.schemas.touchpoint import TouchpointData
from docs.generators.families import Family, families

NOTICE = "# Generated from the code by `make docs`; edit the code instead.\n"
SCHEMAS = "../../schemas/json"

_DESCRIPTION = """\
Every touchpoint of every customer, appended by channel adapters and kept for ever. Events are CloudEvents 1.0 in
structured JSON mode, one a record. An event is known by its source and id: publishing it again changes nothing,
publishing it with a higher revision corrects it. What cannot be read becomes a dead letter and is never dropped.
"""
_KEY = """\
Decides the partition: the id (UUID) of the identifier or thing at which the event stands in the timeline, never a
raw value. No key for events that concern nobody. Correctness never depends on it, speed does.
"""
_HEADERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        CONTENT_TYPE[0]: {"type": "string", "const": CONTENT_TYPE[1].decode()},
        "recordedtime": {
            "type": "string",
            "format": "date-time",
            "description": "When a log first took the event in; set only by tools that restore or copy.",
        },
    },
}


def _topic_bindings(settings: Settings) -> dict[str, Any]:
    topic = touchpoints_topic(settings.touchpoints_topic, settings.topic_partitions, settings.topic_replication)
    config: dict[str, Any] = {name: int(text) if _is_number(text) else text for name, text in topic.config.items()}
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "replicas": topic.replication_factor,
        "topicConfiguration": {**config, "cleanup.policy": [topic.config["cleanup.policy"]]},
        "bindingVersion": "0.5.0",
    }


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _message(data: type[TouchpointData], family: Family) -> dict[str, Any]:
    words = " ".join((data.__doc__ or "").split())
    return {
        "name": data.type_name,
        "title": data.type_name,
        "summary": words,
        "tags": [{"name": family.name}],
        "traits": [{"$ref": "#/components/messageTraits/record"}],
        "payload": {"$ref": f"{SCHEMAS}/{data.type_name}.json"},
        "x-who-acts": data.who,
        "x-sign-of-life": data.life,
    }


def document(settings: Settings | None = None) -> dict[str, Any]:
    """The document as JSON values; topic and partitions are those of `settings`, by default the defaults."""
    chosen = settings or Settings.model_construct()
    groups = families()
    messages = {data.type_name: _message(data, family) for family in groups for data in family.types}
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    record = {
        "contentType": CONTENT_TYPE[1].decode(),
        "headers": _HEADERS,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "format": "uuid", "description": _KEY},
                "bindingVersion": "0.5.0",
            }
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "customer-timeline",
            "version": version("customer-timeline"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": family.name, "description": family.about} for family in groups],
        },
        "defaultContentType": CONTENT_TYPE[1].decode(),
        "channels": {
            "touchpoints": {
                "address": chosen.touchpoints_topic,
                "title": "The log",
                "description": f"All {len(CATALOGUE)} types of events, in one topic.",
                "messages": references,
                "bindings": {"kafka": _topic_bindings(chosen)},
            }
        },
        "operations": {
            "takeTouchpoint": {
                "action": "receive",
                "channel": {"$ref": "#/channels/touchpoints"},
                "summary": "Adapters publish, the projector takes every event into the timeline and the customers.",
            }
        },
        "components": {"messages": messages, "messageTraits": {"record": record}},
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors and aliases: readers of the document are not to know that parts of it are one object."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def page() -> str:
    """docs/reference/asyncapi.yaml."""
    return NOTICE + yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
