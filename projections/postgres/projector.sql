-- Statements of the projector. Ids go in as one uuid[] literal: cheaper than a list of parameters.

-- create_incoming: events of the batch that compete with records in the timeline
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    event_id uuid, anchor_id uuid, strongest_id uuid, identifier_ids uuid[], thing_ids uuid[], type text, channel text,
    direction text, sign_of_life boolean, listed boolean, occurred_at timestamptz, recorded_at timestamptz, revision integer,
    part integer, position bigint, record_hash uuid, data_quality jsonb, event jsonb
) ON COMMIT DELETE ROWS

-- create_incoming_customer: the batch's customer rows
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_customer (
    customer_id uuid, gen bigint, contested boolean, events bigint, signs_of_life bigint, first_event_us bigint,
    last_event_us bigint, last_sign_of_life_us bigint, purchases bigint, facts json, schedule json, rules text, stage text,
    flags text[], stage_from_us bigint, stage_until_us bigint, swept_us bigint, sweep_us bigint, announce_from_us bigint
) ON COMMIT DELETE ROWS

-- clear_incoming: forget the events that competed (a batch is halved within one transaction)
DELETE FROM incoming

-- clear_incoming_customer: empty the batch's customer rows
DELETE FROM incoming_customer

-- copy_timeline: events that are new by `known_records`, in id order, so that workers wait for each other without a cycle
COPY timeline (event_id, anchor_id, strongest_id, identifier_ids, thing_ids, type, channel, direction, sign_of_life, listed,
    occurred_at, recorded_at, revision, part, position, record_hash, data_quality, event) FROM STDIN

-- copy_incoming: events that compete
COPY incoming (event_id, anchor_id, strongest_id, identifier_ids, thing_ids, type, channel, direction, sign_of_life, listed,
    occurred_at, recorded_at, revision, part, position, record_hash, data_quality, event) FROM STDIN

-- known_records: what stands in the timeline for events of the batch
SELECT event_id::text, record_hash::text, (extract(epoch FROM recorded_at) * 1000000)::bigint
FROM timeline WHERE event_id = ANY (%(ids)s::uuid[])

-- lock_records: the records that compete, held until this batch has decided
SELECT event_id::text, event::text, recorded_at, record_hash::text
FROM timeline WHERE event_id = ANY (%(ids)s::uuid[]) ORDER BY event_id FOR UPDATE

-- lower_recorded: a copy that the log took in earlier
UPDATE timeline SET recorded_at = LEAST(timeline.recorded_at, i.recorded_at)
FROM incoming i WHERE i.event_id = timeline.event_id AND timeline.event_id = ANY (%(ids)s::uuid[])

-- respell_records: the same content in the spelling that is kept, whichever came first
UPDATE timeline SET event = i.event, record_hash = i.record_hash, part = i.part, position = i.position
FROM incoming i WHERE i.event_id = timeline.event_id AND timeline.event_id = ANY (%(ids)s::uuid[])

-- replace_records: records that win over the one that stood
UPDATE timeline t SET anchor_id = i.anchor_id, strongest_id = i.strongest_id, identifier_ids = i.identifier_ids,
    thing_ids = i.thing_ids, type = i.type, channel = i.channel, direction = i.direction, sign_of_life = i.sign_of_life,
    listed = i.listed, occurred_at = i.occurred_at, recorded_at = i.recorded_at, revision = i.revision, part = i.part,
    position = i.position, record_hash = i.record_hash, data_quality = i.data_quality, event = i.event
FROM incoming i WHERE i.event_id = t.event_id AND t.event_id = ANY (%(ids)s::uuid[])

-- insert_superseded: a record that lost; of equal copies the one recorded first
INSERT INTO superseded (event_id, content_hash, revision, occurred_at, recorded_at, conflict, event, names, thing_ids)
VALUES (%(event_id)s, %(content_hash)s, %(revision)s, %(occurred_at)s, %(recorded_at)s, false, %(event)s::jsonb,
    %(names)s::uuid[], %(thing_ids)s::uuid[])
