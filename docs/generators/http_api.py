"""The page of the HTTP API: its OpenAPI document as text, and what such a document has no place for."""

from __future__ import annotations

import json
from typing import Any

from customer_timeline.api import problems
from customer_timeline.api.app import create_app
from customer_timeline.api.config import ApiConfig
from customer_timeline.projections.calendar import BusinessCalendar
from customer_timeline.projections.customer import CustomerProjection
from customer_timeline.projections.postgres.cut_reader import PostgresCutReader
from customer_timeline.projections.postgres.reader import PostgresReader
from customer_timeline.projections.stage_rules import StageRules
from customer_timeline.schemas.codec import Codec
from customer_timeline.schemas.identity_policy import IdentityPolicy
from docs.generators.markdown import page as markdown_page
from docs.generators.markdown import table

INTRODUCTION = """
`customer-timeline api` serves it; a running one shows the same at `/docs` (nothing is fetched from elsewhere) and as
`/openapi.json`. It only reads. It knows no keys yet: it listens on loopback only, and refuses any other address
without `--insecure`. On loopback it answers only requests whose `Host` names this machine, so that no web page can
read customers through a name that it points here.
"""

CONVENTIONS = """
## Conventions

- **References.** `{ref}` is the id of any identifier, as any answer ever gave it out, or `kind:value`. The value is
  normalised as in events: `email:Ann@Example.com` and `email:ann@example.com` are one, `phone:415-555-0123` takes the
  configured region. The kind of an account on a platform has two words: `open_id:wechat:oGZUI0`. Quote the value as in
  any URL (`/` is `%2F`, `+` is `%2B`). Orders and cases are no references.
- **Ids that last.** `customer_id` is the id of the identifier that was seen first. It changes when an older sighting
  arrives or customers merge; `former_ids` holds the ids of all other identifiers, and each names the customer for ever.
- **Amounts** are exact decimals as text. **Instants** are RFC 3339 in UTC, with six decimals where they are not zero.
- **Snapshots.** Every answer is one statement on one snapshot of the views: it never mixes before and after a merge. A
  lifecycle is worked out from one; the events behind it are looked up in a second.
- **Identity** is worked out by the rules from the facts around the customer, as workers do it. Each link names its
  events, each refused one its reason. Long lists are cut, and `left_out` says by how much. Beyond 5,000 connected
  identifiers there is no answer (`identity-too-large`). `why` about two customers reads each in one statement, and both
  again where a merge came between.
- **Review of identity.** Each page is of the moment at which it is asked for. `recent_changes` are those that workers
  announced; a rebuild announces its own. A page of `large_customers` looks through 200,000 identifiers.
- **Caching.** Every answer about a customer has an `ETag`; with `If-None-Match` an unchanged one is `304` without a
  body. The `version` of a customer is the hash of its content: equal versions, equal content. The `ETag` of a lifecycle
  leaves out `at`, so it changes when the customer or their stage does, and once a day with P(alive).
- **Time.** A lifecycle is right at its `at`, whether or not anything happened since the stage last changed. `history`
  and `schedule` are one list, cut at `at`: what was, and what will be [if nothing happens](../explanation/stages.md).
- **Pages.** A timeline is newest first by (`time`, `event_id`). `next_cursor` leads to the next page, with the same
  filters; null on the last. A cursor marks a place in time: it stays good when customers merge or late events arrive.
- **Lists of customers** are right at their `at` for everybody, however long ago anything happened, and all pages are
  about the `at` of the first: the cursor carries it. `stage`, `flags`, `since`, `until` and the counts are those of
  `at`; what is known of events is the present. In order of `last_event`, a customer who is in touch between two pages
  may be on both or on neither. Customers without an event have no stage and are in no list. After a change of the stage
  rules there is no list (`stages-being-assessed`) until the worker has assessed everybody again.
- **What a list costs.** Every page counts all customers, from an index. Pages in order of `customer_id` and `since`
  come from indexes too; those in order of `last_event` read every row that the filters pass. Where nobody sweeps, the
  customers whose stage has changed since are read one by one from their schedules.
- **Filters** read the customer's events newest first until the page is full. A filter that hardly any of 100,000 events
  passes therefore costs what reading them costs; `from` and `until` do not, they cut first.
- **Whose events.** Those anchored at one of the customer's identifiers, and those at an order or a case that is theirs,
  itself or through at most five others (see [identity](../explanation/identity.md)).
- **Requests** are named by `X-Request-Id`: letters, digits, `.`, `_` and `-`, at most 64. Yours comes back and stands
  in the log; without one, or with another text, the server makes one.
- **Logs** hold the method, the route template, the status, the duration and the request id; never a path, a query or
  another header, for identifiers are personal.
- **Freshness.** An answer holds what was applied when it was asked. `/readyz` tells how far that is behind the log.
- **Reading your own write.** Publishing gives a position token. Every read of customers takes it as `after` (or in the
  header `Timeline-After`) and is answered from a snapshot in which the projector has passed those positions; it waits
  for that at most `wait_s` seconds (or `Prefer: wait=`), then says `not-yet`. See the
  [how-to](../how-to/read-your-own-write.md).
"""

