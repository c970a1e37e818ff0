-- The live projection: one row per event, the identity graph, one row per customer, and where the projector stands.
-- Unqualified names: the schema is the search_path of the connection, so a rebuild fills a second set beside this one.

CREATE TABLE projection_meta (
    singleton          boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    projection_version text NOT NULL,
    details            jsonb NOT NULL,
    created_at         timestamptz NOT NULL
);
COMMENT ON TABLE projection_meta IS 'Which fold code and settings wrote these tables; a worker of another version refuses them.';

CREATE TABLE projector_offset (
    topic         text NOT NULL,
    part          integer NOT NULL,
    topic_id      uuid,
    next_offset   bigint NOT NULL,
    epoch         bigint NOT NULL,
    pid           integer,
    backend_start timestamptz,
    PRIMARY KEY (topic, part)
);
COMMENT ON TABLE projector_offset IS 'The next log position to apply, per partition; Postgres owns the offsets, Kafka''s are for displays.';
COMMENT ON COLUMN projector_offset.epoch IS 'Raised at every assignment; a worker that holds an older epoch was replaced.';
COMMENT ON COLUMN projector_offset.pid IS 'Backend of the worker that holds the epoch; its successor ends it.';

CREATE TABLE timeline (
    event_id       uuid PRIMARY KEY,
    anchor_id      uuid,
    strongest_id   uuid,
    identifier_ids uuid[],
    thing_ids      uuid[],
    type           text NOT NULL,
    channel        text,
    direction      text NOT NULL,
    sign_of_life   boolean NOT NULL,
    listed         boolean NOT NULL,
    occurred_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL,
    revision       integer NOT NULL,
    part           integer NOT NULL,
    position       bigint NOT NULL,
    record_hash    uuid NOT NULL,
    data_quality   jsonb,
    event          jsonb NOT NULL
);
COMMENT ON TABLE timeline IS 'One row per event: the record that counts. Retractions and identity decisions are rows too, with listed = false.';
COMMENT ON COLUMN timeline.event_id IS 'uuid5 of source and id: the key of idempotence.';
COMMENT ON COLUMN timeline.anchor_id IS 'Identifier or thing at which the event stands; never rewritten by a merge. Null: concerns no customer.';
COMMENT ON COLUMN timeline.strongest_id IS 'The identifier that the event''s other identifiers are linked to.';
COMMENT ON COLUMN timeline.identifier_ids IS 'Usable identifiers of the event, strongest first; null where it names none.';
COMMENT ON COLUMN timeline.thing_ids IS 'Orders, contracts, opportunities, cases, follow-ups that the event names; null where none.';
COMMENT ON COLUMN timeline.direction IS 'inbound: the customer acted; outbound: the company did; system: neither.';
COMMENT ON COLUMN timeline.sign_of_life IS 'The customer did this on purpose: it counts for recency and silence.';
COMMENT ON COLUMN timeline.listed IS 'False for retractions and identity decisions: no touchpoint of anybody.';
COMMENT ON COLUMN timeline.occurred_at IS 'When it happened at the channel.';
COMMENT ON COLUMN timeline.recorded_at IS 'When the log took it in (the least of a record''s copies).';
COMMENT ON COLUMN timeline.part IS 'Partition of the record.';
COMMENT ON COLUMN timeline.position IS 'Offset of the record in its partition.';
COMMENT ON COLUMN timeline.record_hash IS 'BLAKE2b-128 of the record''s bytes: equal means a plain duplicate.';
COMMENT ON COLUMN timeline.data_quality IS 'Identifiers that were dropped, and why; values are left out.';
COMMENT ON COLUMN timeline.event IS 'The whole event as published (CloudEvents JSON).';
-- timeline pages of a customer: newest first, per anchor; also the fold of an anchor.
CREATE INDEX timeline_by_anchor ON timeline (anchor_id, occurred_at DESC, event_id DESC) WHERE anchor_id IS NOT NULL;
-- evidence and sightings read again: events anchored at a thing, by the identifier that they name.
CREATE INDEX timeline_by_strongest ON timeline (strongest_id) WHERE strongest_id IS DISTINCT FROM anchor_id;
-- ownership of a thing decided again: all events that name it.
CREATE INDEX timeline_by_thing ON timeline ((thing_ids[1])) WHERE thing_ids IS NOT NULL;
CREATE INDEX timeline_by_further_thing ON timeline USING gin (thing_ids) WHERE cardinality(thing_ids) > 1;

CREATE TABLE superseded (
    event_id     uuid NOT NULL,
    content_hash bytea NOT NULL,
    revision     integer NOT NULL,
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL,
    conflict     boolean NOT NULL DEFAULT false,
    event        jsonb NOT NULL,
    PRIMARY KEY (event_id, revision, occurred_at, content_hash)
);
COMMENT ON TABLE superseded IS 'Records that carry an event_id and lost to another: lower revision, later time, or greater content hash.';
COMMENT ON COLUMN superseded.recorded_at IS 'When the log took it in (the least of its copies).';
COMMENT ON COLUMN superseded.conflict IS 'Other content at the winning revision: two sources disagree.';
CREATE INDEX superseded_conflicts ON superseded (event_id) WHERE conflict;

CREATE VIEW conflicting_duplicate AS
SELECT s.event_id, s.revision, s.occurred_at, s.recorded_at, s.event, t.event AS winning_event
FROM superseded s JOIN timeline t USING (event_id)
WHERE s.conflict;
COMMENT ON VIEW conflicting_duplicate IS 'Records with other content at the revision that counts; gone when a higher revision ends the conflict.';