ON CONFLICT (event_id, revision, occurred_at, content_hash)
DO UPDATE SET recorded_at = LEAST(superseded.recorded_at, excluded.recorded_at)

-- mark_conflicts: which superseded records disagree with the one that counts
UPDATE superseded SET conflict = (revision = %(revision)s AND content_hash <> %(content_hash)s)
WHERE event_id = %(event_id)s AND conflict IS DISTINCT FROM (revision = %(revision)s AND content_hash <> %(content_hash)s)

-- insert_things: things named for the first time, in id order
INSERT INTO thing (thing_id, kind, value, owner_id, owner_at, owner_event_id, via_thing_id, via_at, via_event_id, anchored)
SELECT * FROM unnest(%(thing_id)s::uuid[], %(kind)s::text[], %(value)s::text[], %(owner_id)s::uuid[],
    %(owner_at)s::timestamptz[], %(owner_event_id)s::uuid[], %(via_thing_id)s::uuid[], %(via_at)s::timestamptz[],
    %(via_event_id)s::uuid[], %(anchored)s::boolean[])
    AS t (thing_id, kind, value, owner_id, owner_at, owner_event_id, via_thing_id, via_at, via_event_id, anchored)
ORDER BY thing_id
ON CONFLICT (thing_id) DO NOTHING
RETURNING thing_id::text

-- lock_things: things that stood before, held so that nobody else names or moves them meanwhile
SELECT thing_id::text, kind, value, owner_id::text, owner_at, owner_event_id::text, via_thing_id::text, via_at,
    via_event_id::text, anchored
FROM thing WHERE thing_id = ANY (%(ids)s::uuid[]) ORDER BY thing_id FOR UPDATE

-- followers: things that have no owner of their own and take that of another
SELECT thing_id::text FROM thing WHERE via_thing_id = ANY (%(ids)s::uuid[])

-- update_things: new evidence of whose things are
UPDATE thing SET owner_id = t.owner_id, owner_at = t.owner_at, owner_event_id = t.owner_event_id,
    via_thing_id = t.via_thing_id, via_at = t.via_at, via_event_id = t.via_event_id, anchored = t.anchored
FROM unnest(%(thing_id)s::uuid[], %(kind)s::text[], %(value)s::text[], %(owner_id)s::uuid[],
    %(owner_at)s::timestamptz[], %(owner_event_id)s::uuid[], %(via_thing_id)s::uuid[], %(via_at)s::timestamptz[],
    %(via_event_id)s::uuid[], %(anchored)s::boolean[])
    AS t (thing_id, kind, value, owner_id, owner_at, owner_event_id, via_thing_id, via_at, via_event_id, anchored)
WHERE thing.thing_id = t.thing_id

-- events_naming_things: everything that says whose a thing is
SELECT event::text, recorded_at FROM timeline
WHERE listed AND event_id IN (
    SELECT event_id FROM timeline WHERE thing_ids IS NOT NULL AND thing_ids[1] = ANY (%(ids)s::uuid[])
    UNION SELECT event_id FROM timeline WHERE cardinality(thing_ids) > 1 AND thing_ids && %(ids)s::uuid[])

-- claim_identifiers: identifiers nobody has named yet, in id order; a racing worker waits here
INSERT INTO identifier (identifier_id, kind, value, customer_id, first_seen_at, first_event_id)
SELECT * FROM unnest(%(identifier_id)s::uuid[], %(kind)s::text[], %(value)s::text[], %(customer_id)s::uuid[],
    %(first_seen_at)s::timestamptz[], %(first_event_id)s::uuid[])
    AS t (identifier_id, kind, value, customer_id, first_seen_at, first_event_id)
ORDER BY identifier_id
ON CONFLICT (identifier_id) DO NOTHING
RETURNING identifier_id::text

-- read_identifiers: to whom identifiers belong now
SELECT identifier_id::text, kind, customer_id::text, (extract(epoch FROM first_seen_at) * 1000000)::bigint,
    first_event_id::text, shared
FROM identifier WHERE identifier_id = ANY (%(ids)s::uuid[])

