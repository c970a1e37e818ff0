-- Stages for analysts. The stage at any instant is stage_entry(customer.schedule, instant).

CREATE VIEW customer_stage_periods AS
SELECT
    c.customer_id,
    entry ->> 1 AS stage,
    ARRAY(SELECT json_array_elements_text(entry -> 2)) AS flags,
    'epoch'::timestamptz + (entry ->> 0)::bigint * interval '1 microsecond' AS from_at,
    'epoch'::timestamptz
    + lead((entry ->> 0)::bigint) OVER (PARTITION BY c.customer_id ORDER BY place) * interval '1 microsecond' AS until_at
FROM customer AS c
CROSS JOIN LATERAL json_array_elements(c.schedule) WITH ORDINALITY AS entries (entry, place);
COMMENT ON VIEW customer_stage_periods IS 'Every stage that a customer had, has, or will have if nothing happens.';
COMMENT ON COLUMN customer_stage_periods.customer_id IS 'The customer.';
COMMENT ON COLUMN customer_stage_periods.stage IS 'prospect, new, active, loyal, at_risk, churned or won_back.';
COMMENT ON COLUMN customer_stage_periods.flags IS 'Conditions that hold meanwhile, whichever stage won.';
COMMENT ON COLUMN customer_stage_periods.from_at IS 'Included.';
COMMENT ON COLUMN customer_stage_periods.until_at IS 'Excluded; null: for ever, if nothing happens.';
