-- Deliveries against their promises, and how many customers buy again.

-- A cast alone fails on offsets that RFC 3339 allows and Postgres does not; one such event would end every query.
CREATE FUNCTION instant_of(written text) RETURNS timestamptz
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN (left(written, 19) || coalesce(substring(written FROM '\.\d{1,6}'), ''))::timestamp AT TIME ZONE 'UTC'
    - CASE WHEN written ~ '[Zz]$' THEN interval '0' ELSE right(written, 6)::interval END;
COMMENT ON FUNCTION instant_of(text) IS 'An instant as events write it, RFC 3339; past microseconds it is cut off.';

CREATE VIEW deliveries AS
WITH told AS (
    SELECT
        t.event_id,
        t.customer_id,
        t.type,
        t.occurred_at,
        t.data ->> 'order_id' AS order_id,
        t.data ->> 'shipment_id' AS shipment_id,
        instant_of(t.data ->> 'due_at') AS due_at
    FROM touchpoints AS t
    WHERE t.type IN (
        'delivery.promised', 'delivery.shipped', 'delivery.completed', 'delivery.failed', 'order.cancelled'
    )
),
shipments AS (
    SELECT order_id, shipment_id
    FROM told
    WHERE shipment_id IS NOT NULL
    GROUP BY order_id, shipment_id
    UNION ALL
    SELECT order_id, NULL
    FROM told
    GROUP BY order_id
    HAVING count(shipment_id) = 0 AND bool_or(type <> 'order.cancelled')
),
-- Whatever names no shipment is about every shipment of its order.
concerning AS (
    SELECT
        s.order_id,
        s.shipment_id,
        told.event_id,
        told.customer_id,
        told.type,
        told.occurred_at,
        told.due_at,
        told.shipment_id IS NOT DISTINCT FROM s.shipment_id AS own,
        min(told.occurred_at) FILTER (
            WHERE told.type = 'delivery.shipped' AND told.shipment_id IS NOT DISTINCT FROM s.shipment_id
        ) OVER (PARTITION BY s.order_id, s.shipment_id) AS left_at
    FROM shipments AS s
    JOIN told ON told.order_id = s.order_id AND (told.shipment_id IS NULL OR told.shipment_id = s.shipment_id)
),
delivered AS (
    SELECT
        order_id,
        shipment_id,
        (array_agg(customer_id))[1] AS customer_id,
        count(*) FILTER (WHERE type = 'delivery.promised') AS promises,
        max(occurred_at) FILTER (WHERE type = 'delivery.promised') AS promised_at,
        (
            array_agg(due_at ORDER BY occurred_at DESC, event_id DESC) FILTER (WHERE type = 'delivery.promised')
        )[1] AS due_at,
        coalesce(min(left_at), min(occurred_at) FILTER (WHERE type = 'delivery.shipped')) AS shipped_at,
        coalesce(
            min(occurred_at) FILTER (WHERE type = 'delivery.completed' AND own),
            -- What arrived before this shipment left was another.
            min(occurred_at) FILTER (WHERE type = 'delivery.completed' AND (left_at IS NULL OR occurred_at >= left_at))
        ) AS delivered_at,
        max(occurred_at) FILTER (WHERE type = 'delivery.failed') AS last_failed_at,
        min(occurred_at) FILTER (WHERE type = 'order.cancelled') AS cancelled_at
    FROM concerning
    GROUP BY order_id, shipment_id
)
SELECT
    order_id,
    shipment_id,
    customer_id,
    promises,
    promised_at,
    due_at,
    shipped_at,
    delivered_at,
    CASE WHEN delivered_at > due_at THEN delivered_at - due_at END AS late_by,
    last_failed_at,
    cancelled_at
