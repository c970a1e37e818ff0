-- Statements of a set that is being filled: facts wait by anchor until all events are in.

-- make_tables: what waits, as text that is only read back. A crash of the server empties both; then the timeline is folded
CREATE UNLOGGED TABLE fill_facts (anchor_id uuid NOT NULL, facts text);
COMMENT ON TABLE fill_facts IS 'While a set is filled: facts of events by anchor, several rows an anchor; null: fold its timeline.';
CREATE UNLOGGED TABLE fill_cover (
    topic text NOT NULL, part integer NOT NULL, since bigint NOT NULL, until bigint NOT NULL
);
COMMENT ON TABLE fill_cover IS 'Positions whose events are in fill_facts: since inclusive, until exclusive.'

-- has_tables: whether facts wait in this set
SELECT to_regclass('fill_facts') IS NOT NULL

-- copy_facts: facts of anchors in
COPY fill_facts (anchor_id, facts) FROM STDIN

-- cover: the positions that they are of
INSERT INTO fill_cover (topic, part, since, until)
SELECT * FROM unnest(%(topics)s::text[], %(parts)s::integer[], %(since)s::bigint[], %(until)s::bigint[])

-- write_unfinished: customers without their facts; gen and contested are what identity needs of them
INSERT INTO customer (customer_id, gen, contested, events, signs_of_life, purchases, facts)
SELECT customer_id, gen, contested, 0, 0, 0, '{}'
FROM unnest(%(ids)s::uuid[], %(gens)s::bigint[], %(contested)s::boolean[]) AS t (customer_id, gen, contested)
ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET gen = excluded.gen, contested = excluded.contested

-- uncovered: partitions of which positions were applied whose events are not in fill_facts
SELECT o.part FROM projector_offset AS o
LEFT JOIN (
    SELECT topic, part, min(since) AS since, max(until) AS until, bool_and(since = before OR before IS NULL) AS whole
    FROM (SELECT *, lag(until) OVER (PARTITION BY topic, part ORDER BY since, until) AS before FROM fill_cover) AS one
    GROUP BY topic, part
) AS c ON c.topic = o.topic AND c.part = o.part
WHERE o.next_offset > 0 AND (c.whole AND c.since = 0 AND c.until = o.next_offset) IS NOT TRUE

-- spoil_all: nothing that waits counts; every history is folded from the timeline
TRUNCATE fill_facts;
INSERT INTO fill_facts (anchor_id, facts) SELECT anchor_id, NULL FROM fill_anchor

-- make_anchors: whose the events at each anchor are, now that all are in
DROP TABLE IF EXISTS fill_anchor;
CREATE UNLOGGED TABLE fill_anchor AS
WITH RECURSIVE owned (thing_id, owner_id) AS (
    SELECT thing_id, owner_id FROM thing WHERE owner_id IS NOT NULL
    UNION
    SELECT t.thing_id, o.owner_id FROM thing AS t JOIN owned AS o ON t.via_thing_id = o.thing_id WHERE t.owner_id IS NULL
)
SELECT identifier_id AS anchor_id, customer_id FROM identifier
UNION ALL
SELECT o.thing_id, i.customer_id FROM owned AS o JOIN identifier AS i ON i.identifier_id = o.owner_id;
COMMENT ON TABLE fill_anchor IS 'While a set is filled: whose the events at each anchor are.'

-- analyze: how much waits, for the planner
ANALYZE fill_facts;
ANALYZE fill_anchor;
ANALYZE customer

-- waiting: a share of the customers, each with all that its facts are made of, in id order
WITH spoilt AS MATERIALIZED (SELECT DISTINCT anchor_id FROM fill_facts WHERE facts IS NULL)
SELECT c.customer_id::text, c.gen, c.contested, w.facts, w.event, w.recorded_at
FROM customer AS c
LEFT JOIN (
    SELECT a.customer_id, f.facts::text AS facts, NULL AS event, NULL::timestamptz AS recorded_at
    FROM fill_anchor AS a JOIN fill_facts AS f USING (anchor_id)
    WHERE f.facts IS NOT NULL AND NOT EXISTS (SELECT FROM spoilt WHERE spoilt.anchor_id = f.anchor_id)
        AND a.customer_id BETWEEN %(first)s AND %(last)s
    UNION ALL
    SELECT a.customer_id, NULL, t.event::text, t.recorded_at
    FROM spoilt JOIN fill_anchor AS a USING (anchor_id) JOIN timeline AS t USING (anchor_id)
    WHERE t.listed AND a.customer_id BETWEEN %(first)s AND %(last)s
) AS w USING (customer_id)
WHERE c.customer_id BETWEEN %(first)s AND %(last)s
ORDER BY c.customer_id

-- shut: nobody begins to put customers together while this session lives
SELECT pg_advisory_lock(hashtextextended('customer-timeline finishing ' || set_id::text, 0)) FROM view_set

-- open: now they do; false where the session had lost the lock
SELECT pg_advisory_unlock(hashtextextended('customer-timeline finishing ' || set_id::text, 0)) FROM view_set

-- pass: return once nobody keeps it shut
SELECT pg_advisory_xact_lock_shared(hashtextextended('customer-timeline finishing ' || set_id::text, 0)) FROM view_set

-- appended_at: when the log took in the last record that is applied
SELECT (extract(epoch FROM max(passed_at)) * 1000000)::bigint FROM projector_offset

-- drop_tables: nothing waits any more
DROP TABLE IF EXISTS fill_facts, fill_cover, fill_anchor
