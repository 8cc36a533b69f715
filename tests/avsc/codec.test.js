// Our codec against avsc's, in both directions. TELEHUB_PEER names the program that peer.c becomes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import { same } from './same.js';
import { FRAME, RANDOM, framed, make, typeOf } from './values.js';

function peer(args, lines = []) {
  const out = execFileSync(process.env.TELEHUB_PEER, args, {
    input: lines.map((line) => line + '\n').join(''),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return out.split('\n').filter((line) => line);
}

function parseLine(line) {
  const space = line.indexOf(' ');
  assert.notEqual(line[0], '!', line);
  return { value: Buffer.from(line.slice(0, space), 'hex'), json: JSON.parse(line.slice(space + 1)) };
}

const schemas = peer(['schemas']).map((line) => {
  const [, set, id, json] = /^(\w+) (\d+) (.*)$/.exec(line);
  return { set, id: Number(id), version: id % 256, name: JSON.parse(json).name, type: typeOf(json) };
});

function schemaOf(set, id) {
  const found = schemas.find((s) => s.set === set && s.id === id);
  assert.ok(found, `${set} ${id}`);
  return found;
}

// ---- versions: a record of an older one is read as the newest ----

const newestOf = ({ set, id }) =>
  schemas
    .filter((s) => s.set === set && s.id - s.version === id - (id % 256))
    .reduce((newest, s) => (s.version > newest.version ? s : newest));

function upgraded({ type, theirs }, newest) {
  if (type === newest.type) return theirs;
  return newest.type.fromBuffer(type.toBuffer(theirs), newest.type.createResolver(type));
}

// ---- the tests ----

test('every schema is one that avsc takes', () => {
  assert.ok(schemas.length > 20);
  for (const s of schemas) assert.equal(s.type.name, `telehub.${s.name}`);
});

test('avsc reads what we write, and writes the same bytes', () => {
  const samples = peer(['samples']).map(parseLine);
  assert.ok(samples.length > 200);
  for (const { value, json } of samples) {
    const { type, name } = schemaOf('all', value.readUInt32BE(1));
    const theirs = type.fromBuffer(value.subarray(FRAME));
    same(type, theirs, json[name], name);
    assert.deepEqual(type.toBuffer(theirs), value.subarray(FRAME));
  }
});

for (const set of ['all', 'log'])
  test(`we read what avsc writes, and write the same bytes: ${set}`, () => {
    const made = schemas
      .filter((s) => s.set === set)
      .flatMap((s) => Array.from({ length: RANDOM }, () => ({ ...s, schema: s, theirs: make(s.type) })));
    const values = made.map((m) => framed(m.id, m.type.toBuffer(m.theirs)));
    const answers = peer(['decode', set], values.map((v) => v.toString('hex'))).map(parseLine);
    assert.equal(answers.length, made.length);
    made.forEach((m, i) => {
      const newest = newestOf(m);
      same(newest.type, upgraded(m, newest), answers[i].json[m.name], m.name);
      if (newest === m.schema) assert.deepEqual(answers[i].value, values[i]);
    });
  });

// Writer and reader versions of CampaignCreated (id 9): older writers, then a newer one.
const pairs = [
  { reader: 'new', readerVersion: 4, writerVersion: 1 },
  { reader: 'new', readerVersion: 4, writerVersion: 2 },
  { reader: 'new', readerVersion: 4, writerVersion: 3 },
  { reader: 'old', readerVersion: 2, writerVersion: 1 },
  { reader: 'old', readerVersion: 2, writerVersion: 3 },
  { reader: 'old', readerVersion: 2, writerVersion: 4 },
];

for (const { reader, readerVersion, writerVersion } of pairs)
  test(`version ${writerVersion} is read by version ${readerVersion} as avsc resolves it`, () => {
    const writerType = schemaOf('new', 9 * 256 + writerVersion).type;
    const readerType = schemaOf(reader, 9 * 256 + readerVersion).type;
    const resolver = readerType.createResolver(writerType);
    const bodies = Array.from({ length: RANDOM }, () => writerType.toBuffer(make(writerType)));
    const lines = bodies.map((b) => framed(9 * 256 + writerVersion, b).toString('hex'));
    const answers = peer(['decode', reader], lines).map(parseLine);
    assert.equal(answers.length, bodies.length);
    bodies.forEach((body, i) => {
      const resolved = readerType.fromBuffer(body, resolver);
      same(readerType, resolved, answers[i].json.CampaignCreated, 'CampaignCreated');
      assert.deepEqual(answers[i].value.subarray(FRAME), readerType.toBuffer(resolved));
    });
  });
