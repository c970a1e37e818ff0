-- How far the projector has come, for reads that wait for it. Each is prepared once per connection.

-- progress: how far every partition of a topic is applied. No row: no worker has ever taken one over.
PREPARE progress (text) AS
SELECT
    (SELECT projection_version FROM projection_meta),
    part,
    topic_id::text,
    next_offset,
    (extract(epoch FROM passed_at) * 1000000)::bigint
FROM projector_offset
WHERE topic = $1
ORDER BY part

-- dead_positions: which of some positions are dead letters.
-- $1 topic, $2 partitions, $3 offsets.
PREPARE dead_positions (text, integer [], bigint []) AS
SELECT d.part, d.position, d.reason
FROM unnest($2, $3) AS asked (part, position)
JOIN dead_letter AS d ON d.topic = $1 AND d.part = asked.part AND d.position = asked.position AND d.healed_at IS NULL
ORDER BY d.part, d.position
