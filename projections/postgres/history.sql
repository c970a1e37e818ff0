-- Reads at a cut in two times. Each is prepared once per connection; those of one answer run in one transaction, thus
-- on one snapshot. Everywhere "as of" is the last instant that happened and "known" the last that was recorded;
-- infinity = no cut.

-- passed: which fold wrote the views, and until when everything that was recorded is applied (null: nobody knows yet).
PREPARE passed AS
SELECT
    (SELECT projection_version FROM projection_meta),
    (SELECT (extract(epoch FROM min(passed_at)) * 1000000)::bigint FROM projector_offset HAVING bool_and(passed_at IS NOT NULL))

-- identifiers: what stands today of some identifiers.
PREPARE identifiers (uuid []) AS
SELECT
    identifier_id::text, kind, value, shared, customer_id::text,
    (extract(epoch FROM first_seen_at) * 1000000)::bigint, first_event_id::text
FROM identifier
WHERE identifier_id = ANY ($1)

-- members: the identifiers of the customer that holds one today.
PREPARE members (uuid) AS
SELECT
    m.identifier_id::text, m.kind, m.value, m.shared, m.customer_id::text,
    (extract(epoch FROM m.first_seen_at) * 1000000)::bigint, m.first_event_id::text
FROM identifier AS i
JOIN identifier AS m ON m.customer_id = i.customer_id
WHERE i.identifier_id = $1

-- links_at: pairs with an end among identifiers, each with its least evidence at the cut ($2 as of, $3 known).
PREPARE links_at (uuid [], timestamptz, timestamptz) AS
SELECT
    l.anchor_id::text, l.other_id::text, (extract(epoch FROM least_one.occurred_at) * 1000000)::bigint,
    least_one.event_id::text, (extract(epoch FROM least_one.recorded_at) * 1000000)::bigint
FROM (
    SELECT anchor_id, other_id, occurred_at, event_id, recorded_at FROM link WHERE anchor_id = ANY ($1)
    UNION ALL
    SELECT anchor_id, other_id, occurred_at, event_id, recorded_at FROM link
    WHERE other_id = ANY ($1) AND NOT anchor_id = ANY ($1)
) AS l
CROSS JOIN LATERAL (
    SELECT one.occurred_at, one.event_id, one.recorded_at
    FROM (
        SELECT l.occurred_at, l.event_id, l.recorded_at
        UNION ALL
        SELECT e.occurred_at, e.event_id, e.recorded_at
        FROM link_evidence AS e
        WHERE e.anchor_id = l.anchor_id AND e.other_id = l.other_id
    ) AS one
    WHERE one.occurred_at <= $2 AND one.recorded_at <= $3
    ORDER BY one.occurred_at, one.event_id
    LIMIT 1
) AS least_one

