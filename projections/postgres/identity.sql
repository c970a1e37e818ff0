-- Reads of identity: the facts that decide who is who, for one identifier. Prepared once per connection; each is one
-- statement, thus one snapshot.

-- identity_component: everything that decides who is who around an identifier.
-- $1 identifier_id, $2 most members + 1, $3 most links that lead out + 1. No row: nobody ever named it.
PREPARE identity_component (uuid, integer, integer) AS
WITH RECURSIVE reached (identifier_id) AS (
    SELECT identifier_id FROM identifier WHERE identifier_id = $1
    UNION
    SELECT step.identifier_id
    FROM reached
    CROSS JOIN LATERAL (
        -- What decisions and shared values refuse joins no component; what limits and distant decisions refuse does.
        SELECT l.other_id
        FROM link AS l
        WHERE l.anchor_id = reached.identifier_id AND l.event_id IS NOT NULL
            AND (l.refused IS NULL OR l.refused = 'separated' OR starts_with(l.refused, 'limit:'))
        UNION ALL
        SELECT l.anchor_id
        FROM link AS l
        WHERE l.other_id = reached.identifier_id AND l.event_id IS NOT NULL
            AND (l.refused IS NULL OR l.refused = 'separated' OR starts_with(l.refused, 'limit:'))
        UNION ALL
        SELECT CASE WHEN d.anchor_id = reached.identifier_id THEN d.other_id ELSE d.anchor_id END
        FROM (
            SELECT * FROM decision WHERE anchor_id = reached.identifier_id
            UNION ALL
            SELECT * FROM decision WHERE other_id = reached.identifier_id
        ) AS d
        WHERE d.verdict = 'linked' AND NOT EXISTS (
            SELECT FROM decision AS later
            WHERE later.anchor_id = d.anchor_id AND later.other_id = d.other_id
                AND (later.occurred_at, later.event_id) > (d.occurred_at, d.event_id)
        )
    ) AS step (identifier_id)
),
inside AS MATERIALIZED (
    SELECT identifier_id FROM reached LIMIT $2
),
near AS MATERIALIZED (
    SELECT
        l.anchor_id, l.other_id, l.occurred_at, l.event_id, l.recorded_at, l.refused,
        l.other_id IN (SELECT identifier_id FROM inside) AS within
    FROM inside
    JOIN link AS l ON l.anchor_id = inside.identifier_id
    WHERE l.event_id IS NOT NULL
    UNION ALL
    SELECT anchor_id, other_id, occurred_at, event_id, recorded_at, refused, false
    FROM (
        SELECT l.*, l.anchor_id IN (SELECT identifier_id FROM inside) AS counted
        FROM inside
        JOIN link AS l ON l.other_id = inside.identifier_id
        WHERE l.event_id IS NOT NULL
        OFFSET 0
    ) AS found
    WHERE NOT counted
),
kept AS MATERIALIZED (
    SELECT anchor_id, other_id, occurred_at, event_id, recorded_at FROM near WHERE within
    UNION ALL
    (
        SELECT anchor_id, other_id, occurred_at, event_id, recorded_at
        FROM near
        WHERE NOT within
        ORDER BY refused = 'shared', occurred_at, event_id, anchor_id, other_id
        LIMIT $3
    )
),
decided AS MATERIALIZED (
    SELECT d.* FROM inside JOIN decision AS d ON d.anchor_id = inside.identifier_id
    UNION
    SELECT d.* FROM inside JOIN decision AS d ON d.other_id = inside.identifier_id
),
named (identifier_id) AS MATERIALIZED (
    SELECT identifier_id FROM inside
    UNION
    SELECT unnest(ARRAY[anchor_id, other_id]) FROM kept
    UNION
    SELECT unnest(ARRAY[anchor_id, other_id]) FROM decided
),
evidence AS (
    SELECT anchor_id, other_id, occurred_at, event_id, recorded_at FROM kept
    UNION ALL
    SELECT e.anchor_id, e.other_id, e.occurred_at, e.event_id, e.recorded_at
    FROM kept
    JOIN link_evidence AS e ON e.anchor_id = kept.anchor_id AND e.other_id = kept.other_id
)
SELECT
    (SELECT projection_version FROM projection_meta),
    (SELECT count(*) FROM inside),
    (
        SELECT json_agg(
            json_build_array(
                i.identifier_id, i.kind, i.value, (extract(epoch FROM i.first_seen_at) * 1000000)::bigint,
                i.first_event_id, i.shared, i.identifier_id IN (SELECT identifier_id FROM inside)
            ) ORDER BY i.identifier_id
        )::text
        FROM named
        JOIN identifier AS i ON i.identifier_id = named.identifier_id
    ),
    (
        SELECT json_agg(
            json_build_array(
                e.anchor_id, e.other_id, (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.event_id,
                (extract(epoch FROM e.recorded_at) * 1000000)::bigint, t.event ->> 'source', t.type
            ) ORDER BY e.anchor_id, e.other_id, e.occurred_at, e.event_id
        )::text
        FROM evidence AS e
        JOIN timeline AS t ON t.event_id = e.event_id
    ),
    (
        SELECT json_agg(
            json_build_array(
                d.event_id, d.anchor_id, d.other_id, d.verdict, (extract(epoch FROM d.occurred_at) * 1000000)::bigint,
                (extract(epoch FROM d.recorded_at) * 1000000)::bigint, d.reason, d.operator
            ) ORDER BY d.event_id
        )::text
        FROM decided AS d
    )
WHERE EXISTS (SELECT FROM inside)

-- events_of: the listed events that stand at given identifiers, and at things that are theirs.
-- $1 the identifiers, $2 how many at most.
PREPARE events_of (uuid [], integer) AS
WITH RECURSIVE owned (thing_id, anchored, steps) AS (
    SELECT t.thing_id, t.anchored, 0
    FROM unnest($1) AS given (identifier_id)
    JOIN thing AS t ON t.owner_id = given.identifier_id
    UNION ALL
    SELECT t.thing_id, t.anchored, owned.steps + 1
    FROM owned
    JOIN thing AS t ON t.via_thing_id = owned.thing_id AND t.via_thing_id IS NOT NULL
    WHERE t.owner_id IS NULL AND owned.steps < 5
)
SELECT
    (SELECT projection_version FROM projection_meta),
    t.event::text,
    (extract(epoch FROM t.recorded_at) * 1000000)::bigint
-- Nothing of it is read, but every read begins there: see pool.py.
FROM identifier AS gate
RIGHT JOIN (
    SELECT unnest($1) AS anchor_id
    UNION ALL
    SELECT thing_id FROM owned WHERE anchored
) AS anchors ON false
JOIN timeline AS t ON t.anchor_id = anchors.anchor_id AND t.listed
LIMIT $2
