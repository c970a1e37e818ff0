-- What reads at an earlier `known_at` need: whom a record that lost had named, and what the log took in since when.

ALTER TABLE superseded
    ADD COLUMN names     uuid[] NOT NULL DEFAULT '{}',
    ADD COLUMN thing_ids uuid[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN superseded.names IS 'Identifiers that it names; of an identity decision the two that it is about.';
COMMENT ON COLUMN superseded.thing_ids IS 'Orders, contracts, opportunities, cases, follow-ups that it names.';
-- The records that once counted, by whom they named.
CREATE INDEX superseded_by_name ON superseded USING gin (names);
CREATE INDEX superseded_by_thing ON superseded USING gin (thing_ids);
-- What was recorded in a window. The log is applied about in the order it was recorded, so a summary of blocks will do.
CREATE INDEX timeline_by_recorded ON timeline USING brin (recorded_at) WITH (pages_per_range = 16, autosummarize = on);
