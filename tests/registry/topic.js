// Reading TeleHub's topics with what npm has: kafkajs for Kafka, @kafkajs/confluent-schema-registry
// for what the bytes mean. Nothing here is ours but the addresses.
import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import avro from 'avsc';
import kafkajs from 'kafkajs';
import lz4 from 'lz4js';

const { Kafka, CompressionCodecs, CompressionTypes, logLevel } = kafkajs;

// Our batches are LZ4 frames, which kafkajs knows by name only.
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => Buffer.from(lz4.compress(encoder.buffer)),
  decompress: async (bytes) => Buffer.from(lz4.decompress(bytes)),
});

// A number of JavaScript's ends at 2^53, a long of ours does not: longs are BigInts.
const long = avro.types.LongType.__with({
  fromBuffer: (bytes) => bytes.readBigInt64LE(),
  toBuffer: (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return bytes;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (value) => typeof value === 'bigint',
  compare: (a, b) => (a < b ? -1 : Number(a > b)),
});

// registry: the gateway's address and "/registry".
export function openRegistry(registry) {
  return new SchemaRegistry({ host: registry }, { [SchemaType.AVRO]: { typeHook: (type) => (type === 'long' ? long : undefined) } });
}

export function openKafka(brokers) {
  return new Kafka({ clientId: 'reader', brokers: brokers.split(','), logLevel: logLevel.ERROR });
}

// Where the topics end now, of the partitions that hold anything: {"topic partition": offset}.
async function endsOf(kafka, topics) {
  const admin = kafka.admin();
  const ends = new Map();

  await admin.connect();
  try {
    for (const topic of topics)
      for (const { partition, high } of await admin.fetchTopicOffsets(topic))
        if (high !== '0') ends.set(`${topic} ${partition}`, BigInt(high));
  } finally {
    await admin.disconnect();
  }
  return ends;
}

// Call each(topic, partition, message) with every record of the topics that was committed when this
// began, in the order of each partition. What an open or aborted transaction wrote does not come:
// kafkajs reads committed records unless it is told otherwise.
export async function readTopics(kafka, topics, each, options = {}) {
  const ends = await endsOf(kafka, topics);
  const groupId = `reader-${process.pid}-${Date.now()}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 100, ...options });
  if (ends.size === 0) return;

  await consumer.connect();
  try {
    await consumer.subscribe({ topics, fromBeginning: true });
    await new Promise((resolve, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error));
      // lastOffset counts the marks of transactions too, in which a partition ends.
      consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { topic, partition, lastOffset } }) => {
        const at = `${topic} ${partition}`;
        if (BigInt(lastOffset) + 1n >= ends.get(at)) ends.delete(at);
        if (ends.size === 0) resolve();
      });
      consumer
        .run({ eachMessage: ({ topic, partition, message }) => each(topic, partition, message) })
        .catch(reject);
    });
  } finally {
    await consumer.disconnect();
  }
}