CREATE TABLE identifier (
    identifier_id  uuid PRIMARY KEY,
    kind           text NOT NULL,
    value          text NOT NULL,
    customer_id    uuid NOT NULL,
    first_seen_at  timestamptz,
    first_event_id uuid,
    shared         boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE identifier IS 'Every identifier ever named, and the customer it belongs to now.';
COMMENT ON COLUMN identifier.identifier_id IS 'Keyed BLAKE2b-128 of kind and value.';
COMMENT ON COLUMN identifier.value IS 'Normalised value (personal).';
COMMENT ON COLUMN identifier.first_seen_at IS 'Earliest sighting by (occurred_at, event_id); null where only a decision named it.';
COMMENT ON COLUMN identifier.shared IS 'Seen with too many stronger identifiers of one kind: glues nobody any more.';
-- members of a customer
CREATE INDEX identifier_by_customer ON identifier (customer_id);

CREATE TABLE link (
    anchor_id   uuid NOT NULL,
    other_id    uuid NOT NULL,
    occurred_at timestamptz,
    event_id    uuid,
    recorded_at timestamptz,
    refused     text,
    PRIMARY KEY (anchor_id, other_id)
);
COMMENT ON TABLE link IS 'Two identifiers named by one event (anchor_id: the stronger), with the least evidence by (occurred_at, event_id).';
COMMENT ON COLUMN link.occurred_at IS 'Null: no record that counts names the pair any more; it still counts for sharing.';
COMMENT ON COLUMN link.refused IS 'Why the link glues nobody: shared, never_links, unlinked, separated, or limit:<kind>. Null: it glues.';
-- the other direction of the graph, and how many stronger identifiers a value was seen with
CREATE INDEX link_by_other ON link (other_id);

CREATE TABLE link_evidence (
    anchor_id   uuid NOT NULL,
    other_id    uuid NOT NULL,
    event_id    uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (anchor_id, other_id, event_id)
);
COMMENT ON TABLE link_evidence IS 'Further evidence of a link that none beats on both times: later in the customer''s life, earlier in the log.';

CREATE TABLE decision (
    event_id    uuid PRIMARY KEY,
    anchor_id   uuid NOT NULL,
    other_id    uuid NOT NULL,
    verdict     text NOT NULL CHECK (verdict IN ('linked', 'unlinked')),
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    reason      text NOT NULL,
    operator    text NOT NULL,
    refused     text
);
COMMENT ON TABLE decision IS 'What operators decided about two identifiers; the last by (occurred_at, event_id) counts.';
COMMENT ON COLUMN decision.refused IS 'Why a link that was decided joins nobody: separated (it would join a pair that another decision parts).';
CREATE INDEX decision_by_anchor ON decision (anchor_id);
CREATE INDEX decision_by_other ON decision (other_id);

CREATE TABLE thing (
    thing_id       uuid PRIMARY KEY,
    kind           text NOT NULL,
    value          text NOT NULL,
    owner_id       uuid,
    owner_at       timestamptz,
    owner_event_id uuid,
    via_thing_id   uuid,
    via_at         timestamptz,
    via_event_id   uuid,
    anchored       boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE thing IS 'Orders, contracts, opportunities, cases, follow-ups: whose they are, by the earliest event that says so.';
COMMENT ON COLUMN thing.owner_id IS 'Strongest identifier of the earliest event that names the thing and a person.';
COMMENT ON COLUMN thing.via_thing_id IS 'With no owner of its own: the first thing of the earliest event that names both.';
COMMENT ON COLUMN thing.anchored IS 'Events stand at this thing, so its owner''s timeline includes it.';
-- things of a customer's identifiers, and things that follow another
CREATE INDEX thing_by_owner ON thing (owner_id) WHERE owner_id IS NOT NULL;
CREATE INDEX thing_by_via ON thing (via_thing_id) WHERE via_thing_id IS NOT NULL;

CREATE TABLE customer (
    customer_id          uuid PRIMARY KEY,
    gen                  bigint NOT NULL,
    contested            boolean NOT NULL,
    events               bigint NOT NULL,
    signs_of_life        bigint NOT NULL,
    first_event_at       timestamptz,
    last_event_at        timestamptz,
    last_sign_of_life_at timestamptz,
    purchases            bigint NOT NULL,
    facts                json NOT NULL
) WITH (fillfactor = 70, toast_tuple_target = 8160);
COMMENT ON TABLE customer IS 'One row per customer: facts that merge, and what is derived from them.';
COMMENT ON COLUMN customer.customer_id IS 'identifier_id of the member that was seen first.';
COMMENT ON COLUMN customer.gen IS 'Random; renewed when a member leaves or evidence is withdrawn. Guards the worker''s cache, means nothing else.';
COMMENT ON COLUMN customer.contested IS 'A decision or limit is at work among these identifiers: links are decided together, not one by one.';
COMMENT ON COLUMN customer.facts IS 'The fold of the customer''s events, keys sorted: equal facts are equal bytes.';

CREATE TABLE dead_letter (
    topic       text NOT NULL,
    part        integer NOT NULL,
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    reason      text NOT NULL,
    error       text NOT NULL,
    type        text,
    sha256      bytea NOT NULL,
    key         bytea,
    value       bytea,
    headers     jsonb NOT NULL DEFAULT '[]',
    PRIMARY KEY (topic, part, position)
);
COMMENT ON TABLE dead_letter IS 'Records that could not become events: original bytes, where they stand in the log, and why.';
CREATE INDEX dead_letter_by_reason ON dead_letter (reason, recorded_at DESC);

CREATE TABLE outbox (
    outbox_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL,
    payload    jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE outbox IS 'What changed, for the topic customer.changes; written in the transaction that changed it.';
