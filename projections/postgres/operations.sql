-- Statements that apply what operators decide about dead letters.

-- read_offset: until where the topic is applied
SELECT next_offset FROM operation_offset WHERE topic = %(topic)s

-- written_by: which code and settings wrote the tables
SELECT projection_version FROM projection_meta

-- create_offset: a topic seen for the first time
INSERT INTO operation_offset (topic, next_offset) VALUES (%(topic)s, 0) ON CONFLICT (topic) DO NOTHING

-- advance: the fence: no row where another worker was first; holds the row, so that one worker applies at a time
UPDATE operation_offset SET next_offset = %(position)s + 1
WHERE topic = %(topic)s AND next_offset <= %(position)s
    AND EXISTS (SELECT FROM projection_meta WHERE projection_version = %(version)s)
RETURNING next_offset

-- lock_letters: the dead letters among the records, in one order
SELECT d.topic, d.part, d.position, d.recorded_at, d.key, d.value, d.headers::text, d.type
FROM dead_letter AS d
JOIN unnest(%(topics)s::text[], %(parts)s::integer[], %(positions)s::bigint[]) AS t (topic, part, position)
    USING (topic, part, position)
WHERE d.healed_at IS NULL
ORDER BY d.topic, d.part, d.position
FOR UPDATE OF d

-- mark_healed: dead letters that are events now
UPDATE dead_letter AS d SET healed_at = %(at)s
FROM unnest(%(topics)s::text[], %(parts)s::integer[], %(positions)s::bigint[]) AS t (topic, part, position)
WHERE d.topic = t.topic AND d.part = t.part AND d.position = t.position

-- mark_failed: dead letters that still are, and what is wrong with them by now
UPDATE dead_letter SET reason = %(reason)s, error = %(error)s, type = %(type)s
WHERE topic = %(topic)s AND part = %(part)s AND position = %(position)s

-- decide: the last decision about each record; what was removed stays so, or a rebuild would bring it back
INSERT INTO dead_letter_decision (topic, part, position, state, operator, reason, event_id, decided_at, operation)
SELECT DISTINCT ON (t.topic, t.part, t.position)
    t.topic, t.part, t.position, %(state)s, %(operator)s, %(reason)s, %(event_id)s::uuid, %(at)s, %(operation)s
FROM unnest(%(topics)s::text[], %(parts)s::integer[], %(positions)s::bigint[]) AS t (topic, part, position)
ON CONFLICT (topic, part, position) DO UPDATE SET state = excluded.state, operator = excluded.operator,
    reason = excluded.reason, event_id = excluded.event_id, decided_at = excluded.decided_at, operation = excluded.operation
WHERE dead_letter_decision.state <> 'removed'

-- remove_letters: dead letters that were exported
DELETE FROM dead_letter AS d
USING unnest(%(topics)s::text[], %(parts)s::integer[], %(positions)s::bigint[]) AS t (topic, part, position)
WHERE d.topic = t.topic AND d.part = t.part AND d.position = t.position

-- write_operation: what it did
INSERT INTO operation (topic, position, operation_id, kind, operator, reason, event_id, recorded_at, records, healed, failed, removed, refused)
VALUES (%(topic)s, %(position)s, %(operation_id)s::uuid, %(kind)s, %(operator)s, %(reason)s, %(event_id)s::uuid, %(at)s,
    %(records)s, %(healed)s, %(failed)s, %(removed)s, %(refused)s)
