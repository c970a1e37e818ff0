-- Statements of the builder of partial states.

-- read_version: which code and settings wrote these tables
SELECT projection_version FROM projection_meta

-- lock_due: the customer whose partial states are to be looked after first; one that somebody else holds comes up again
SELECT customer_id::text FROM customer WHERE partial_due_us <= %(now)s
ORDER BY partial_due_us LIMIT 1 FOR UPDATE SKIP LOCKED

-- lock_customer: the customer again, if nobody else holds it
SELECT customer_id::text FROM customer WHERE customer_id = %(customer)s FOR UPDATE SKIP LOCKED

-- read_due: whether the locked customer is due, as it is once the lock is held, and how long its history is
SELECT events FROM customer WHERE customer_id = %(customer)s AND partial_due_us <= %(now)s

-- anchors: where the events of a customer stand: at its identifiers, and at the things that are theirs
WITH RECURSIVE members AS MATERIALIZED (
    SELECT identifier_id FROM identifier WHERE customer_id = %(customer)s
), mine (thing_id) AS (
    SELECT t.thing_id FROM members m JOIN thing t ON t.owner_id = m.identifier_id
    UNION
    SELECT t.thing_id FROM thing t JOIN mine m ON t.via_thing_id = m.thing_id WHERE t.owner_id IS NULL
)
SELECT identifier_id::text FROM members UNION ALL SELECT thing_id::text FROM mine

-- holes: spans of anchors to be folded
SELECT anchor_id::text, span, begins_at, until_at FROM partial_state
WHERE facts IS NULL AND anchor_id = ANY (%(anchors)s::uuid[]) ORDER BY begins_at DESC LIMIT %(limit)s

-- uncovered: how many events of anchors no partial state covers, by UTC day since 1970
SELECT s.anchor_id::text, t.day, count(*)
FROM history_spans(%(anchors)s::uuid[], NULL, NULL) s
CROSS JOIN LATERAL (
    SELECT floor(extract(epoch FROM occurred_at) / 86400)::bigint AS day FROM timeline
    WHERE anchor_id = s.anchor_id AND listed AND occurred_at >= s.begins_at AND occurred_at < s.until_at OFFSET 0
) t
WHERE s.facts IS NULL GROUP BY 1, 2

-- insert_holes: spans to be folded, but for those that meet another of their kind
INSERT INTO partial_state (anchor_id, span, begins_at, until_at, gen)
SELECT t.anchor_id, t.span, t.begins_at, t.until_at, t.gen
FROM unnest(%(anchor_id)s::uuid[], %(span)s::text[], %(begins_at)s::timestamptz[], %(until_at)s::timestamptz[],
    %(gen)s::bigint[]) AS t (anchor_id, span, begins_at, until_at, gen)
WHERE NOT EXISTS (
    SELECT FROM partial_state p WHERE p.anchor_id = t.anchor_id AND p.span = t.span AND p.begins_at < t.until_at
        AND p.begins_at > t.begins_at - interval '768 hours' AND p.until_at > t.begins_at)

-- note: what the locked customer's row says of its partial states
UPDATE customer SET partial_until_us = GREATEST(partial_until_us, %(until)s), partial_due_us = %(due)s
WHERE customer_id = %(customer)s

-- read_hole: a hole as it is now, if nobody is opening it this moment
SELECT gen FROM partial_state
WHERE anchor_id = %(anchor)s AND span = %(span)s AND begins_at = %(begins)s AND facts IS NULL

-- page: the next events of an anchor within a span, in the order of (occurred_at, event_id)
SELECT event::text, recorded_at, occurred_at, event_id::text FROM timeline
WHERE anchor_id = %(anchor)s AND listed AND (occurred_at, event_id) > (%(after)s, %(after_id)s::uuid)
    AND occurred_at < %(until)s
ORDER BY occurred_at, event_id LIMIT %(limit)s

-- lock_hole: the hole whose events were folded, if they are still those and nobody is opening it this moment
SELECT FROM partial_state
WHERE anchor_id = %(anchor)s AND span = %(span)s AND begins_at = %(begins)s AND gen = %(gen)s FOR UPDATE SKIP LOCKED

-- fill_hole: the fold of a span's events; the hole is locked
UPDATE partial_state SET facts = %(facts)s, events = %(events)s,
    first_recorded_at = coalesce(%(first)s, timestamptz 'infinity'), last_recorded_at = coalesce(%(last)s, timestamptz '-infinity')
WHERE anchor_id = %(anchor)s AND span = %(span)s AND begins_at = %(begins)s
