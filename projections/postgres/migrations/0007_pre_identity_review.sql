-- What operators look through from time to time: indexes of the rare rows, which cost nothing elsewhere.

-- Review: values that glue nobody.
CREATE INDEX identifier_shared ON identifier (identifier_id) WHERE shared;
-- Review: links that limits and decisions skipped.
CREATE INDEX link_skipped ON link (anchor_id, other_id) WHERE refused NOT IN ('shared', 'never_links', 'unlinked');
-- Review: customers that came to be under another id.
CREATE INDEX outbox_identity_changes ON outbox (outbox_id) WHERE kind = 'customer.identity_changed';
