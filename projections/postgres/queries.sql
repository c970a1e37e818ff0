-- Reads of the views. Each is prepared once per connection and is one statement, thus one snapshot.

-- customer: the customer that holds an identifier, its identifiers first seen first, its facts.
PREPARE customer (uuid) AS
SELECT
    (SELECT projection_version FROM projection_meta),
    i.customer_id::text,
    c.facts::text,
    (
        SELECT json_agg(
            json_build_array(m.identifier_id, m.kind, m.value, (extract(epoch FROM m.first_seen_at) * 1000000)::bigint)
            ORDER BY m.first_seen_at ASC NULLS LAST, m.identifier_id
        )::text
        FROM identifier AS m
        WHERE m.customer_id = i.customer_id
    )
FROM identifier AS i
LEFT JOIN customer AS c ON c.customer_id = i.customer_id
WHERE i.identifier_id = $1

-- timeline: one page of the events of the customer that holds an identifier, newest first.
-- $1 identifier_id, $2 and $3 the key that the page ends before, $4 from, $5 type, $6 channel, $7 page size + 1.
-- No row: nobody ever named the identifier. One row of nulls: an empty page.
PREPARE timeline (uuid, timestamptz, uuid, timestamptz, text, text, integer) AS
WITH RECURSIVE members AS MATERIALIZED (
    SELECT m.identifier_id
    FROM identifier AS i
    JOIN identifier AS m ON m.customer_id = i.customer_id
    WHERE i.identifier_id = $1
),
-- A thing belongs to its owner, or with none to whom the thing that it came with belongs; at most five steps.
owned (thing_id, anchored, steps) AS (
    SELECT t.thing_id, t.anchored, 0
    FROM members
    JOIN thing AS t ON t.owner_id = members.identifier_id
    UNION ALL
    SELECT t.thing_id, t.anchored, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_thing_id IS NOT NULL
    WHERE t.owner_id IS NULL AND owned.steps < 5
),
anchors AS MATERIALIZED (
    SELECT identifier_id AS anchor_id FROM members
    UNION ALL
    SELECT thing_id FROM owned WHERE anchored
),
-- With at least a page of anchors, the page lies at or above the nth newest of their newest events: without this bound a
-- customer of 1,000 orders would read a page from each.
bound AS MATERIALIZED (
    SELECT newest.occurred_at, newest.event_id
    FROM anchors
    CROSS JOIN LATERAL (
        SELECT t.occurred_at, t.event_id
        FROM timeline AS t
        WHERE t.anchor_id = anchors.anchor_id AND t.listed
            AND (t.occurred_at, t.event_id) < ($2, $3) AND t.occurred_at >= $4
            AND ($5 IS NULL OR t.type = $5 OR rtrim(t.type, '0123456789') = $5 || '.v')
            AND ($6 IS NULL OR t.channel = $6)
        ORDER BY t.occurred_at DESC, t.event_id DESC
        LIMIT 1
    ) AS newest
    WHERE (SELECT count(*) FROM anchors) >= $7
    ORDER BY newest.occurred_at DESC, newest.event_id DESC
    OFFSET $7 - 1
    LIMIT 1
),
page AS MATERIALIZED (
    SELECT found.occurred_at, found.event_id
    FROM anchors
    CROSS JOIN LATERAL (
        SELECT t.occurred_at, t.event_id
        FROM timeline AS t
        WHERE t.anchor_id = anchors.anchor_id AND t.listed
            AND (t.occurred_at, t.event_id) < ($2, $3) AND t.occurred_at >= $4
            AND (t.occurred_at, t.event_id) >= (
                coalesce((SELECT bound.occurred_at FROM bound), '-infinity'),
                coalesce((SELECT bound.event_id FROM bound), '00000000-0000-0000-0000-000000000000')
            )
            AND ($5 IS NULL OR t.type = $5 OR rtrim(t.type, '0123456789') = $5 || '.v')
            AND ($6 IS NULL OR t.channel = $6)
        ORDER BY t.occurred_at DESC, t.event_id DESC
        LIMIT $7
    ) AS found
    ORDER BY found.occurred_at DESC, found.event_id DESC
    LIMIT $7
)
SELECT
    (SELECT projection_version FROM projection_meta),
    t.event_id::text,
    (extract(epoch FROM t.occurred_at) * 1000000)::bigint,
    (extract(epoch FROM t.recorded_at) * 1000000)::bigint,
    t.part,
    t.position,
    t.data_quality::text,
    t.event::text
