-- Statements of the sweeper.

-- horizon: how many partitions are known, and until when all of them have been applied
SELECT count(passed_at), (extract(epoch FROM min(passed_at)) * 1000000)::bigint FROM projector_offset WHERE topic = %(topic)s

-- read_version: which code and settings wrote these tables, and which stage rules are in force
SELECT projection_version, rules FROM projection_meta

-- lock_due: customers of whom something became due; those that somebody else holds come up again
SELECT customer_id::text FROM customer WHERE sweep_us <= %(horizon)s ORDER BY sweep_us LIMIT %(limit)s FOR UPDATE SKIP LOCKED

-- lock_other_rules: customers assessed by other rules than these; two ranges, because an index has no "not equal"
SELECT customer_id::text FROM customer WHERE customer_id IN (
    (SELECT customer_id FROM customer WHERE rules < %(rules)s LIMIT %(limit)s)
    UNION ALL
    (SELECT customer_id FROM customer WHERE rules > %(rules)s LIMIT %(limit)s))
FOR UPDATE SKIP LOCKED

-- read_schedules: the locked customers, as they are once the lock is held
SELECT customer_id::text, schedule::text, swept_us, sweep_us, announce_from_us FROM customer
WHERE customer_id = ANY (%(ids)s::uuid[]) AND sweep_us <= %(horizon)s

-- read_facts: the locked customers, as they are once the lock is held
SELECT customer_id::text, facts::text, swept_us, sweep_us, announce_from_us FROM customer
WHERE customer_id = ANY (%(ids)s::uuid[]) AND rules <> %(rules)s

-- announced: what was announced of customers, under this and all former ids
SELECT i.customer_id::text, a.announcement_id::text, a.customer_id::text, a.from_us, a.stage, a.flags, a.n, a.withdrawn
FROM identifier i JOIN stage_announcement a ON a.customer_id = i.identifier_id
WHERE i.customer_id = ANY (%(ids)s::uuid[])

-- insert_announcements: transitions that are told now
INSERT INTO stage_announcement (announcement_id, customer_id, from_us, stage, flags, n)
SELECT announcement_id, customer_id, from_us, stage, ARRAY(SELECT json_array_elements_text(flags)), n
FROM json_to_recordset(%(rows)s::json)
    AS t (announcement_id uuid, customer_id uuid, from_us bigint, stage text, flags json, n integer)

-- withdraw_announcements: transitions that a late event undid
UPDATE stage_announcement SET withdrawn = true WHERE announcement_id = ANY (%(ids)s::uuid[])

-- insert_changes: outbox rows
INSERT INTO outbox (kind, payload, created_at, change_id)
SELECT kind, payload, created_at, change_id
FROM json_to_recordset(%(rows)s::json) AS t (kind text, payload jsonb, created_at timestamptz, change_id uuid)

-- write_swept: the entry that holds now, and when to look again
UPDATE customer c SET stage = t.stage, flags = ARRAY(SELECT json_array_elements_text(t.flags)),
    stage_from_us = t.stage_from_us, stage_until_us = t.stage_until_us, swept_us = t.swept_us, sweep_us = t.sweep_us
FROM json_to_recordset(%(rows)s::json)
    AS t (customer_id uuid, stage text, flags json, stage_from_us bigint, stage_until_us bigint, swept_us bigint, sweep_us bigint)
WHERE c.customer_id = t.customer_id

-- write_assessed: the schedule of other rules, and when to look again
UPDATE customer c SET schedule = t.schedule, rules = %(rules)s, stage = t.stage,
    flags = ARRAY(SELECT json_array_elements_text(t.flags)), stage_from_us = t.stage_from_us, stage_until_us = t.stage_until_us,
    swept_us = t.swept_us, sweep_us = t.sweep_us, announce_from_us = t.announce_from_us
FROM json_to_recordset(%(rows)s::json)
    AS t (customer_id uuid, schedule json, stage text, flags json, stage_from_us bigint, stage_until_us bigint,
          swept_us bigint, sweep_us bigint, announce_from_us bigint)
WHERE c.customer_id = t.customer_id
