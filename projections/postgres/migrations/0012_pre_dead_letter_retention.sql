-- Dead letters that are exported and removed after their time: how many are gone, and their state told in one place.

ALTER TABLE operation ADD COLUMN removed integer NOT NULL DEFAULT 0;
UPDATE operation SET removed = records WHERE kind = 'removed';
COMMENT ON COLUMN operation.removed IS 'Of these, records that it removed; those that were removed before do not count.';

CREATE FUNCTION dead_letter_state(healed_at timestamptz, decided text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN healed_at IS NOT NULL THEN 'healed' ELSE coalesce(decided, 'open') END;
COMMENT ON FUNCTION dead_letter_state IS 'What became of a dead letter, by when it healed and what was decided.';

CREATE FUNCTION dead_letter_kind_of_error(error text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(error, '[0-9]+', '#', 'g');
COMMENT ON FUNCTION dead_letter_kind_of_error IS 'What is wrong, without what varies from record to record.';

CREATE FUNCTION dead_letter_fingerprint(reason text, type text, kind_of_error text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN left(encode(sha256(convert_to(
    reason || E'\n' || coalesce(type, '') || E'\n' || kind_of_error, 'UTF8'
)), 'hex'), 16);
COMMENT ON FUNCTION dead_letter_fingerprint IS 'What dead letters of one cause have in common.';