-- share_identifiers: sightings of identifiers whose customer is not locked, held against being read again meanwhile
SELECT identifier_id::text, kind, customer_id::text, (extract(epoch FROM first_seen_at) * 1000000)::bigint,
    first_event_id::text, shared
FROM identifier WHERE identifier_id = ANY (%(ids)s::uuid[]) ORDER BY identifier_id FOR SHARE

-- hold_identifiers: identifiers whose sightings are read again
SELECT identifier_id FROM identifier WHERE identifier_id = ANY (%(ids)s::uuid[]) ORDER BY identifier_id FOR UPDATE

-- members: the identifiers of customers
SELECT identifier_id::text, kind, customer_id::text, (extract(epoch FROM first_seen_at) * 1000000)::bigint,
    first_event_id::text, shared
FROM identifier WHERE customer_id = ANY (%(ids)s::uuid[])

-- lock_customers: all customers concerned, in id order, with their facts as they are once the lock is held
SELECT customer_id::text, gen, contested, facts::text, schedule::text, rules, partial_until_us, swept_us, sweep_us,
    announce_from_us FROM customer
WHERE customer_id = ANY (%(ids)s::uuid[]) ORDER BY customer_id FOR UPDATE

-- write_sightings: earliest sightings
UPDATE identifier SET first_seen_at = t.first_seen_at, first_event_id = t.first_event_id
FROM unnest(%(identifier_id)s::uuid[], %(first_seen_at)s::timestamptz[], %(first_event_id)s::uuid[])
    AS t (identifier_id, first_seen_at, first_event_id)
WHERE identifier.identifier_id = t.identifier_id

-- read_links: links of given pairs
SELECT l.anchor_id::text, l.other_id::text, (extract(epoch FROM l.occurred_at) * 1000000)::bigint, l.event_id::text,
    (extract(epoch FROM l.recorded_at) * 1000000)::bigint, l.refused
FROM link l JOIN unnest(%(anchor_id)s::uuid[], %(other_id)s::uuid[]) AS t (anchor_id, other_id) USING (anchor_id, other_id)