OPERATIONS = """
## Operating it

- `/livez` says that the process answers; it asks nobody.
- `/readyz` says whether to send requests: Postgres answers, its views are of this program's projection version, all
  migrations are applied, and no partition's oldest unapplied record has waited for more than 60 s. Where Kafka does not
  answer the lag is `unknown`, which keeps nobody from reading. `warnings` are for people: more dead letters are stored
  than `CUSTOMER_TIMELINE_DEAD_LETTERS_WARN_ABOVE`. It is ready all the same.
- `/metrics` speaks Prometheus: `customer_timeline_api_request_duration_seconds` by method, route template and status,
  added up over all processes; `customer_timeline_api_wait_seconds`, how long reads waited for positions, by outcome;
  `customer_timeline_views_lag_events` and `_lag_seconds` by partition; `customer_timeline_dead_letters_stored` by
  reason, and `_stored_bytes`.
- `customer-timeline customer show|timeline|lifecycle REF --json` and `customer-timeline customer list --json` print the
  same without the API.
"""


def _document() -> dict[str, Any]:
    # Building the app connects to nothing.
    reader = PostgresReader("postgresql://", "customer_timeline")
    projection = CustomerProjection(BusinessCalendar("UTC"))
    policy, rules = IdentityPolicy(), StageRules()
    codec = Codec(policy, b"documentation only")
    past = PostgresCutReader("postgresql://", "customer_timeline", codec, policy, projection, rules)
    config = ApiConfig(identifiers=codec.space, projection=projection, now_us=lambda: 0)
    return create_app(reader, past, config).openapi()


def _parameter_row(parameter: dict[str, Any]) -> tuple[str, str, str]:
    schema = parameter["schema"]
    default = schema.get("default")
    bounds = [
        f"{word} {schema[key]}" for key, word in (("minimum", "at least"), ("maximum", "at most")) if key in schema
    ]
    described = parameter.get("description", "")
    meaning = described if "at most" in described else "; ".join([described, *bounds])
    name = f"`{parameter['name']}`" + (" (header)" if parameter["in"] == "header" else "")
    return name, "" if default is None else f"`{default}`", meaning


def _operation(path: str, operation: dict[str, Any]) -> str:
    parts = [f"## `GET {path}`", operation["summary"] + "."]
    if operation.get("parameters"):
        rows = [_parameter_row(parameter) for parameter in operation["parameters"]]
        parts.append(table(("parameter", "default", "meaning"), rows))
    responses = ((f"`{status}`", found["description"]) for status, found in operation["responses"].items())
    parts.append(table(("status", "meaning"), responses))
    example = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("example")
    if example:
        parts.append(f"```json\n{json.dumps(example, indent=2, ensure_ascii=False)}\n```")
    return "\n\n".join(part.strip("\n") for part in parts)


def _problems() -> str:
    rows = [(f"`{kind.slug}`", str(kind.status), kind.title) for kind in problems.KINDS]
    return "\n\n".join(
        (
            "## Problems",
            "Every error is `application/problem+json` (RFC 9457): `type` is the word below after "
            f"`{problems.TYPE_PREFIX}`, `title` says what kind it is, `detail` what to do about this case, `instance` "
            "which request it was. `errors` lists the parameters at fault, `checks` what made a server not ready, "
            "`left` how many customers are still to be assessed (`left_is_more`: more than that); `positions` what a "
            "read waits for and where the projector stands, `dead_letters` the events that could not be applied, "
            "`topic` and `topic_id` whose positions they are. No problem repeats what was sent but a topic id.",
            table(("type", "status", "title"), rows).strip("\n"),
        )
    )


def page() -> str:
    """docs/reference/api.md."""
    document = _document()
    operations = {path: _operation(path, methods["get"]) for path, methods in document["paths"].items()}
    resources = [text for path, text in operations.items() if path.startswith("/v1/")]
    probes = [text for path, text in operations.items() if not path.startswith("/v1/")]
    return markdown_page("HTTP API", INTRODUCTION, CONVENTIONS, *resources, _problems(), OPERATIONS, *probes)
