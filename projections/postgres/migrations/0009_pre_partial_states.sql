-- Partial states of long histories: the fold of one anchor's events in one month or day, so that a state at any instant is
-- put together from few rows and few events. Derived from the timeline; ADR 0013 says who may write what, and when.

CREATE TABLE partial_state (
    anchor_id         uuid NOT NULL,
    span              text NOT NULL CHECK (span IN ('month', 'day')),
    begins_at         timestamptz NOT NULL,
    until_at          timestamptz NOT NULL,
    gen               bigint NOT NULL,
    facts             json,
    events            integer NOT NULL DEFAULT 0,
    first_recorded_at timestamptz,
    last_recorded_at  timestamptz,
    PRIMARY KEY (anchor_id, begins_at, span),
    CHECK (begins_at < until_at AND until_at - begins_at <= interval '768 hours')
);
COMMENT ON TABLE partial_state IS 'The fold of an anchor''s listed events in one business month or day, of long histories only.';
COMMENT ON COLUMN partial_state.anchor_id IS 'As in timeline: an identifier or a thing, whoever it belongs to.';
COMMENT ON COLUMN partial_state.until_at IS 'Exclusive.';
COMMENT ON COLUMN partial_state.gen IS 'Random; renewed by every transaction that changes an event in the span.';
COMMENT ON COLUMN partial_state.facts IS 'As customer.facts; null: a hole, the events themselves must be read.';
COMMENT ON COLUMN partial_state.events IS 'How many events were folded.';
COMMENT ON COLUMN partial_state.first_recorded_at IS 'The least recorded_at of them; infinity where there are none.';
COMMENT ON COLUMN partial_state.last_recorded_at IS 'The greatest recorded_at of them; -infinity where there are none.';
-- Holes of a customer's anchors, to be mended.
CREATE INDEX partial_state_holes ON partial_state (anchor_id) WHERE facts IS NULL;

ALTER TABLE customer ADD COLUMN partial_until_us bigint;
COMMENT ON COLUMN customer.partial_until_us IS 'No partial state of any of the customer''s anchors ends after this instant; null: there are none.';
ALTER TABLE customer ADD COLUMN partial_due_us bigint;
COMMENT ON COLUMN customer.partial_due_us IS 'When partial states are to be looked after next; null: never, the history is short.';
-- Whose partial states are to be looked after.
CREATE INDEX customer_by_partial_due ON customer (partial_due_us) WHERE partial_due_us IS NOT NULL;

