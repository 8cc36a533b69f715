// npm's schema-registry client against our registry; tests/registry/run says where things are.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { SchemaType } from '@kafkajs/confluent-schema-registry';
import { same } from '../avsc/same.js';
import { openKafka, openRegistry, readTopics } from './topic.js';

const { TELEHUB_REGISTRY, TELEHUB_TOPICS, TELEHUB_BROKERS, TELEHUB_PEER } = process.env;
const registry = openRegistry(TELEHUB_REGISTRY);

// What our own reader says: {topic: [{part, offset, event, bytes}]}.
const ours = Object.fromEntries(
  readdirSync(TELEHUB_TOPICS).map((topic) => [
    topic,
    readFileSync(path.join(TELEHUB_TOPICS, topic), 'utf8')
      .split('\n')
      .filter((line) => line)
      .map((line) => JSON.parse(line)),
  ]),
);
const total = Object.values(ours).reduce((n, records) => n + records.length, 0);

async function ask(method, where, body) {
  const answer = await fetch(TELEHUB_REGISTRY + where, {
    method,
    headers: { 'Content-Type': 'application/vnd.schemaregistry.v1+json' },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, json: await answer.json() };
}

const newest = {}; // id by name of event

// value, as the client decodes it, is our event; and we write the newest version only.
async function expectSame(value, event, at) {
  const id = value.readInt32BE(1);
  const [name] = Object.keys(event);
  newest[name] ??= await registry.getLatestSchemaId(`telehub.${name}`);
  assert.equal(id, newest[name], at);
  same(await registry.getSchema(id), await registry.decode(value), event[name], `${at} ${name}`);
}

test(`every one of the ${total} records on the log is decoded as our reader has it`, async () => {
  assert.ok(total > 1000);
  for (const [topic, records] of Object.entries(ours))
    for (const { part, offset, event, bytes } of records)
      await expectSame(Buffer.from(bytes, 'hex'), event, `${topic} ${part} ${offset}`);
});

test('every version of every subject is there, under an id of its own', async () => {
  const { json: subjects } = await ask('GET', '/subjects');
  const ids = new Set();
  const compatibility = 'BACKWARD_TRANSITIVE'; // else the client insists on its own default
  assert.ok(subjects.length > 50);
  for (const subject of subjects) {
    const { json: versions } = await ask('GET', `/subjects/${subject}/versions`);
    for (const version of versions) {
      const id = await registry.getRegistryId(subject, version);
      assert.ok(!ids.has(id));
      ids.add(id);
      const { json } = await ask('GET', `/schemas/ids/${id}`);
      const schema = { type: SchemaType.AVRO, schema: json.schema };
      assert.equal(await registry.getRegistryIdBySchema(subject, schema), id);
      assert.equal((await registry.register(schema, { subject, compatibility })).id, id);
      assert.ok((await registry.getLatestSchemaId(subject)) >= id);
    }
  }
});

test('what the client writes in any version, we read', async () => {
  const { json: subjects } = await ask('GET', '/subjects');
  const made = [];
  for (const subject of subjects) {
    const { json: versions } = await ask('GET', `/subjects/${subject}/versions`);
    for (const version of versions) {
      const id = await registry.getRegistryId(subject, version);
      const type = await registry.getSchema(id);
      for (let i = 0; i < 10; i++) made.push({ id, type, subject, value: type.random() });
    }
  }
  const written = await Promise.all(made.map(({ id, value }) => registry.encode(id, value)));
  const answers = execFileSync(TELEHUB_PEER, ['decode', 'log'], {
    input: written.map((bytes) => `${bytes.toString('hex')}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const lines = answers.split('\n').filter((line) => line);
  assert.equal(lines.length, made.length);
  lines.forEach((line, i) => {
    assert.notEqual(line[0], '!', `${made[i].subject}: ${line}`);
    const event = JSON.parse(line.slice(line.indexOf(' ') + 1));
    const [name] = Object.keys(event);
    assert.equal(`telehub.${name}`, made[i].subject);
    for (const field of made[i].type.fields)
      same(field.type, made[i].value[field.name], event[name][field.name], `${name}.${field.name}`);
  });
});

test('what is refused is refused as a registry does it', async () => {
  await assert.rejects(registry.getLatestSchemaId('telehub.None'), /Subject 'telehub.None' not found/);
  await assert.rejects(registry.decode(Buffer.from([0, 0, 0, 0, 1])), /Schema 1 not found/);
  const schema = JSON.stringify({ type: 'record', name: 'New', namespace: 'other', fields: [] });
  await assert.rejects(registry.register({ type: SchemaType.AVRO, schema }, { subject: 'other.New' }), /read-only/);
  const { json } = await ask('DELETE', '/subjects/telehub.AttemptStarted');
  assert.equal(json.error_code, 42205);
});

test('a reader that wants less is compatible, one that wants what nobody wrote is not', async () => {
  const where = '/compatibility/subjects/telehub.AttemptStarted/versions/latest';
  const reader = (...fields) => ({
    schema: JSON.stringify({ type: 'record', name: 'AttemptStarted', namespace: 'telehub', fields }),
  });
  const n = { name: 'n', type: 'long' };
  const more = { name: 'more', type: 'string' };
  assert.deepEqual((await ask('POST', where, reader(n))).json, { is_compatible: true });
  assert.deepEqual((await ask('POST', where, reader(n, more))).json, { is_compatible: false });
  assert.deepEqual((await ask('POST', where, reader(n, { ...more, default: '' }))).json, { is_compatible: true });
});

// A transaction that another client begins in our topic, and gives up.
async function writeAborted(kafka, topic, records) {
  const producer = kafka.producer({ transactionalId: 'given-up', idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: records.map(({ bytes }) => ({ key: 'x', value: Buffer.from(bytes, 'hex') })) });
  await transaction.abort();
  await producer.disconnect();
}

async function countUncommitted(kafka, topic) {
  let n = 0;
  await readTopics(kafka, [topic], async () => n++, { readUncommitted: true });
  return n;
}

test('kafkajs reads the records that our reader does, no more and no fewer', { skip: !TELEHUB_BROKERS && 'the log lies in Postgres', timeout: 120_000 }, async () => {
  const [brokers, prefix = 'th.'] = TELEHUB_BROKERS.split('/');
  const kafka = openKafka(brokers);
  const given = ours['send.events'].slice(0, 7);
  const missing = new Map();
  let n = 0;

  for (const [topic, records] of Object.entries(ours))
    for (const { part, offset, event } of records) missing.set(`${prefix}${topic} ${part} ${offset}`, event);
  await writeAborted(kafka, `${prefix}send.events`, given);
  await readTopics(kafka, Object.keys(ours).map((t) => prefix + t), async (topic, part, { offset, value }) => {
    const at = `${topic} ${part} ${offset}`;
    assert.ok(missing.has(at), `${at} is not what our reader has`);
    await expectSame(value, missing.get(at), at);
    missing.delete(at);
    n++;
  });
  assert.equal(missing.size, 0, `not read: ${[...missing.keys()].slice(0, 5)}`);
  assert.equal(n, total);
  // What was given up lies there all the same, for whoever asks for it.
  assert.ok((await countUncommitted(kafka, `${prefix}send.events`)) >= ours['send.events'].length + given.length);
});