-- evidence_at: of pairs with an end among identifiers, the events that none beats on both times, with what they are.
PREPARE evidence_at (uuid [], timestamptz, timestamptz) AS
SELECT
    e.anchor_id::text, e.other_id::text, (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.event_id::text,
    (extract(epoch FROM e.recorded_at) * 1000000)::bigint, t.event ->> 'source', t.type
FROM (
    SELECT anchor_id, other_id, occurred_at, event_id, recorded_at
    FROM link
    WHERE anchor_id = ANY ($1) OR other_id = ANY ($1)
    UNION ALL
    SELECT e.anchor_id, e.other_id, e.occurred_at, e.event_id, e.recorded_at
    FROM link AS l
    JOIN link_evidence AS e ON e.anchor_id = l.anchor_id AND e.other_id = l.other_id
    WHERE l.anchor_id = ANY ($1) OR l.other_id = ANY ($1)
) AS e
JOIN timeline AS t ON t.event_id = e.event_id
WHERE e.occurred_at <= $2 AND e.recorded_at <= $3

-- partners_at: with which identifiers of each kind some were seen as the weaker one, at most $4 of a kind.
PREPARE partners_at (uuid [], timestamptz, timestamptz, integer) AS
SELECT l.other_id::text, i.kind, (array_agg(l.anchor_id::text))[1:$4]
FROM link AS l
JOIN identifier AS i ON i.identifier_id = l.anchor_id
WHERE l.other_id = ANY ($1)
    AND (
        (l.occurred_at <= $2 AND l.recorded_at <= $3)
        OR EXISTS (
            SELECT FROM link_evidence AS e
            WHERE e.anchor_id = l.anchor_id AND e.other_id = l.other_id AND e.occurred_at <= $2 AND e.recorded_at <= $3
        )
    )
GROUP BY l.other_id, i.kind

-- decisions_at: what operators had decided about some identifiers.
PREPARE decisions_at (uuid [], timestamptz, timestamptz) AS
SELECT
    event_id::text, anchor_id::text, other_id::text, verdict, (extract(epoch FROM occurred_at) * 1000000)::bigint,
    (extract(epoch FROM recorded_at) * 1000000)::bigint, reason, operator
FROM decision
WHERE (anchor_id = ANY ($1) OR other_id = ANY ($1)) AND occurred_at <= $2 AND recorded_at <= $3

-- sightings_at: the earliest events that name identifiers as the strongest or beside a stronger one, one row a way.
PREPARE sightings_at (uuid [], timestamptz, timestamptz) AS
SELECT i.id::text, (extract(epoch FROM found.occurred_at) * 1000000)::bigint, found.event_id::text
FROM unnest($1) AS i (id)
CROSS JOIN LATERAL (
    (
        SELECT t.occurred_at, t.event_id FROM timeline AS t
        WHERE t.anchor_id = i.id AND t.listed AND t.occurred_at <= $2 AND t.recorded_at <= $3
        ORDER BY t.occurred_at, t.event_id
        LIMIT 1
    )
    UNION ALL
    (
        SELECT t.occurred_at, t.event_id FROM timeline AS t
        WHERE t.strongest_id = i.id AND t.strongest_id IS DISTINCT FROM t.anchor_id AND t.listed
            AND t.occurred_at <= $2 AND t.recorded_at <= $3
        ORDER BY t.occurred_at, t.event_id
        LIMIT 1
    )
    UNION ALL
    (
        SELECT one.occurred_at, one.event_id
        FROM (
            SELECT l.occurred_at, l.event_id, l.recorded_at FROM link AS l WHERE l.other_id = i.id
            UNION ALL
            SELECT e.occurred_at, e.event_id, e.recorded_at
            FROM link AS l
            JOIN link_evidence AS e ON e.anchor_id = l.anchor_id AND e.other_id = l.other_id
            WHERE l.other_id = i.id
        ) AS one
        WHERE one.occurred_at <= $2 AND one.recorded_at <= $3
        ORDER BY one.occurred_at, one.event_id
        LIMIT 1
    )
) AS found

-- restored_at: of events whose record of today was recorded after $3, the record that counted then; those of which any
-- superseded record names one of some identifiers ($1) or things ($2).
PREPARE restored_at (uuid [], uuid [], timestamptz) AS
SELECT DISTINCT ON (s.event_id) s.event::text, s.recorded_at
FROM superseded AS s
JOIN timeline AS t ON t.event_id = s.event_id
WHERE s.event_id IN (SELECT event_id FROM superseded WHERE names && $1 UNION SELECT event_id FROM superseded WHERE thing_ids && $2)
    AND s.recorded_at <= $3 AND t.recorded_at > $3
ORDER BY s.event_id, s.revision DESC, s.occurred_at, s.content_hash

-- superseded_at: records that had lost by $3, of events that happened until $2, and name one of some identifiers: they
-- still count for sharing.
PREPARE superseded_at (uuid [], timestamptz, timestamptz) AS
SELECT s.event::text, s.recorded_at
FROM superseded AS s
JOIN timeline AS t ON t.event_id = s.event_id
WHERE s.names && $1 AND s.recorded_at <= $3
    AND $2 >= CASE
        WHEN t.recorded_at <= $3 THEN t.occurred_at
        ELSE (
            SELECT w.occurred_at FROM superseded AS w
            WHERE w.event_id = s.event_id AND w.recorded_at <= $3
            ORDER BY w.revision DESC, w.occurred_at, w.content_hash
            LIMIT 1
        )
    END

-- things_as_of: what belonged to some identifiers at an instant, by all that is known today.
PREPARE things_as_of (uuid [], timestamptz) AS
WITH RECURSIVE owned (thing_id, steps) AS (
    SELECT t.thing_id, 0 FROM thing AS t WHERE t.owner_id = ANY ($1) AND t.owner_at <= $2
    UNION ALL
    SELECT t.thing_id, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_at <= $2
    WHERE (t.owner_id IS NULL OR t.owner_at > $2) AND owned.steps < 5
)
SELECT thing_id::text FROM owned

-- things_now: what belongs to some identifiers and has events of its own ($2: or had, as superseded records tell).
PREPARE things_now (uuid [], boolean) AS
WITH RECURSIVE owned (thing_id, anchored, steps) AS (
    SELECT t.thing_id, t.anchored, 0 FROM thing AS t WHERE t.owner_id = ANY ($1)
    UNION ALL
    SELECT t.thing_id, t.anchored, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_thing_id IS NOT NULL
    WHERE t.owner_id IS NULL AND owned.steps < 5
)
SELECT thing_id::text FROM owned WHERE anchored OR $2

-- things_named_at: what the events of some identifiers named.
PREPARE things_named_at (uuid [], timestamptz, timestamptz) AS
SELECT DISTINCT named.thing_id::text
FROM (
    SELECT unnest(t.thing_ids) AS thing_id FROM timeline AS t
    WHERE t.anchor_id = ANY ($1) AND t.thing_ids IS NOT NULL AND t.occurred_at <= $2 AND t.recorded_at <= $3
    UNION ALL
    SELECT unnest(t.thing_ids) FROM timeline AS t
    WHERE t.strongest_id = ANY ($1) AND t.strongest_id IS DISTINCT FROM t.anchor_id AND t.thing_ids IS NOT NULL
        AND t.occurred_at <= $2 AND t.recorded_at <= $3
) AS named

-- naming_things_at: the events that name some things.
PREPARE naming_things_at (uuid [], timestamptz, timestamptz) AS
SELECT t.event::text, t.recorded_at FROM timeline AS t
WHERE t.thing_ids IS NOT NULL AND t.thing_ids[1] = ANY ($1) AND t.listed AND t.occurred_at <= $2 AND t.recorded_at <= $3
UNION ALL
SELECT t.event::text, t.recorded_at FROM timeline AS t
WHERE cardinality(t.thing_ids) > 1 AND t.thing_ids && $1 AND NOT t.thing_ids[1] = ANY ($1) AND t.listed
    AND t.occurred_at <= $2 AND t.recorded_at <= $3

-- events_of: the events that stand at some anchors, whole.
PREPARE events_of (uuid [], timestamptz, timestamptz) AS
SELECT t.event::text, t.recorded_at FROM timeline AS t
WHERE t.anchor_id = ANY ($1) AND t.listed AND t.occurred_at <= $2 AND t.recorded_at <= $3

-- parts_of: the same, as far as partial states do not say it.
PREPARE parts_of (uuid [], timestamptz, timestamptz) AS
SELECT p.facts, p.event, p.recorded_at FROM history_parts($1, $2, $3) AS p

-- page_of: one page of the events that stand at some anchors, newest first.
-- $1 anchors, $2 and $3 the key that the page ends before, $4 from, $5 type, $6 channel, $7 page size + 1, $8 known.
PREPARE page_of (uuid [], timestamptz, uuid, timestamptz, text, text, integer, timestamptz) AS
SELECT
    t.event_id::text, (extract(epoch FROM t.occurred_at) * 1000000)::bigint,
    (extract(epoch FROM t.recorded_at) * 1000000)::bigint, t.part, t.position, t.data_quality::text, t.event::text
FROM (
    SELECT found.occurred_at, found.event_id
    FROM unnest($1) AS anchors (anchor_id)
    CROSS JOIN LATERAL (
        SELECT t.occurred_at, t.event_id
        FROM timeline AS t
        WHERE t.anchor_id = anchors.anchor_id AND t.listed
            AND (t.occurred_at, t.event_id) < ($2, $3) AND t.occurred_at >= $4 AND t.recorded_at <= $8
            AND ($5 IS NULL OR t.type = $5 OR rtrim(t.type, '0123456789') = $5 || '.v')
            AND ($6 IS NULL OR t.channel = $6)
        ORDER BY t.occurred_at DESC, t.event_id DESC
        LIMIT $7
    ) AS found
    ORDER BY found.occurred_at DESC, found.event_id DESC
    LIMIT $7
) AS page
JOIN timeline AS t ON t.event_id = page.event_id
ORDER BY page.occurred_at DESC, page.event_id DESC

-- events_at_of: the events that stand at some anchors at some instants.
PREPARE events_at_of (uuid [], timestamptz [], timestamptz) AS
SELECT (extract(epoch FROM t.occurred_at) * 1000000)::bigint, t.event_id::text, t.type, t.sign_of_life
FROM timeline AS t
WHERE t.anchor_id = ANY ($1) AND t.occurred_at = ANY ($2) AND t.listed AND t.recorded_at <= $3

-- changed_since: customers of today whose events at the cut are not those of today: something of theirs happened after $1
-- or was recorded after $2, or a record that counted by then stood elsewhere. At most $3.
PREPARE changed_since (timestamptz, timestamptz, integer) AS
WITH RECURSIVE later AS MATERIALIZED (
    SELECT event_id, anchor_id FROM timeline WHERE recorded_at > $2 AND $2 < 'infinity'
),
stood AS MATERIALIZED (
    SELECT anchor_id AS id FROM later WHERE anchor_id IS NOT NULL
    UNION
    SELECT unnest(s.names || s.thing_ids) FROM later JOIN superseded AS s ON s.event_id = later.event_id
),
owning (owner_id, via_thing_id, steps) AS (
    SELECT t.owner_id, t.via_thing_id, 0 FROM stood JOIN thing AS t ON t.thing_id = stood.id
    UNION ALL
    SELECT t.owner_id, t.via_thing_id, owning.steps + 1
    FROM owning
    JOIN thing AS t ON t.thing_id = owning.via_thing_id
    WHERE owning.owner_id IS NULL AND owning.steps < 5
)
SELECT customer_id::text
FROM (
    SELECT customer_id FROM customer WHERE last_event_at > $1
    UNION
    SELECT i.customer_id FROM stood JOIN identifier AS i ON i.identifier_id = stood.id
    UNION
    SELECT i.customer_id FROM owning JOIN identifier AS i ON i.identifier_id = owning.owner_id
) AS changed
LIMIT $3

-- everybody: all identifiers, at most $1.
PREPARE everybody (integer) AS
SELECT identifier_id::text FROM identifier LIMIT $1

-- changed_within: customers of today of whom something that happened before $3 was recorded from $1 (included) until $2.
PREPARE changed_within (timestamptz, timestamptz, timestamptz, integer) AS
WITH RECURSIVE recorded AS MATERIALIZED (
    SELECT t.event_id, t.anchor_id, t.occurred_at FROM timeline AS t WHERE t.recorded_at >= $1 AND t.recorded_at < $2
),
stood AS MATERIALIZED (
    SELECT anchor_id AS id FROM recorded WHERE anchor_id IS NOT NULL AND occurred_at < $3
    UNION
    SELECT unnest(s.names || s.thing_ids)
    FROM recorded JOIN superseded AS s ON s.event_id = recorded.event_id
    WHERE s.occurred_at < $3
),
owning (owner_id, via_thing_id, steps) AS (
    SELECT t.owner_id, t.via_thing_id, 0 FROM stood JOIN thing AS t ON t.thing_id = stood.id
    UNION ALL
    SELECT t.owner_id, t.via_thing_id, owning.steps + 1
    FROM owning
    JOIN thing AS t ON t.thing_id = owning.via_thing_id
    WHERE owning.owner_id IS NULL AND owning.steps < 5
)
SELECT customer_id::text
FROM (
    SELECT i.customer_id FROM stood JOIN identifier AS i ON i.identifier_id = stood.id
    UNION
    SELECT i.customer_id FROM owning JOIN identifier AS i ON i.identifier_id = owning.owner_id
) AS changed
LIMIT $4
