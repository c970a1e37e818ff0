-- Dead letters, in groups and one by one. Prepared once per connection and planned anew for each request, as lists are.
-- The fingerprint is that of projections/dead_letters.py.

-- dead_letter_groups: one page of groups, the one with the newest record first.
-- $1 reason, $2 type, $3 since, $4 until (exclusive), $5 fingerprint, $6 and $7 the key after which the page begins,
-- $8 page size + 1, $9 state (null: all but the healed). Equal errors are counted first: there are few of them, and only these are read closely.
PREPARE dead_letter_groups (text, text, timestamptz, timestamptz, text, timestamptz, text, integer, text) AS
WITH counted AS (
    SELECT
        d.reason,
        d.type,
        dead_letter_kind_of_error(d.error) AS error,
        count(*) AS records,
        count(*) FILTER (WHERE dead_letter_state(d.healed_at, c.state) = 'open') AS open,
        min(d.recorded_at) AS first_at,
        max(d.recorded_at) AS last_at
    FROM dead_letter AS d
    LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
    WHERE ($1 IS NULL OR d.reason = $1)
        AND ($2 IS NULL OR d.type = $2 OR rtrim(d.type, '0123456789') = $2 || '.v')
        AND d.recorded_at >= $3 AND d.recorded_at < $4
        AND CASE WHEN $9 IS NULL THEN dead_letter_state(d.healed_at, c.state) NOT IN ('healed', 'removed')
            ELSE dead_letter_state(d.healed_at, c.state) = $9 END
    GROUP BY d.reason, d.type, d.error
),
grouped AS (
    SELECT
        dead_letter_fingerprint(reason, type, error) AS fingerprint,
        reason,
        type,
        error,
        sum(records)::bigint AS records,
        sum(open)::bigint AS open,
        min(first_at) AS first_at,
        max(last_at) AS last_at
    FROM counted
    GROUP BY reason, type, error
),
page AS (
    SELECT * FROM grouped
    WHERE ($5 IS NULL OR fingerprint = $5)
        AND ($6 IS NULL OR (last_at, fingerprint COLLATE "C") < ($6, $7 COLLATE "C"))
    ORDER BY last_at DESC, fingerprint COLLATE "C" DESC
    LIMIT $8
)
SELECT
    page.fingerprint,
    page.reason,
    page.type,
    page.error,
    page.records,
    page.open,
    (extract(epoch FROM page.first_at) * 1000000)::bigint,
    (extract(epoch FROM page.last_at) * 1000000)::bigint,
    newest.topic,
    newest.part,
    newest.position
FROM page
CROSS JOIN LATERAL (
    SELECT d.topic, d.part, d.position
    FROM dead_letter AS d
    LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
    WHERE d.reason = page.reason AND d.recorded_at = page.last_at AND d.type IS NOT DISTINCT FROM page.type
        AND dead_letter_kind_of_error(d.error) = page.error
        AND CASE WHEN $9 IS NULL THEN dead_letter_state(d.healed_at, c.state) NOT IN ('healed', 'removed')
            ELSE dead_letter_state(d.healed_at, c.state) = $9 END
    ORDER BY d.topic COLLATE "C" DESC, d.part DESC, d.position DESC
    LIMIT 1
) AS newest
ORDER BY page.last_at DESC, page.fingerprint COLLATE "C" DESC

-- dead_letters: one page of single dead letters, newest first, without their content.
-- $1 to $5 as in dead_letter_groups, $6 to $8 the record after which the page begins, $9 page size + 1,
-- $10 state (null: all but the healed).
PREPARE dead_letters (text, text, timestamptz, timestamptz, text, text, integer, bigint, integer, text) AS
SELECT
    d.topic,
    d.part,
    d.position,
    (extract(epoch FROM d.recorded_at) * 1000000)::bigint,
    d.reason,
    d.type,
    d.error,
    dead_letter_state(d.healed_at, c.state)
