"""Our topics, read by Confluent's own client: librdkafka as it brings it, its schema-registry client,
fastavro. As many records as our reader has, and each says the same.

    reader.py BROKERS[/PREFIX] REGISTRY TOPICS

TOPICS is a folder with a file for each topic: what `telehub log tail --all --bytes` says of it. Exit
status 1 when a record is missing, is one too many or says anything else.
"""

import json
import os
import re
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext


def ours(folder):
    """{(topic, partition, offset): event}"""
    records = {}
    for topic in os.listdir(folder):
        with open(os.path.join(folder, topic), encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                records[topic, record["part"], record["offset"]] = record["event"]
    return records


UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def plain(value):
    """A value that can be compared: our JSON has bytes as hexadecimal, and ids with dashes in it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and UUID.fullmatch(value):
        return value.replace("-", "")
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def read(brokers, topics):
    """Every committed record of the topics."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "confluent",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
        }
    )
    known = consumer.list_topics(timeout=30).topics
    open_ = {(topic, part) for topic in topics for part in known[topic].partitions}
    consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for topic, part in open_])
    while open_:
        message = consumer.poll(60)
        if message is None:
            raise SystemExit(f"no answer from {brokers} for 60 s")
        if message.error() is None:
            yield message
        elif message.error().name() == "_PARTITION_EOF":
            open_.discard((message.topic(), message.partition()))
        else:
            raise SystemExit(str(message.error()))
    consumer.close()


def main(log, registry, folder):
    brokers, _, prefix = log.partition("/")
    prefix = prefix or "th."
    missing = ours(folder)
    total = len(missing)
    decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
    for message in read(brokers, [prefix + topic for topic in os.listdir(folder)]):
        topic = message.topic()
        at = topic.removeprefix(prefix), message.partition(), message.offset()
        event = missing.pop(at, None)
        if event is None:
            raise SystemExit(f"{at} is not what our reader has")
        (wanted,) = plain(event).values()
        found = plain(decode(message.value(), SerializationContext(topic, MessageField.VALUE)))
        if found != wanted:
            raise SystemExit(f"{at}: {found} where our reader has {wanted}")
    if missing:
        raise SystemExit(f"not read: {sorted(missing)[:5]}")
    print(f"confluent-kafka: {total} records, each what our reader says")


if __name__ == "__main__":
    main(*sys.argv[1:])
