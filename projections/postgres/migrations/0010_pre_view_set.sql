-- Which set of tables this schema holds. A rebuild fills a second set in a schema of its own, and the switch renames both
-- schemas in one transaction (ADR 0014); what must stay with its set knows it by this id and not by the schema's name.

CREATE TABLE view_set (
    singleton       boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    set_id          uuid NOT NULL DEFAULT gen_random_uuid(),
    consumer_suffix text NOT NULL DEFAULT '',
    made_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    absent_indexes  text[] NOT NULL DEFAULT '{}',
    filled_at       timestamptz,
    held_pid        integer,
    held_since      timestamptz,
    verified        jsonb
);
COMMENT ON TABLE view_set IS 'The set of tables in this schema: who fills it, and whether it was found equal to another.';
COMMENT ON COLUMN view_set.set_id IS 'Stays with the tables when a switch renames their schema.';
COMMENT ON COLUMN view_set.consumer_suffix IS 'What the consumer group of its workers ends with, so that two sets never share partitions.';
COMMENT ON COLUMN view_set.made_at IS 'When the tables were made.';
COMMENT ON COLUMN view_set.absent_indexes IS 'Indexes that are left out while the set is filled, as statements that make them.';
COMMENT ON COLUMN view_set.filled_at IS 'When a rebuild had first come to the end of the log and had its indexes; null: not yet, or no rebuild.';
COMMENT ON COLUMN view_set.held_pid IS 'Backend of the verification that holds the set at chosen positions; workers wait while it lives.';
COMMENT ON COLUMN view_set.held_since IS 'When that backend started.';
COMMENT ON COLUMN view_set.verified IS 'What the last verification found; null: none since the set was made.';

INSERT INTO view_set DEFAULT VALUES;