FROM dead_letter AS d
LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
WHERE ($1 IS NULL OR d.reason = $1)
    AND ($2 IS NULL OR d.type = $2 OR rtrim(d.type, '0123456789') = $2 || '.v')
    AND d.recorded_at >= $3 AND d.recorded_at < $4
    AND CASE WHEN $10 IS NULL THEN dead_letter_state(d.healed_at, c.state) NOT IN ('healed', 'removed')
        ELSE dead_letter_state(d.healed_at, c.state) = $10 END
    AND ($5 IS NULL OR dead_letter_fingerprint(d.reason, d.type, dead_letter_kind_of_error(d.error)) = $5)
    AND ($6 IS NULL OR (d.recorded_at, d.topic COLLATE "C", d.part, d.position) < (
        SELECT a.recorded_at, a.topic COLLATE "C", a.part, a.position
        FROM dead_letter AS a
        WHERE a.topic = $6 AND a.part = $7 AND a.position = $8
    ))
ORDER BY d.recorded_at DESC, d.topic COLLATE "C" DESC, d.part DESC, d.position DESC
LIMIT $9

-- dead_letters_at: those of the records at these places that are dead letters, whole, in the order of the log.
-- $1 to $3 topics, partitions and offsets.
PREPARE dead_letters_at (text[], integer[], bigint[]) AS
SELECT
    d.topic,
    d.part,
    d.position,
    (extract(epoch FROM d.recorded_at) * 1000000)::bigint,
    d.reason,
    d.type,
    d.error,
    dead_letter_state(d.healed_at, c.state),
    d.sha256,
    d.key,
    d.value,
    d.headers::text,
    c.operator,
    c.reason,
    c.event_id::text,
    (extract(epoch FROM coalesce(d.healed_at, c.decided_at)) * 1000000)::bigint
FROM unnest($1, $2, $3) AS t (topic, part, position)
JOIN dead_letter AS d USING (topic, part, position)
LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
ORDER BY d.topic COLLATE "C", d.part, d.position

-- stored_dead_letters: how many are open, of each reason; what their table takes on disk, how many were removed, and when
-- the oldest that is there was recorded; a row even with none.
PREPARE stored_dead_letters AS
SELECT
    found.reason,
    found.records,
    pg_total_relation_size('dead_letter'),
    (SELECT coalesce(sum(o.removed), 0)::bigint FROM operation AS o),
    (SELECT (extract(epoch FROM min(d.recorded_at)) * 1000000)::bigint FROM dead_letter AS d)
FROM (SELECT) AS always
LEFT JOIN (
    SELECT d.reason, count(*) AS records
    FROM dead_letter AS d
    LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
    WHERE dead_letter_state(d.healed_at, c.state) = 'open'
    GROUP BY d.reason
) AS found ON true

-- stored_revision: the highest revision of an event, of the record that counts and of those that lost to it.
PREPARE stored_revision (uuid) AS
SELECT max(found.revision)
FROM (
    SELECT revision FROM timeline WHERE event_id = $1
    UNION ALL
    SELECT revision FROM superseded WHERE event_id = $1
) AS found

-- stored_event: the record of an event that counts
PREPARE stored_event (uuid) AS
SELECT event::text, (extract(epoch FROM recorded_at) * 1000000)::bigint, part, position FROM timeline WHERE event_id = $1

-- applied_operation: whether an operation is applied
PREPARE applied_operation (uuid) AS
SELECT EXISTS (SELECT FROM operation WHERE operation_id = $1)

-- owner_of: the customer whose a thing is, itself or through at most five others.
PREPARE owner_of (uuid) AS
WITH RECURSIVE way (owner_id, via_thing_id, steps) AS (
    SELECT owner_id, via_thing_id, 0 FROM thing WHERE thing_id = $1
    UNION ALL
    SELECT t.owner_id, t.via_thing_id, way.steps + 1
    FROM way
    JOIN thing AS t ON t.thing_id = way.via_thing_id
    WHERE way.owner_id IS NULL AND way.steps < 5
)
SELECT i.customer_id::text
FROM way
JOIN identifier AS i ON i.identifier_id = way.owner_id
