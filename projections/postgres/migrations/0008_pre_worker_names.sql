-- Which process goes by which worker's name, so that of two under one name the older one can tell that it was replaced.

CREATE TABLE worker_name (
    name     text PRIMARY KEY,
    process  uuid NOT NULL,
    taken_at timestamptz NOT NULL
);
COMMENT ON TABLE worker_name IS 'The process that goes by each name (CUSTOMER_TIMELINE_WORKER_INSTANCE_ID): the one that was started last.';
COMMENT ON COLUMN worker_name.process IS 'Random; made when the process started.';
COMMENT ON COLUMN worker_name.taken_at IS 'When it first took partitions over.';
