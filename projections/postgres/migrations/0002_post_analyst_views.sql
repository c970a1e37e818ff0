-- Views for analysts: the same tables under names and columns that need no knowledge of identity. Values are personal.
-- Which customer an event belongs to is worked out when asked, so a merge is visible at once.

CREATE VIEW touchpoints AS
SELECT
    t.event_id,
    coalesce(direct.customer_id, owning.customer_id) AS customer_id,
    t.occurred_at,
    t.recorded_at,
    regexp_replace(t.type, '\.v[0-9]+$', '') AS type,
    t.channel,
    t.direction,
    t.sign_of_life,
    t.event ->> 'source' AS source,
    t.event -> 'data' AS data,
    t.data_quality,
    t.revision,
    t.part,
    t.position
FROM timeline AS t
LEFT JOIN identifier AS direct ON direct.identifier_id = t.anchor_id
-- Where the event stands at an order or a case: up to whom that belongs, at most five steps.
LEFT JOIN LATERAL (
    WITH RECURSIVE steps (owner_id, via_thing_id, step) AS (
        SELECT thing.owner_id, thing.via_thing_id, 0
        FROM thing
        WHERE thing.thing_id = t.anchor_id AND direct.customer_id IS NULL
        UNION ALL
        SELECT thing.owner_id, thing.via_thing_id, steps.step + 1
        FROM steps
        JOIN thing ON thing.thing_id = steps.via_thing_id
        WHERE steps.owner_id IS NULL AND steps.step < 5
    )
    SELECT identifier.customer_id
    FROM steps
    JOIN identifier ON identifier.identifier_id = steps.owner_id
    LIMIT 1
) AS owning ON true
WHERE t.listed;
COMMENT ON VIEW touchpoints IS 'Every event of every timeline, with the customer that it belongs to now.';
COMMENT ON COLUMN touchpoints.event_id IS 'The event, whatever its revision.';
COMMENT ON COLUMN touchpoints.customer_id IS 'Null: it concerns no customer, or names an order or case whose customer is not known yet.';
COMMENT ON COLUMN touchpoints.occurred_at IS 'When it happened at the channel.';
COMMENT ON COLUMN touchpoints.recorded_at IS 'When the log took it in.';
COMMENT ON COLUMN touchpoints.type IS 'Type without its version: purchase.completed.';
COMMENT ON COLUMN touchpoints.channel IS 'Null: it concerns no customer.';
COMMENT ON COLUMN touchpoints.direction IS 'inbound: the customer acted; outbound: the company did; system: neither.';
COMMENT ON COLUMN touchpoints.sign_of_life IS 'The customer did this on purpose.';
COMMENT ON COLUMN touchpoints.source IS 'The system that reported it.';
COMMENT ON COLUMN touchpoints.data IS 'The fields of its type, as published.';
COMMENT ON COLUMN touchpoints.data_quality IS 'Identifiers that were dropped, and why.';
COMMENT ON COLUMN touchpoints.revision IS 'How often it was corrected at its source; 0 = never.';
COMMENT ON COLUMN touchpoints.part IS 'Partition of its record in the log.';
COMMENT ON COLUMN touchpoints.position IS 'Offset of its record in that partition.';

CREATE VIEW customers AS
SELECT
    c.customer_id,
    c.events,
    c.signs_of_life,
    c.first_event_at,
    c.last_event_at,
    c.last_sign_of_life_at,
    c.purchases,
    coalesce((c.facts -> 'purchases' ->> 'days')::integer, 0) AS purchase_days,
    'epoch'::timestamptz + (c.facts -> 'purchases' ->> 'first_us')::bigint * interval '1 microsecond' AS first_purchase_at,
    'epoch'::timestamptz + (c.facts -> 'purchases' ->> 'last_us')::bigint * interval '1 microsecond' AS last_purchase_at,
    c.facts -> 'profile' -> 'given_name' ->> 'value' AS given_name,
    c.facts -> 'profile' -> 'family_name' ->> 'value' AS family_name,
    c.facts -> 'profile' -> 'full_name' ->> 'value' AS full_name
FROM customer AS c;
COMMENT ON VIEW customers IS 'One row per customer; everything else that is known of it stands in customer.facts.';
COMMENT ON COLUMN customers.customer_id IS 'Changes when an older sighting arrives or customers merge; identifiers do not.';
COMMENT ON COLUMN customers.events IS 'Events in its timeline.';
COMMENT ON COLUMN customers.signs_of_life IS 'Those that the customer did on purpose.';
COMMENT ON COLUMN customers.first_event_at IS 'Null: no event, only a decision or a link names it.';
COMMENT ON COLUMN customers.last_event_at IS 'Its latest event.';
COMMENT ON COLUMN customers.last_sign_of_life_at IS 'When it last did something on purpose.';
COMMENT ON COLUMN customers.purchases IS 'Completed purchases, recurring charges included.';
COMMENT ON COLUMN customers.purchase_days IS 'Days with a purchase, recurring charges left out, in the business time zone.';
COMMENT ON COLUMN customers.first_purchase_at IS 'Null: never bought.';
COMMENT ON COLUMN customers.last_purchase_at IS 'Null: never bought.';
COMMENT ON COLUMN customers.given_name IS 'The last that a profile said (personal).';
COMMENT ON COLUMN customers.family_name IS 'The last that a profile said (personal).';
COMMENT ON COLUMN customers.full_name IS 'The last that a profile said (personal).';

