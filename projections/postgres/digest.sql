-- What counts of each table as one line of text a row: a JSON array of the covered columns in the order of
-- `projections.digest.COVERAGE`. Instants are microseconds since 1970, bytes hexadecimal, so no setting of the server or
-- of the session takes part; jsonb prints exact numerics, json the bytes that were stored. Ids sort by their bytes.
-- A name in braces stands for the query of that name.

-- timeline: holder = where the event stands
SELECT
    event_id,
    anchor_id AS holder,
    json_build_array(
        event_id, anchor_id, strongest_id, identifier_ids, thing_ids, type, channel, direction, sign_of_life, listed,
        (extract(epoch FROM occurred_at) * 1000000)::bigint, revision, record_hash, data_quality, event
    )::text AS line
FROM timeline

-- superseded: records that lost
SELECT
    event_id,
    revision,
    occurred_at,
    content_hash,
    json_build_array(
        event_id, revision, (extract(epoch FROM occurred_at) * 1000000)::bigint, encode(content_hash, 'hex'), conflict
    )::text AS line
FROM superseded

-- identifier: every one
SELECT
    identifier_id,
    json_build_array(
        identifier_id, kind, value, customer_id, (extract(epoch FROM first_seen_at) * 1000000)::bigint, first_event_id, shared
    )::text AS line
FROM identifier

-- link: without evidence it glues nobody, so that it was refused once says nothing
SELECT
    anchor_id,
    other_id,
    json_build_array(
        anchor_id, other_id, (extract(epoch FROM occurred_at) * 1000000)::bigint, event_id,
        CASE WHEN event_id IS NOT NULL THEN refused END
    )::text AS line
FROM link

-- decision: of two identifiers, whichever was named first
SELECT
    event_id,
    anchor_id,
    other_id,
    json_build_array(
        event_id, least(anchor_id, other_id), greatest(anchor_id, other_id), verdict,
        (extract(epoch FROM occurred_at) * 1000000)::bigint, reason, operator, refused
    )::text AS line
FROM decision

-- thing: those that somebody owns, and who that is in the end
SELECT
    thing.thing_id,
    json_build_array(thing.thing_id, thing.kind, thing.value, owned.owner_id)::text AS line
FROM owned
JOIN thing ON thing.thing_id = owned.thing_id

-- customer: facts as the bytes that were stored, and the whole schedule
SELECT
    customer_id,
    json_build_array(
        customer_id, events, signs_of_life, (extract(epoch FROM first_event_at) * 1000000)::bigint,
        (extract(epoch FROM last_event_at) * 1000000)::bigint, (extract(epoch FROM last_sign_of_life_at) * 1000000)::bigint,
        purchases, facts::text, schedule::text
    )::text AS line
FROM customer

-- customer_as_of: the same with the entry of an instant in the place of the schedule
SELECT
    customer_id,
    json_build_array(
        customer_id, events, signs_of_life, (extract(epoch FROM first_event_at) * 1000000)::bigint,
        (extract(epoch FROM last_event_at) * 1000000)::bigint, (extract(epoch FROM last_sign_of_life_at) * 1000000)::bigint,
        purchases, facts::text, stage_entry(schedule, %(as_of_us)s)::text
    )::text AS line
FROM customer

-- dead_letter: a set, as copies of one record are one; what healed is an event, and none any more
SELECT
    sha256,
    reason,
    json_build_array(encode(sha256, 'hex'), reason)::text AS line
FROM (SELECT DISTINCT sha256, reason COLLATE "C" AS reason FROM dead_letter WHERE healed_at IS NULL) AS letters

-- owned: things and the identifier that owns them, itself or through at most five others
SELECT thing_id, owner_id, 0 AS steps
FROM thing
WHERE
    owner_id IS NOT NULL
    AND (%(customer_id)s IS NULL OR owner_id = ANY (ARRAY(SELECT identifier_id FROM member)))
UNION ALL
SELECT thing.thing_id, owned.owner_id, owned.steps + 1
FROM owned
JOIN thing ON thing.via_thing_id = owned.thing_id
WHERE thing.owner_id IS NULL AND owned.steps < 5

-- member: identifiers and the customer that holds each, of one customer or of all
SELECT identifier_id, customer_id
FROM identifier
WHERE %(customer_id)s IS NULL OR customer_id = %(customer_id)s

-- lines: what counts of one table, in an order that depends on nothing but the rows
WITH RECURSIVE member AS ({member}),
owned AS ({owned})
SELECT lines.line FROM ({table}) AS lines ORDER BY {order}

-- parts: what counts for each customer, hashed: its row, its identifiers, links, decisions, things and events
-- A link inside a customer leads there twice and counts once, as parts are a set.
WITH RECURSIVE member AS ({member}),
owned AS ({owned}),
holder AS (
    SELECT identifier_id AS holder, customer_id FROM member
    UNION ALL
    SELECT owned.thing_id, member.customer_id FROM owned JOIN member ON member.identifier_id = owned.owner_id
),
held AS (
    SELECT customer_id AS holder, 'customer ' || line AS line FROM ({customer}) AS lines
    UNION ALL
    SELECT holder, 'timeline ' || line FROM ({timeline}) AS lines
    UNION ALL
    SELECT identifier_id, 'identifier ' || line FROM ({identifier}) AS lines
    UNION ALL
    SELECT anchor_id, 'link ' || line FROM ({link}) AS lines
    UNION ALL
    SELECT other_id, 'link ' || line FROM ({link}) AS lines
    UNION ALL
    SELECT anchor_id, 'decision ' || line FROM ({decision}) AS lines
    UNION ALL
    SELECT other_id, 'decision ' || line FROM ({decision}) AS lines
    UNION ALL
    SELECT thing_id, 'thing ' || line FROM ({thing}) AS lines
)
SELECT DISTINCT holder.customer_id::text COLLATE "C" AS customer_id, sha256(convert_to(held.line, 'UTF8')) AS line_hash
FROM held
JOIN holder USING (holder)
ORDER BY customer_id, line_hash

-- meta: which fold wrote the tables; a row even where none has yet
SELECT (SELECT projection_version FROM projection_meta)

-- positions: where the workers stand
SELECT topic, part, next_offset FROM projector_offset ORDER BY topic COLLATE "C", part

-- customer_of: the customer that holds an identifier
SELECT customer_id::text FROM identifier WHERE identifier_id = %(identifier_id)s::uuid

-- plan_for_all: the plan that is best for the first few rows of a cursor is not for all
SELECT set_config('cursor_tuple_fraction', '1', true), set_config('jit', 'off', true)

-- plan_for_few: along indexes
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)