FROM delivered;
COMMENT ON VIEW deliveries IS 'One row per shipment that was promised, sent or delivered, or per order whose events name no shipment. An event without a shipment is about every shipment of its order. Overdue at t: due_at < t, and neither delivered_at nor cancelled_at.';
COMMENT ON COLUMN deliveries.order_id IS 'Unique in the company.';
COMMENT ON COLUMN deliveries.shipment_id IS 'Null: no event of the order names one, so the row is about the whole order.';
COMMENT ON COLUMN deliveries.customer_id IS 'Null: whose order it is is not known yet.';
COMMENT ON COLUMN deliveries.promises IS 'Promises made; more than one: the date was moved.';
COMMENT ON COLUMN deliveries.promised_at IS 'When the last promise was made; null: none was.';
COMMENT ON COLUMN deliveries.due_at IS 'The latest time of arrival by the last promise, by (occurred_at, event_id); null: none was made.';
COMMENT ON COLUMN deliveries.shipped_at IS 'When it first left; null: nobody reported that.';
COMMENT ON COLUMN deliveries.delivered_at IS 'When it first arrived; null: it has not, or nobody reported that.';
COMMENT ON COLUMN deliveries.late_by IS 'How long after due_at it arrived; null: in time, not promised, or not delivered.';
COMMENT ON COLUMN deliveries.last_failed_at IS 'When it last could not be handed over; null: never.';
COMMENT ON COLUMN deliveries.cancelled_at IS 'When the order was cancelled; null: it was not.';

CREATE VIEW repeat_purchases_by_month AS
SELECT
    b.first_month,
    count(*) AS customers,
    count(*) FILTER (WHERE b.purchase_days >= 2) AS repeat_customers,
    round(count(*) FILTER (WHERE b.purchase_days >= 2)::numeric / count(*), 6) AS repeat_rate
FROM (
    SELECT
        (p.facts ->> 'days')::integer AS purchase_days,
        -- The first 20 bits of the set of purchase days are its first day, since 1970-01-01, plus 1.
        date_trunc(
            'month',
            date '1970-01-01' - 1
            + ((get_byte(p.head, 0) << 12) | (get_byte(p.head, 1) << 4) | (get_byte(p.head, 2) >> 4))
        )::date AS first_month
    FROM (
        SELECT c.facts -> 'purchases' AS facts, decode(left(c.facts -> 'purchases' ->> 'day_set', 4), 'base64') AS head
        FROM customer AS c
        WHERE c.purchases > 0
    ) AS p
    WHERE length(p.head) = 3
) AS b
GROUP BY b.first_month;
COMMENT ON VIEW repeat_purchases_by_month IS 'How many of those who first bought in a month have bought again since. Recurring charges are no purchases here.';
COMMENT ON COLUMN repeat_purchases_by_month.first_month IS 'First day of the month of the first purchase day, in the business time zone.';
COMMENT ON COLUMN repeat_purchases_by_month.customers IS 'Customers whose first purchase day lies in that month.';
COMMENT ON COLUMN repeat_purchases_by_month.repeat_customers IS 'Those with at least two purchase days, whenever the second was.';
COMMENT ON COLUMN repeat_purchases_by_month.repeat_rate IS 'repeat_customers / customers, to six places.';

CREATE VIEW repeat_purchases AS
SELECT
    coalesce(sum(m.customers), 0)::bigint AS customers,
    coalesce(sum(m.repeat_customers), 0)::bigint AS repeat_customers,
    round(sum(m.repeat_customers) / sum(m.customers), 6) AS repeat_rate
FROM repeat_purchases_by_month AS m;
COMMENT ON VIEW repeat_purchases IS 'One row: how many of all who bought have bought again. Recurring charges are no purchases here.';
COMMENT ON COLUMN repeat_purchases.customers IS 'Customers with a purchase day.';
COMMENT ON COLUMN repeat_purchases.repeat_customers IS 'Those with at least two, in the business time zone.';
COMMENT ON COLUMN repeat_purchases.repeat_rate IS 'repeat_customers / customers, to six places; null: nobody has bought.';