CREATE VIEW customer_identifiers AS
SELECT
    i.customer_id,
    i.identifier_id,
    i.kind,
    i.value,
    i.first_seen_at,
    'epoch'::timestamptz
    + (c.facts -> 'seen' -> i.identifier_id::text ->> 1)::bigint * interval '1 microsecond' AS last_seen_at,
    i.shared
FROM identifier AS i
LEFT JOIN customer AS c ON c.customer_id = i.customer_id;
COMMENT ON VIEW customer_identifiers IS 'Every identifier and the customer that it belongs to now.';
COMMENT ON COLUMN customer_identifiers.customer_id IS 'Equal for two rows: the same customer.';
COMMENT ON COLUMN customer_identifiers.identifier_id IS 'Never changes; names the customer in the API for ever.';
COMMENT ON COLUMN customer_identifiers.kind IS 'email, phone, member_id and so on.';
COMMENT ON COLUMN customer_identifiers.value IS 'Normalised (personal).';
COMMENT ON COLUMN customer_identifiers.first_seen_at IS 'Null: only a decision of an operator named it.';
COMMENT ON COLUMN customer_identifiers.last_seen_at IS 'The latest event of this customer that names it.';
COMMENT ON COLUMN customer_identifiers.shared IS 'Seen with too many people to tell one: a customer of its own.';

CREATE VIEW purchases AS
SELECT
    t.event_id,
    t.customer_id,
    t.occurred_at,
    t.data ->> 'order_id' AS order_id,
    (t.data -> 'total' ->> 'amount')::numeric AS amount,
    t.data -> 'total' ->> 'currency' AS currency,
    (t.data -> 'cost' ->> 'amount')::numeric AS cost,
    t.data -> 'cost' ->> 'currency' AS cost_currency,
    coalesce((t.data ->> 'recurring')::boolean, false) AS recurring,
    t.channel
FROM touchpoints AS t
WHERE t.type = 'purchase.completed';
COMMENT ON VIEW purchases IS 'Completed purchases; what was given back stands in refunds.';
COMMENT ON COLUMN purchases.event_id IS 'The event.';
COMMENT ON COLUMN purchases.customer_id IS 'Who bought.';
COMMENT ON COLUMN purchases.occurred_at IS 'When the order became revenue.';
COMMENT ON COLUMN purchases.order_id IS 'Unique in the company.';
COMMENT ON COLUMN purchases.amount IS 'Total in the currency beside it; never add two currencies.';
COMMENT ON COLUMN purchases.currency IS 'ISO 4217.';
COMMENT ON COLUMN purchases.cost IS 'Cost of the goods; null: not said.';
COMMENT ON COLUMN purchases.cost_currency IS 'ISO 4217; may differ from the currency of the total.';
COMMENT ON COLUMN purchases.recurring IS 'An automatic charge: revenue, but no purchase day.';
COMMENT ON COLUMN purchases.channel IS 'Where it was bought.';

CREATE VIEW refunds AS
SELECT
    t.event_id,
    t.customer_id,
    t.occurred_at,
    t.data ->> 'order_id' AS order_id,
    t.data ->> 'refund_id' AS refund_id,
    (t.data -> 'total' ->> 'amount')::numeric AS amount,
    t.data -> 'total' ->> 'currency' AS currency,
    t.data ->> 'reason' AS reason
FROM touchpoints AS t
WHERE t.type = 'purchase.refunded';
COMMENT ON VIEW refunds IS 'What was given back.';
COMMENT ON COLUMN refunds.event_id IS 'The event.';
COMMENT ON COLUMN refunds.customer_id IS 'Who got it.';
COMMENT ON COLUMN refunds.occurred_at IS 'When.';
COMMENT ON COLUMN refunds.order_id IS 'Of which purchase.';
COMMENT ON COLUMN refunds.refund_id IS 'Unique within its order.';
COMMENT ON COLUMN refunds.amount IS 'In the currency beside it.';
COMMENT ON COLUMN refunds.currency IS 'ISO 4217.';
COMMENT ON COLUMN refunds.reason IS 'Null: not said.';