-- What covers the history of anchors until an instant, in order: partial states, and gaps (facts null) between them.
-- A month is preferred to its days. A partial state counts for a cut in recorded time only where all of it was recorded
-- by then, or nothing (`empty`: it adds nothing). Index walks only: each step is a short range of one anchor.
CREATE FUNCTION history_spans(anchor_ids uuid[], as_of timestamptz, known_at timestamptz)
RETURNS TABLE (anchor_id uuid, begins_at timestamptz, until_at timestamptz, facts json, empty boolean)
LANGUAGE sql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
WITH cut AS MATERIALIZED (
    SELECT
        coalesce(as_of, 'infinity') + interval '1 microsecond' AS until_at,
        coalesce(known_at, 'infinity') AS known_at
),
whole AS MATERIALIZED (
    SELECT
        p.anchor_id, p.begins_at, p.until_at, p.facts, p.events = 0 OR p.first_recorded_at > cut.known_at AS empty
    FROM cut
    CROSS JOIN unnest(anchor_ids) AS a (anchor_id)
    JOIN partial_state AS p ON p.anchor_id = a.anchor_id AND p.span = 'month' AND p.until_at <= cut.until_at
    WHERE p.facts IS NOT NULL AND (p.last_recorded_at <= cut.known_at OR p.first_recorded_at > cut.known_at)
),
between_months AS MATERIALIZED (
    SELECT found.anchor_id, found.from_at, found.to_at
    FROM (
        SELECT
            whole.anchor_id,
            lag(whole.until_at, 1, '-infinity') OVER (PARTITION BY whole.anchor_id ORDER BY whole.begins_at) AS from_at,
            whole.begins_at AS to_at
        FROM whole
        UNION ALL
        SELECT a.anchor_id, coalesce(latest.until_at, '-infinity'), cut.until_at
        FROM cut
        CROSS JOIN unnest(anchor_ids) AS a (anchor_id)
        LEFT JOIN (SELECT whole.anchor_id, max(whole.until_at) AS until_at FROM whole GROUP BY whole.anchor_id) AS latest
            ON latest.anchor_id = a.anchor_id
    ) AS found
    WHERE found.from_at < found.to_at
),
day AS MATERIALIZED (
    SELECT
        g.anchor_id, g.from_at, g.to_at, p.begins_at, p.until_at, p.facts,
        p.events = 0 OR p.first_recorded_at > cut.known_at AS empty
    FROM cut
    CROSS JOIN between_months AS g
    JOIN partial_state AS p
        ON p.anchor_id = g.anchor_id AND p.span = 'day'
        AND p.begins_at >= g.from_at AND p.begins_at < g.to_at AND p.until_at <= g.to_at
    WHERE p.facts IS NOT NULL AND (p.last_recorded_at <= cut.known_at OR p.first_recorded_at > cut.known_at)
),
gap AS MATERIALIZED (
    SELECT found.anchor_id, found.from_at, found.to_at
    FROM (
        SELECT
            day.anchor_id,
            lag(day.until_at, 1, day.from_at)
                OVER (PARTITION BY day.anchor_id, day.from_at ORDER BY day.begins_at) AS from_at,
            day.begins_at AS to_at
        FROM day
        UNION ALL
        SELECT g.anchor_id, coalesce(latest.until_at, g.from_at), g.to_at
        FROM between_months AS g
        LEFT JOIN (
            SELECT day.anchor_id, day.from_at, max(day.until_at) AS until_at FROM day GROUP BY day.anchor_id, day.from_at
        ) AS latest ON latest.anchor_id = g.anchor_id AND latest.from_at = g.from_at
    ) AS found
    WHERE found.from_at < found.to_at
)
SELECT whole.anchor_id, whole.begins_at, whole.until_at, whole.facts, whole.empty FROM whole
UNION ALL
SELECT day.anchor_id, day.begins_at, day.until_at, day.facts, day.empty FROM day
UNION ALL
SELECT gap.anchor_id, gap.from_at, gap.to_at, NULL, false FROM gap
$$;
COMMENT ON FUNCTION history_spans(uuid[], timestamptz, timestamptz) IS 'What covers the history of anchors until an instant: partial states, and gaps between them. Null: no cut.';

CREATE FUNCTION history_parts(anchor_ids uuid[], as_of timestamptz, known_at timestamptz)
RETURNS TABLE (facts text, event text, recorded_at timestamptz)
LANGUAGE sql STABLE
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
WITH spans AS MATERIALIZED (
    SELECT s.anchor_id, s.begins_at, s.until_at, s.facts, s.empty FROM history_spans(anchor_ids, as_of, known_at) AS s
)
SELECT spans.facts::text, NULL, NULL::timestamptz
FROM spans
WHERE spans.facts IS NOT NULL AND NOT spans.empty
UNION ALL
SELECT NULL, found.event, found.recorded_at
FROM spans
CROSS JOIN LATERAL (
    SELECT t.event::text AS event, t.recorded_at
    FROM timeline AS t
    WHERE t.anchor_id = spans.anchor_id AND t.listed
        AND t.occurred_at >= spans.begins_at AND t.occurred_at < spans.until_at
        AND (known_at IS NULL OR t.recorded_at <= known_at)
    OFFSET 0
) AS found
WHERE spans.facts IS NULL
$$;
COMMENT ON FUNCTION history_parts(uuid[], timestamptz, timestamptz) IS 'Partial states and single events that together are the history of anchors until an instant. Null: no cut.';