FROM (SELECT FROM identifier WHERE identifier_id = $1) AS known
LEFT JOIN (page JOIN timeline AS t ON t.event_id = page.event_id) ON true
ORDER BY page.occurred_at DESC, page.event_id DESC

-- events_at: the listed events of the customer that holds an identifier at some instants.
-- $1 identifier_id, $2 the instants. No row: nobody ever named the identifier. One row of nulls: no event.
PREPARE events_at (uuid, timestamptz []) AS
WITH RECURSIVE members AS MATERIALIZED (
    SELECT m.identifier_id
    FROM identifier AS i
    JOIN identifier AS m ON m.customer_id = i.customer_id
    WHERE i.identifier_id = $1
),
-- As in timeline.
owned (thing_id, anchored, steps) AS (
    SELECT t.thing_id, t.anchored, 0
    FROM members
    JOIN thing AS t ON t.owner_id = members.identifier_id
    UNION ALL
    SELECT t.thing_id, t.anchored, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_thing_id IS NOT NULL
    WHERE t.owner_id IS NULL AND owned.steps < 5
),
anchors AS MATERIALIZED (
    SELECT identifier_id AS anchor_id FROM members
    UNION ALL
    SELECT thing_id FROM owned WHERE anchored
)
SELECT
    (SELECT projection_version FROM projection_meta),
    (extract(epoch FROM t.occurred_at) * 1000000)::bigint,
    t.event_id::text,
    t.type,
    t.sign_of_life
FROM (SELECT FROM identifier WHERE identifier_id = $1) AS known
LEFT JOIN (
    anchors
    JOIN timeline AS t ON t.anchor_id = anchors.anchor_id AND t.occurred_at = ANY ($2) AND t.listed
) ON true
ORDER BY t.occurred_at, t.event_id

-- history: partial states and single events that together are the history of the customer that holds an identifier.
-- $1 identifier_id, $2 as of (included), $3 known at (included); null: no cut.
-- No row: nobody ever named the identifier. One row of nulls but for the first two columns: no event.
PREPARE history (uuid, timestamptz, timestamptz) AS
WITH RECURSIVE members AS MATERIALIZED (
    SELECT m.identifier_id
    FROM identifier AS i
    JOIN identifier AS m ON m.customer_id = i.customer_id
    WHERE i.identifier_id = $1
),
-- As in timeline.
owned (thing_id, anchored, steps) AS (
    SELECT t.thing_id, t.anchored, 0
    FROM members
    JOIN thing AS t ON t.owner_id = members.identifier_id
    UNION ALL
    SELECT t.thing_id, t.anchored, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_thing_id IS NOT NULL
    WHERE t.owner_id IS NULL AND owned.steps < 5
),
anchors AS MATERIALIZED (
    SELECT identifier_id AS anchor_id FROM members
    UNION ALL
    SELECT thing_id FROM owned WHERE anchored
)
SELECT
    (SELECT projection_version FROM projection_meta),
    i.customer_id::text,
    p.facts,
    p.event,
    (extract(epoch FROM p.recorded_at) * 1000000)::bigint
FROM identifier AS i
LEFT JOIN history_parts(ARRAY(SELECT anchor_id FROM anchors), $2, $3) AS p ON true
WHERE i.identifier_id = $1

-- health: which fold wrote the views; a row even where none has yet.
PREPARE health AS
SELECT (SELECT projection_version FROM projection_meta)
