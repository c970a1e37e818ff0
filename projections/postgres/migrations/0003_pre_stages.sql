-- Stages: each customer's schedule of what it was and will be, and what the sweeper needs to act on it. Instants are
-- microseconds since 1970-01-01T00:00Z: they are compared and copied for every batch, and read by the views as timestamps.

ALTER TABLE customer
    ADD COLUMN schedule         json   NOT NULL DEFAULT '[]',
    ADD COLUMN rules            text   NOT NULL DEFAULT '',
    ADD COLUMN stage            text,
    ADD COLUMN flags            text[] NOT NULL DEFAULT '{}',
    ADD COLUMN stage_from_us    bigint,
    ADD COLUMN stage_until_us   bigint,
    ADD COLUMN swept_us         bigint,
    ADD COLUMN sweep_us         bigint,
    ADD COLUMN announce_from_us bigint;
COMMENT ON COLUMN customer.schedule IS 'Stages by time: [[from_us, stage, [flags]], …], ascending; the last one holds for ever if nothing happens.';
COMMENT ON COLUMN customer.rules IS 'Version of the stage rules that made the schedule.';
COMMENT ON COLUMN customer.stage IS 'Stage of the entry that held when the row was last written; right from stage_from_us until stage_until_us.';
COMMENT ON COLUMN customer.flags IS 'Flags of that entry, sorted.';
COMMENT ON COLUMN customer.stage_from_us IS 'When that entry began.';
COMMENT ON COLUMN customer.stage_until_us IS 'When it ends if nothing happens; null: never.';
COMMENT ON COLUMN customer.swept_us IS 'The sweeper has announced what became due until this instant; null: it was not here yet.';
COMMENT ON COLUMN customer.sweep_us IS 'No later than the next instant at which the sweeper has something to do here; null: nothing ahead.';
COMMENT ON COLUMN customer.announce_from_us IS 'Transitions before this instant were in the past when first computed: they are not announced.';
-- Lists by stage. Entries change seldom, so rows mostly keep their place (HOT) although they are written all the time.
CREATE INDEX customer_by_stage ON customer (stage, customer_id);
-- Lists by flag.
CREATE INDEX customer_by_flags ON customer USING gin (flags);
-- What the sweeper has to do next; and, in lists, the rows whose stage must be read from the schedule.
CREATE INDEX customer_by_sweep ON customer (sweep_us) WHERE sweep_us IS NOT NULL;
-- Lists by since when; and the rows whose entry begins after the instant of a list.
CREATE INDEX customer_by_since ON customer (stage_from_us);
-- What a change of the stage rules has to assess again.
CREATE INDEX customer_by_rules ON customer (rules);

CREATE TABLE stage_announcement (
    announcement_id uuid PRIMARY KEY,
    customer_id     uuid NOT NULL,
    from_us         bigint NOT NULL,
    stage           text NOT NULL,
    flags           text[] NOT NULL,
    n               integer NOT NULL,
    withdrawn       boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE stage_announcement IS 'Stage transitions that were announced; one that a late event undoes is withdrawn.';
COMMENT ON COLUMN stage_announcement.announcement_id IS 'uuid5 of customer, from, stage and n: outbox.change_id.';
COMMENT ON COLUMN stage_announcement.customer_id IS 'The customer at that time; it may be a former id of another by now.';
COMMENT ON COLUMN stage_announcement.n IS 'How often this transition had been announced before.';
-- What was announced of a customer under any of its ids.
CREATE INDEX stage_announcement_by_customer ON stage_announcement (customer_id);

ALTER TABLE outbox ADD COLUMN change_id uuid UNIQUE;
COMMENT ON COLUMN outbox.change_id IS 'The same however often the change is worked out; null where a change is announced once only.';

ALTER TABLE projector_offset ADD COLUMN passed_at timestamptz;
COMMENT ON COLUMN projector_offset.passed_at IS 'All that the partition had recorded until this instant is applied; the sweeper goes no further.';

CREATE FUNCTION stage_entry(schedule json, at_us bigint) RETURNS json
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT entry
    FROM json_array_elements(schedule) WITH ORDINALITY AS entries (entry, place)
    WHERE (entry ->> 0)::bigint <= at_us
    ORDER BY place DESC
    LIMIT 1
);
COMMENT ON FUNCTION stage_entry(json, bigint) IS 'The entry of a schedule that holds at an instant; null before the first one.';
