-- Statements of the task that exports dead letters and has them removed.

-- hold: whether this session is the one that does it, until it ends; the schema's name is the deployment's
SELECT pg_try_advisory_lock(hashtext('customer-timeline dead letters'), hashtext(%(schema)s))

-- is_live: the connection leads to the set that serves, and the tables are this version's
SELECT current_schema() = %(schema)s
    AND EXISTS (SELECT FROM projection_meta WHERE projection_version = %(version)s)

-- next_offset: until where the topic of operations is applied
SELECT next_offset FROM operation_offset WHERE topic = %(topic)s

-- is_applied: an operation was applied
SELECT EXISTS (SELECT FROM operation WHERE operation_id = %(operation_id)s::uuid)

-- oldest: dead letters recorded before an instant, the oldest first
SELECT topic, part, position FROM dead_letter WHERE recorded_at < %(until)s
ORDER BY recorded_at, topic COLLATE "C", part, position
LIMIT %(limit)s

-- stored: those of the places that are dead letters with these bytes
SELECT d.topic, d.part, d.position
FROM dead_letter AS d
JOIN unnest(%(topics)s::text[], %(parts)s::integer[], %(positions)s::bigint[], %(hashes)s::text[])
    AS t (topic, part, position, hash) USING (topic, part, position)
WHERE encode(d.sha256, 'hex') = t.hash
ORDER BY d.topic COLLATE "C", d.part, d.position