-- read_evidence: further evidence of given pairs
SELECT e.anchor_id::text, e.other_id::text, (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.event_id::text,
    (extract(epoch FROM e.recorded_at) * 1000000)::bigint
FROM link_evidence e JOIN unnest(%(anchor_id)s::uuid[], %(other_id)s::uuid[]) AS t (anchor_id, other_id)
    USING (anchor_id, other_id)

-- write_links: links with their least evidence
INSERT INTO link (anchor_id, other_id, occurred_at, event_id, recorded_at, refused)
SELECT * FROM unnest(%(anchor_id)s::uuid[], %(other_id)s::uuid[], %(occurred_at)s::timestamptz[], %(event_id)s::uuid[],
    %(recorded_at)s::timestamptz[], %(refused)s::text[])
    AS t (anchor_id, other_id, occurred_at, event_id, recorded_at, refused)
ORDER BY anchor_id, other_id
ON CONFLICT (anchor_id, other_id) DO UPDATE SET occurred_at = excluded.occurred_at, event_id = excluded.event_id,
    recorded_at = excluded.recorded_at

-- delete_evidence: further evidence of given pairs, before it is written again
DELETE FROM link_evidence e USING unnest(%(anchor_id)s::uuid[], %(other_id)s::uuid[]) AS t (anchor_id, other_id)
WHERE e.anchor_id = t.anchor_id AND e.other_id = t.other_id

-- write_evidence: further evidence of given pairs
INSERT INTO link_evidence (anchor_id, other_id, event_id, occurred_at, recorded_at)
SELECT * FROM unnest(%(anchor_id)s::uuid[], %(other_id)s::uuid[], %(event_id)s::uuid[], %(occurred_at)s::timestamptz[],
    %(recorded_at)s::timestamptz[]) AS t (anchor_id, other_id, event_id, occurred_at, recorded_at)

-- partners: with how many identifiers of each kind a value was seen as the weaker one
SELECT l.other_id::text, i.kind, count(*) FROM link l JOIN identifier i ON i.identifier_id = l.anchor_id
WHERE l.other_id = ANY (%(ids)s::uuid[]) GROUP BY 1, 2

-- mark_shared: values that glue nobody any more
UPDATE identifier SET shared = true WHERE identifier_id = ANY (%(ids)s::uuid[])

-- links_of: every link with an end among given identifiers, and what is known of both ends
SELECT l.anchor_id::text, l.other_id::text, (extract(epoch FROM l.occurred_at) * 1000000)::bigint, l.event_id::text, l.refused
FROM link l WHERE l.anchor_id = ANY (%(ids)s::uuid[])
UNION
SELECT l.anchor_id::text, l.other_id::text, (extract(epoch FROM l.occurred_at) * 1000000)::bigint, l.event_id::text, l.refused
FROM link l WHERE l.other_id = ANY (%(ids)s::uuid[])

-- decisions_of: every decision about given identifiers
SELECT event_id::text, anchor_id::text, other_id::text, verdict, (extract(epoch FROM occurred_at) * 1000000)::bigint, refused
FROM decision WHERE anchor_id = ANY (%(ids)s::uuid[])
UNION
SELECT event_id::text, anchor_id::text, other_id::text, verdict, (extract(epoch FROM occurred_at) * 1000000)::bigint, refused
FROM decision WHERE other_id = ANY (%(ids)s::uuid[])

-- write_decision: an operator's decision
INSERT INTO decision (event_id, anchor_id, other_id, verdict, occurred_at, recorded_at, reason, operator)
VALUES (%(event_id)s, %(anchor_id)s, %(other_id)s, %(verdict)s, %(occurred_at)s, %(recorded_at)s, %(reason)s, %(operator)s)
ON CONFLICT (event_id) DO UPDATE SET anchor_id = excluded.anchor_id, other_id = excluded.other_id,
    verdict = excluded.verdict, occurred_at = excluded.occurred_at, recorded_at = excluded.recorded_at,
    reason = excluded.reason, operator = excluded.operator, refused = NULL

-- delete_decisions: decisions whose record was replaced
DELETE FROM decision WHERE event_id = ANY (%(ids)s::uuid[])

-- refuse_links: why links glue nobody, after deciding again
UPDATE link SET refused = t.refused
FROM unnest(%(anchor_id)s::uuid[], %(other_id)s::uuid[], %(refused)s::text[]) AS t (anchor_id, other_id, refused)
WHERE link.anchor_id = t.anchor_id AND link.other_id = t.other_id

-- refuse_decisions: why a link that was decided joins nobody
UPDATE decision SET refused = t.refused
FROM unnest(%(event_id)s::uuid[], %(refused)s::text[]) AS t (event_id, refused) WHERE decision.event_id = t.event_id

-- repoint: to whom identifiers belong now
UPDATE identifier SET customer_id = t.customer_id
FROM unnest(%(identifier_id)s::uuid[], %(customer_id)s::uuid[]) AS t (identifier_id, customer_id)
WHERE identifier.identifier_id = t.identifier_id AND identifier.customer_id <> t.customer_id

-- delete_customers: rows that were combined into another or divided
DELETE FROM customer WHERE customer_id = ANY (%(ids)s::uuid[])

-- copy_incoming_customer: customer rows in
COPY incoming_customer (customer_id, gen, contested, events, signs_of_life, first_event_us, last_event_us,
    last_sign_of_life_us, purchases, facts, schedule, rules, stage, flags, stage_from_us, stage_until_us, swept_us, sweep_us,
    announce_from_us) FROM STDIN

-- write_customers: new facts of the customers that this batch holds
INSERT INTO customer (customer_id, gen, contested, events, signs_of_life, first_event_at, last_event_at,
    last_sign_of_life_at, purchases, facts, schedule, rules, stage, flags, stage_from_us, stage_until_us, swept_us, sweep_us,
    announce_from_us)
SELECT customer_id, gen, contested, events, signs_of_life,
    timestamptz '1970-01-01 00:00:00+00' + first_event_us * interval '1 microsecond',
    timestamptz '1970-01-01 00:00:00+00' + last_event_us * interval '1 microsecond',
    timestamptz '1970-01-01 00:00:00+00' + last_sign_of_life_us * interval '1 microsecond', purchases, facts,
    schedule, rules, stage, flags, stage_from_us, stage_until_us, swept_us, sweep_us, announce_from_us
FROM incoming_customer
ON CONFLICT (customer_id) DO UPDATE SET gen = excluded.gen, contested = excluded.contested, events = excluded.events,
    signs_of_life = excluded.signs_of_life, first_event_at = excluded.first_event_at, last_event_at = excluded.last_event_at,
    last_sign_of_life_at = excluded.last_sign_of_life_at, purchases = excluded.purchases, facts = excluded.facts,
    schedule = excluded.schedule, rules = excluded.rules, stage = excluded.stage, flags = excluded.flags,
    stage_from_us = excluded.stage_from_us, stage_until_us = excluded.stage_until_us, swept_us = excluded.swept_us,
    sweep_us = excluded.sweep_us, announce_from_us = excluded.announce_from_us

-- anchors_of_members: where the events of given identifiers stand: at them, and at the things that are theirs
WITH RECURSIVE mine (thing_id) AS (
    SELECT thing_id FROM thing WHERE owner_id = ANY (%(ids)s::uuid[])
    UNION
    SELECT t.thing_id FROM thing t JOIN mine m ON t.via_thing_id = m.thing_id WHERE t.owner_id IS NULL
)
SELECT unnest(%(ids)s::uuid[])::text UNION ALL SELECT thing_id::text FROM mine

-- history: partial states and single events of given anchors, all of them
SELECT facts, event, recorded_at FROM history_parts(%(anchors)s::uuid[], NULL, NULL)

-- partials_until: when the last partial state of given anchors ends
SELECT (extract(epoch FROM max(until_at)) * 1000000)::bigint FROM partial_state WHERE anchor_id = ANY (%(anchors)s::uuid[])

-- open_partials: turn partial states into holes where events were added, taken away or exchanged; no span is longer
UPDATE partial_state p SET facts = NULL, gen = %(gen)s
FROM unnest(%(anchors)s::uuid[], %(instants)s::timestamptz[]) AS t (anchor_id, at)
WHERE p.anchor_id = t.anchor_id AND p.begins_at <= t.at AND p.begins_at > t.at - interval '768 hours' AND p.until_at > t.at

-- note_partials: what customers' rows say of their partial states; nearly always that is nothing new
UPDATE customer c SET partial_until_us = GREATEST(c.partial_until_us, t.until_us),
    partial_due_us = LEAST(c.partial_due_us, t.due_us)
FROM unnest(%(customers)s::uuid[], %(until)s::bigint[], %(due)s::bigint[]) AS t (customer_id, until_us, due_us)
WHERE c.customer_id = t.customer_id AND (t.until_us > coalesce(c.partial_until_us, 0)
    OR t.due_us < coalesce(c.partial_due_us, 9223372036854775807))

-- events_naming: events that count and name given identifiers: those of their own, and those of identifiers they are linked to
SELECT event::text, recorded_at FROM timeline
WHERE listed AND identifier_ids && %(ids)s::uuid[] AND event_id IN (
    SELECT event_id FROM timeline WHERE anchor_id = ANY (%(anchors)s::uuid[])
    UNION
    SELECT event_id FROM timeline WHERE strongest_id = ANY (%(anchors)s::uuid[]) AND strongest_id IS DISTINCT FROM anchor_id)

-- anchors_of: identifiers that given ones were seen with as the weaker
SELECT DISTINCT anchor_id::text FROM link WHERE other_id = ANY (%(ids)s::uuid[])

-- insert_dead_letter: a record that is no event; one that was exported and removed stays so in a rebuild
INSERT INTO dead_letter (topic, part, position, recorded_at, reason, error, type, sha256, key, value, headers)
SELECT %(topic)s, %(part)s, %(position)s, %(recorded_at)s, %(reason)s, %(error)s, %(type)s, %(sha256)s, %(key)s, %(value)s,
    %(headers)s::jsonb
WHERE NOT EXISTS (SELECT FROM dead_letter_decision AS c WHERE c.topic = %(topic)s AND c.part = %(part)s
    AND c.position = %(position)s AND c.state = 'removed')
ON CONFLICT (topic, part, position) DO NOTHING

-- insert_outbox: what changed
INSERT INTO outbox (kind, payload, created_at) VALUES (%(kind)s, %(payload)s::jsonb, %(created_at)s)

-- name_holder: the process that goes by a worker's name
SELECT process::text, taken_at FROM worker_name WHERE name = %(name)s

-- take_name: this process goes by the name from now on
INSERT INTO worker_name (name, process, taken_at) VALUES (%(name)s, %(process)s::uuid, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET process = excluded.process, taken_at = excluded.taken_at
RETURNING taken_at

-- previous_holders: who holds the partitions; a plain read, for a stopped process holds its row locks for ever
SELECT part, pid, backend_start FROM projector_offset WHERE topic = %(topic)s AND part = ANY (%(parts)s) AND pid IS NOT NULL

-- end_holder: end the backend of a replaced worker, if it is still that one
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %(pid)s AND backend_start = %(backend_start)s
    AND pid <> pg_backend_pid()

-- create_offsets: partitions seen for the first time
INSERT INTO projector_offset (topic, part, topic_id, next_offset, epoch)
SELECT %(topic)s, p, %(topic_id)s::uuid, 0, 0 FROM unnest(%(parts)s::integer[]) AS p ORDER BY p
ON CONFLICT (topic, part) DO NOTHING

-- take_over: raise the epoch and say where to go on
UPDATE projector_offset SET epoch = epoch + 1, pid = pg_backend_pid(),
    backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
WHERE topic = %(topic)s AND part = %(part)s
RETURNING next_offset, epoch, topic_id::text

-- reattach: a new connection of the worker that holds the epochs; its successor must be able to end it
UPDATE projector_offset o SET pid = pg_backend_pid(),
    backend_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
FROM unnest(%(parts)s::integer[], %(epochs)s::bigint[]) AS t (part, epoch)
WHERE o.topic = %(topic)s AND o.part = t.part AND o.epoch = t.epoch

-- release: given up in peace
UPDATE projector_offset o SET pid = NULL, backend_start = NULL
FROM unnest(%(parts)s::integer[], %(epochs)s::bigint[]) AS t (part, epoch)
WHERE o.topic = %(topic)s AND o.part = t.part AND o.epoch = t.epoch

-- advance: the fence: no row where another worker took over or the partition moved on
UPDATE projector_offset o SET next_offset = t.until, passed_at = GREATEST(o.passed_at, t.passed_at)
FROM unnest(%(parts)s::integer[], %(expected)s::bigint[], %(until)s::bigint[], %(epochs)s::bigint[], %(passed)s::timestamptz[])
    AS t (part, expected, until, epoch, passed_at)
WHERE o.topic = %(topic)s AND o.part = t.part AND o.epoch = t.epoch AND o.next_offset = t.expected
    AND EXISTS (SELECT FROM projection_meta m WHERE m.projection_version = %(version)s)
RETURNING o.part

-- pass_time: partitions in which nothing waits: all that was recorded until an instant is applied
UPDATE projector_offset o SET passed_at = GREATEST(o.passed_at, t.passed_at)
FROM unnest(%(parts)s::integer[], %(epochs)s::bigint[], %(passed)s::timestamptz[]) AS t (part, epoch, passed_at)
WHERE o.topic = %(topic)s AND o.part = t.part AND o.epoch = t.epoch

-- read_version: which code and settings wrote these tables
SELECT projection_version, details::text FROM projection_meta

-- write_rules: the worker that was started last says which stage rules are in force
UPDATE projection_meta SET rules = %(rules)s WHERE rules <> %(rules)s

-- write_version: the first worker says which code and settings write these tables
INSERT INTO projection_meta (projection_version, details, created_at, rules)
VALUES (%(version)s, %(details)s::jsonb, %(created_at)s, %(rules)s)
ON CONFLICT (singleton) DO NOTHING

-- consumer_suffix: what the consumer group of this set's workers ends with
SELECT consumer_suffix FROM view_set
