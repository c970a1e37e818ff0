-- Lists of customers. Prepared once per connection and planned anew for each request: which index serves depends on what
-- is asked for, and conditions on a filter that was not given vanish from the plan.

-- customers: one page of the customers that had a stage at an instant, and how many there were of each stage.
-- $1 the instant, $2 version of the rules, $3 stage, $4 flag, $5 order, $6 and $7 the key that the page begins after,
-- $8 page size + 1, $9 customers to leave out (null: nobody). One row of nulls but for the first three columns: an empty
-- page.
PREPARE customers (bigint, text, text, text, text, bigint, uuid, integer, uuid []) AS
WITH unassessed AS MATERIALIZED (
    SELECT count(*) AS n
    FROM (
        SELECT FROM customer WHERE rules < $2 AND events > 0
        UNION ALL
        SELECT FROM customer WHERE rules > $2 AND events > 0
        LIMIT 10001
    ) AS found
),
-- The columns of a row are right while its entry lasts. Of the others, those whose entry had ended are due to the
-- sweeper; those whose entry began after the instant are found by when it did. Both are read from their schedule.
outdated AS MATERIALIZED (
    SELECT
        c.customer_id,
        c.stage AS stored_stage,
        c.flags AS stored_flags,
        c.schedule -> (begun.n - 1) ->> 1 AS stage,
        ARRAY(SELECT json_array_elements_text(c.schedule -> (begun.n - 1) -> 2)) AS flags,
        (c.schedule -> (begun.n - 1) ->> 0)::bigint AS stage_from_us,
        (c.schedule -> begun.n ->> 0)::bigint AS stage_until_us,
        c.events,
        c.purchases,
        c.first_event_at,
        c.last_event_at,
        c.last_sign_of_life_at
    FROM (
        SELECT * FROM customer
        WHERE sweep_us <= $1
            AND (stage_from_us <= $1 AND (stage_until_us IS NULL OR $1 < stage_until_us)) IS NOT TRUE
        UNION ALL
        SELECT * FROM customer WHERE stage_from_us > $1 AND (sweep_us IS NULL OR sweep_us > $1)
    ) AS c
    CROSS JOIN LATERAL (
        -- None began: null, for a negative index would count from the end.
        SELECT nullif(count(*), 0)::integer AS n
        FROM json_array_elements(c.schedule) AS entry
        WHERE (entry ->> 0)::bigint <= $1
    ) AS begun
    WHERE $9 IS NULL OR NOT c.customer_id = ANY ($9)
),
-- All rows by what their columns say, which an index alone can tell, put right for those that are outdated.
counted AS MATERIALIZED (
    SELECT parts.stage, sum(parts.n)::bigint AS n
    FROM (
        SELECT stage, count(*) AS n
        FROM customer
        WHERE stage IS NOT NULL AND ($4 IS NULL OR flags @> ARRAY[$4]) AND ($9 IS NULL OR NOT customer_id = ANY ($9))
        GROUP BY stage
        UNION ALL
        SELECT stored_stage, -count(*)
        FROM outdated
        WHERE stored_stage IS NOT NULL AND ($4 IS NULL OR stored_flags @> ARRAY[$4])
        GROUP BY stored_stage
        UNION ALL
        SELECT stage, count(*)
        FROM outdated
        WHERE stage IS NOT NULL AND ($4 IS NULL OR flags @> ARRAY[$4])
        GROUP BY stage
    ) AS parts
    GROUP BY parts.stage
),
page AS MATERIALIZED (
    SELECT * FROM (
        (
            SELECT
                key.up, key.down, c.customer_id, c.stage, c.flags, c.stage_from_us, c.stage_until_us, c.events,
                c.purchases, c.first_event_at, c.last_event_at, c.last_sign_of_life_at
            FROM customer AS c
            CROSS JOIN LATERAL (
                SELECT
                    CASE $5
                        WHEN 'since' THEN c.stage_from_us
                        WHEN 'last_event' THEN (extract(epoch FROM c.last_event_at) * 1000000)::bigint
                        ELSE 0
                    END AS up,
                    CASE $5
                        WHEN '-since' THEN c.stage_from_us
                        WHEN '-last_event' THEN (extract(epoch FROM c.last_event_at) * 1000000)::bigint
                        ELSE 0
                    END AS down
            ) AS key
            WHERE c.stage_from_us <= $1 AND (c.stage_until_us IS NULL OR $1 < c.stage_until_us)
                AND ($3 IS NULL OR c.stage = $3) AND ($4 IS NULL OR c.flags @> ARRAY[$4])
                AND ($9 IS NULL OR NOT c.customer_id = ANY ($9))
                AND (
                    $7 IS NULL
                    OR CASE
                        WHEN starts_with($5, '-') THEN key.down <= $6 AND (key.down < $6 OR c.customer_id > $7)
                        ELSE key.up >= $6 AND (key.up > $6 OR c.customer_id > $7)
                    END
                )
            ORDER BY key.up, key.down DESC, c.customer_id
            LIMIT $8
        )
        UNION ALL
        SELECT
            key.up, key.down, o.customer_id, o.stage, o.flags, o.stage_from_us, o.stage_until_us, o.events,
            o.purchases, o.first_event_at, o.last_event_at, o.last_sign_of_life_at
        FROM outdated AS o
        CROSS JOIN LATERAL (
            SELECT
                CASE $5
                    WHEN 'since' THEN o.stage_from_us
                    WHEN 'last_event' THEN (extract(epoch FROM o.last_event_at) * 1000000)::bigint
                    ELSE 0
                END AS up,
                CASE $5
                    WHEN '-since' THEN o.stage_from_us
                    WHEN '-last_event' THEN (extract(epoch FROM o.last_event_at) * 1000000)::bigint
                    ELSE 0
                END AS down
        ) AS key
        WHERE o.stage IS NOT NULL
            AND ($3 IS NULL OR o.stage = $3) AND ($4 IS NULL OR o.flags @> ARRAY[$4])
            AND (
                $7 IS NULL
                OR CASE
                    WHEN starts_with($5, '-') THEN key.down <= $6 AND (key.down < $6 OR o.customer_id > $7)
                    ELSE key.up >= $6 AND (key.up > $6 OR o.customer_id > $7)
                END
            )
    ) AS found
    ORDER BY up, down DESC, customer_id
    LIMIT $8
)
SELECT
    (SELECT projection_version FROM projection_meta),
    (SELECT n FROM unassessed),
    (SELECT json_object_agg(stage, n)::text FROM counted),
    page.customer_id::text,
    page.stage,
    page.flags,
    page.stage_from_us,
    page.stage_until_us,
    page.events,
    page.purchases,
    (extract(epoch FROM page.first_event_at) * 1000000)::bigint,
    (extract(epoch FROM page.last_event_at) * 1000000)::bigint,
    (extract(epoch FROM page.last_sign_of_life_at) * 1000000)::bigint
FROM (SELECT) AS one
LEFT JOIN page ON true
ORDER BY page.up, page.down DESC, page.customer_id
