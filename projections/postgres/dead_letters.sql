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
        regexp_replace(d.error, '[0-9]+', '#', 'g') AS error,
        count(*) AS records,
        count(*) FILTER (WHERE d.healed_at IS NULL AND c.state IS NULL) AS open,
        min(d.recorded_at) AS first_at,
        max(d.recorded_at) AS last_at
    FROM dead_letter AS d
    LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
    WHERE ($1 IS NULL OR d.reason = $1)
        AND ($2 IS NULL OR d.type = $2 OR rtrim(d.type, '0123456789') = $2 || '.v')
        AND d.recorded_at >= $3 AND d.recorded_at < $4
        AND (coalesce($9, '') = 'healed') = (d.healed_at IS NOT NULL)
        AND CASE coalesce($9, 'all') WHEN 'healed' THEN true WHEN 'all' THEN c.state IS DISTINCT FROM 'removed'
            ELSE coalesce(c.state, 'open') = $9 END
    GROUP BY d.reason, d.type, d.error
),
grouped AS (
    SELECT
        left(
            encode(sha256(convert_to(reason || E'\n' || coalesce(type, '') || E'\n' || error, 'UTF8')), 'hex'), 16
        ) AS fingerprint,
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
        AND regexp_replace(d.error, '[0-9]+', '#', 'g') = page.error
        AND (coalesce($9, '') = 'healed') = (d.healed_at IS NOT NULL)
        AND CASE coalesce($9, 'all') WHEN 'healed' THEN true WHEN 'all' THEN c.state IS DISTINCT FROM 'removed'
            ELSE coalesce(c.state, 'open') = $9 END
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
    coalesce(CASE WHEN d.healed_at IS NOT NULL THEN 'healed' END, c.state, 'open')
FROM dead_letter AS d
LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
WHERE ($1 IS NULL OR d.reason = $1)
    AND ($2 IS NULL OR d.type = $2 OR rtrim(d.type, '0123456789') = $2 || '.v')
    AND d.recorded_at >= $3 AND d.recorded_at < $4
    AND (coalesce($10, '') = 'healed') = (d.healed_at IS NOT NULL)
    AND CASE coalesce($10, 'all') WHEN 'healed' THEN true WHEN 'all' THEN c.state IS DISTINCT FROM 'removed'
        ELSE coalesce(c.state, 'open') = $10 END
    AND (
        $5 IS NULL OR $5 = left(
            encode(
                sha256(
                    convert_to(
                        d.reason || E'\n' || coalesce(d.type, '') || E'\n'
                        || regexp_replace(d.error, '[0-9]+', '#', 'g'),
                        'UTF8'
                    )
                ),
                'hex'
            ),
            16
        )
    )
    AND ($6 IS NULL OR (d.recorded_at, d.topic COLLATE "C", d.part, d.position) < (
        SELECT a.recorded_at, a.topic COLLATE "C", a.part, a.position
        FROM dead_letter AS a
        WHERE a.topic = $6 AND a.part = $7 AND a.position = $8
    ))
ORDER BY d.recorded_at DESC, d.topic COLLATE "C" DESC, d.part DESC, d.position DESC
LIMIT $9

-- dead_letter: one dead letter, whole.
PREPARE dead_letter (text, integer, bigint) AS
SELECT
    d.topic,
    d.part,
    d.position,
    (extract(epoch FROM d.recorded_at) * 1000000)::bigint,
    d.reason,
    d.type,
    d.error,
    coalesce(CASE WHEN d.healed_at IS NOT NULL THEN 'healed' END, c.state, 'open'),
    d.sha256,
    d.key,
    d.value,
    d.headers::text,
    c.operator,
    c.reason,
    c.event_id::text,
    (extract(epoch FROM coalesce(d.healed_at, c.decided_at)) * 1000000)::bigint
FROM dead_letter AS d
LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
WHERE d.topic = $1 AND d.part = $2 AND d.position = $3

-- stored_dead_letters: how many are open, of each reason, and what their table takes on disk; a row even with none.
PREPARE stored_dead_letters AS
SELECT found.reason, found.records, pg_total_relation_size('dead_letter')
FROM (SELECT) AS always
LEFT JOIN (
    SELECT d.reason, count(*) AS records
    FROM dead_letter AS d
    LEFT JOIN dead_letter_decision AS c USING (topic, part, position)
    WHERE d.healed_at IS NULL AND c.state IS NULL
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
SELECT event::text, (extract(epoch FROM recorded_at) * 1000000)::bigint FROM timeline WHERE event_id = $1

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
