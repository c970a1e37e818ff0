"""A log whose bytes are damaged where no checksum tells: the worker stops, says where, and skips nothing."""

from __future__ import annotations

import struct
from pathlib import Path

from crc32c import crc32c
from kafka import KafkaProducer
from live_log import applied_offsets
from pipeline import Pipeline
from two_hands import event
from worker_farm import Farm, until

from customer_timeline.runtime.embedded import EmbeddedKafka

TOPIC = "touchpoints-with-damage"
# A record batch, as Kafka's protocol says: 8 bytes base offset, 4 length, 4 leader epoch, 1 magic, 4 checksum of all
# that follows; the records begin at 61, those of gzip with a header of 10 bytes.
_CHECKSUM, _CHECKED, _RECORDS, _GZIP_HEADER = 17, 21, 61, 10


def _append(bootstrap: str, *values: bytes) -> None:
    """Each in a batch of its own, packed with gzip, in partition 0."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", compression_type="gzip")
    try:
        for value in values:
            producer.send(TOPIC, value, partition=0).get(timeout=30)
    finally:
        producer.close()


def _damage(segment: Path, batch: int) -> bytes:
    """Spoil the packed records of a batch, counted from 0, with a checksum that is right; returns what was there."""
    whole = segment.read_bytes()
    start = 0
    for _ in range(batch):
        start += 12 + struct.unpack_from(">i", whole, start + 8)[0]
    end = start + 12 + struct.unpack_from(">i", whole, start + 8)[0]
    spoilt = bytearray(whole[start:end])
    spoilt[_RECORDS + _GZIP_HEADER] = 0xFF  # a block of a type that there is not
    struct.pack_into(">I", spoilt, _CHECKSUM, crc32c(bytes(spoilt[_CHECKED:])))
    segment.write_bytes(whole[:start] + bytes(spoilt) + whole[end:])
    return whole


def test_a_batch_that_cannot_be_unpacked_stops_the_worker_before_it_and_restored_it_goes_on(
    farm: Farm, own_kafka: EmbeddedKafka, own_folder: Path, database: str
) -> None:
    pipeline = Pipeline(farm, own_kafka.bootstrap, database, TOPIC)
    pipeline.make_topic()
    try:
        _append(own_kafka.bootstrap, *(event(f"e{n}", n, f"email:a{n}@x.test") for n in range(3)))
        own_kafka.stop()
        (segment,) = own_folder.rglob(f"{TOPIC}-0/00000000000000000000.log")
        whole = _damage(segment, 2)
        own_kafka.start()
        worker = pipeline.start()
        assert worker.wait() == 1
        told = worker.log()
        assert "cannot be unpacked (zlib.error)" in told
        assert "x.test" not in told
        # At most what stands before it, and nothing of it.
        assert applied_offsets(pipeline.url, TOPIC)[0] <= 2
        own_kafka.stop()
        segment.write_bytes(whole)
        own_kafka.start()
        pipeline.start()
        until(lambda: pipeline.query("SELECT count(*) FROM timeline") == [(3,)], "all events are in the timeline")
        pipeline.check()
    finally:
        pipeline.close()
