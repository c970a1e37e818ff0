-- Dead letters that heal: what operators decided about them, and until where the topic of operations is applied.

ALTER TABLE dead_letter ADD COLUMN healed_at timestamptz;
COMMENT ON COLUMN dead_letter.healed_at IS 'When a retry made the record an event of the timeline; null: it is none.';
-- Lists of single dead letters, newest first.
CREATE INDEX dead_letter_by_time ON dead_letter (recorded_at DESC, topic COLLATE "C" DESC, part DESC, position DESC);

CREATE TABLE dead_letter_decision (
    topic      text NOT NULL,
    part       integer NOT NULL,
    position   bigint NOT NULL,
    state      text NOT NULL CHECK (state IN ('discarded', 'replaced', 'removed')),
    operator   text NOT NULL,
    reason     text NOT NULL,
    event_id   uuid,
    decided_at timestamptz NOT NULL,
    operation  bigint NOT NULL,
    PRIMARY KEY (topic, part, position)
);
COMMENT ON TABLE dead_letter_decision IS 'The last decision about each record that was a dead letter; it may be read before the record is.';
COMMENT ON COLUMN dead_letter_decision.event_id IS 'The event that was published instead of the record.';
COMMENT ON COLUMN dead_letter_decision.decided_at IS 'When the topic of operations took it in.';
COMMENT ON COLUMN dead_letter_decision.operation IS 'Its offset there.';

CREATE TABLE operation (
    topic        text NOT NULL,
    position     bigint NOT NULL,
    operation_id uuid,
    kind         text NOT NULL,
    operator     text NOT NULL,
    reason       text NOT NULL,
    event_id     uuid,
    recorded_at  timestamptz NOT NULL,
    records      integer NOT NULL,
    healed       integer NOT NULL,
    failed       integer NOT NULL,
    refused      text,
    PRIMARY KEY (topic, position)
);
COMMENT ON TABLE operation IS 'What operators decided about dead letters, one row per record of the topic of operations.';
COMMENT ON COLUMN operation.event_id IS 'The event that was published with it: instead of a dead letter, or as a correction.';
COMMENT ON COLUMN operation.records IS 'Records of the log that it names.';
COMMENT ON COLUMN operation.healed IS 'Of these, dead letters that became events.';
COMMENT ON COLUMN operation.failed IS 'Of these, dead letters that were read again and are none still.';
COMMENT ON COLUMN operation.refused IS 'Why the record is no operation that can be applied; null: it was applied.';

CREATE TABLE operation_offset (
    topic       text PRIMARY KEY,
    next_offset bigint NOT NULL
);
COMMENT ON TABLE operation_offset IS 'Until where each topic of operations is applied; written in the transaction that applies.';
