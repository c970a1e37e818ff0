-- Lists for the review of identity. Prepared once per connection; each is one statement, thus one snapshot.

-- review_shared: values that glue nobody, by id. $1 after, $2 page size + 1, $3 links counted at most + 1.
PREPARE review_shared (uuid, integer, integer) AS
SELECT
    (SELECT projection_version FROM projection_meta),
    i.identifier_id::text,
    i.kind,
    i.value,
    i.customer_id::text,
    (SELECT count(*) FROM (SELECT FROM link AS l WHERE l.other_id = i.identifier_id LIMIT $3) AS named)
FROM identifier AS i
WHERE i.shared AND i.identifier_id > $1
ORDER BY i.identifier_id
LIMIT $2

-- review_refused: links that limits and distant decisions skipped, by their ids. $1 and $2 after, $3 page size + 1.
PREPARE review_refused (uuid, uuid, integer) AS
SELECT
    (SELECT projection_version FROM projection_meta),
    a.identifier_id::text,
    a.kind,
    a.value,
    b.identifier_id::text,
    b.kind,
    b.value,
    l.refused,
    (extract(epoch FROM l.occurred_at) * 1000000)::bigint,
    l.event_id::text
FROM (
    SELECT * FROM link
    WHERE refused NOT IN ('shared', 'never_links', 'unlinked') AND (anchor_id, other_id) > ($1, $2)
    ORDER BY anchor_id, other_id
    LIMIT $3
) AS l
JOIN identifier AS a ON a.identifier_id = l.anchor_id
JOIN identifier AS b ON b.identifier_id = l.other_id
ORDER BY l.anchor_id, l.other_id

-- review_large: customers of many identifiers, by id. $1 after, $2 how many identifiers, $3 page size + 1, $4 identifiers
-- looked through. One row of nulls but for the first two columns: an empty page. The second column: the last customer that
-- was looked at whole; null where that was the last of all.
PREPARE review_large (uuid, integer, integer, integer) AS
WITH scanned AS MATERIALIZED (
    SELECT customer_id FROM identifier WHERE customer_id > $1 ORDER BY customer_id LIMIT $4
),
counted AS MATERIALIZED (
    SELECT customer_id, count(*) AS n FROM scanned GROUP BY customer_id
),
-- Of the last one, some identifiers may lie beyond what was looked through; but a page has to end somewhere.
whole AS MATERIALIZED (
    SELECT customer_id, n
    FROM counted
    WHERE (SELECT count(*) FROM scanned) < $4
        OR (SELECT count(*) FROM counted) = 1
        OR customer_id < (SELECT customer_id FROM counted ORDER BY customer_id DESC LIMIT 1)
)
SELECT
    (SELECT projection_version FROM projection_meta),
    CASE
        WHEN (SELECT count(*) FROM scanned) = $4
        THEN (SELECT customer_id::text FROM whole ORDER BY whole.customer_id DESC LIMIT 1)
    END,
    page.customer_id::text,
    page.n
FROM (SELECT) AS one
LEFT JOIN (SELECT * FROM whole WHERE n >= $2 ORDER BY customer_id LIMIT $3) AS page ON true
ORDER BY page.customer_id

-- review_changes: customers under another id, as workers announced them, newest first. $1 before, $2 page size + 1.
PREPARE review_changes (bigint, integer) AS
SELECT
    (SELECT projection_version FROM projection_meta),
    outbox_id,
    payload ->> 'customer_id',
    ARRAY(SELECT jsonb_array_elements_text(payload -> 'former_ids')),
    (extract(epoch FROM created_at) * 1000000)::bigint
FROM outbox
WHERE kind = 'customer.identity_changed' AND outbox_id < $1
ORDER BY outbox_id DESC
LIMIT $2
