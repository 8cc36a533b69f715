// A record with headers as anybody may write one into a topic, and the same one found in another.
//
//   node headers.js write BROKERS[/PREFIX] TOPIC
//   node headers.js read BROKERS[/PREFIX] TOPIC
import assert from 'node:assert/strict';
import { openKafka, readTopics } from './topic.js';

const [what, where, name] = process.argv.slice(2);
if (!name || !['write', 'read'].includes(what)) {
  console.error('usage: node headers.js write|read BROKERS[/PREFIX] TOPIC');
  process.exit(2);
}
const [brokers, prefix = 'th.'] = where.split('/');
const kafka = openKafka(brokers);
const topic = prefix + name;
// kafkajs writes no null: that is for the conformance suite.
const records = [
  { key: 'foreign/one', value: 'no headers', headers: {} },
  {
    key: 'foreign/two',
    value: 'headers of every kind',
    headers: {
      traceparent: Buffer.from('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'),
      empty: Buffer.alloc(0),
      bytes: Buffer.from([0, 255, 128, 0]),
      hop: [Buffer.from('first'), Buffer.alloc(0), Buffer.from('first'), Buffer.from('last')],
      'नाम': Buffer.from('a name that is no ASCII'),
    },
  },
  { key: 'foreign/three', value: 'large', headers: { large: Buffer.alloc(500_000, 'x') } },
];

if (what === 'write') {
  const producer = kafka.producer();
  await producer.connect();
  for (const record of records) await producer.send({ topic, messages: [record] });
  await producer.disconnect();
} else {
  const found = new Map();
  await readTopics(kafka, [topic], async (_topic, _partition, { key, value, headers, timestamp }) => {
    if (!String(key).startsWith('foreign/')) return;
    // Beside a record's own: when it was appended where it was first, in microseconds.
    const { 'telehub.at_us': at, ...own } = headers;
    assert.ok(at && at.readBigInt64BE() > 1_700_000_000_000_000n && at.readBigInt64BE() <= BigInt(timestamp) * 1000n);
    found.set(String(key), { value: String(value), headers: own });
  });
  for (const { key, value, headers } of records) {
    assert.deepEqual(found.get(key), { value, headers }, key);
    assert.deepEqual(Object.keys(found.get(key).headers), Object.keys(headers), `${key}: their order`);
  }
  assert.equal(found.size, records.length);
}
