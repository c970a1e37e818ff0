"""The worker beside its peers on one topic, one Postgres and one timeline table. Never imported by the product."""
