// Our codec against avsc's, in both directions. TELEHUB_PEER names the program that peer.c becomes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import test from 'node:test';
import avro from 'avsc';

const RANDOM = 40; // values per schema
const FRAME = 5; // bytes: 0x00 and the schema id

function peer(args, lines = []) {
  const out = execFileSync(process.env.TELEHUB_PEER, args, {
    input: lines.map((line) => line + '\n').join(''),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return out.split('\n').filter((line) => line);
}

// avsc's own longs end at 2^53.
const long = avro.types.LongType.__with({
  fromBuffer: (b) => b.readBigInt64LE(),
  toBuffer: (n) => {
    const b = Buffer.alloc(8);
    b.writeBigInt64LE(n);
    return b;
  },
  fromJSON: (n) => BigInt(n),
  toJSON: (n) => Number(n),
  isValid: (n) => typeof n === 'bigint',
  compare: (a, b) => (a < b ? -1 : a > b ? 1 : 0),
});

// { "type": "long", "logicalType": … } is a long here.
function plain(schema) {
  if (Array.isArray(schema)) return schema.map(plain);
  if (schema === null || typeof schema !== 'object') return schema;
  if (schema.logicalType && typeof schema.type === 'string' && !schema.name) return schema.type;
  const out = {};
  for (const [key, value] of Object.entries(schema)) {
    const isSchema = ['type', 'items', 'values', 'fields'].includes(key);
    out[key] = isSchema ? plain(value) : value;
  }
  return out;
}

function typeOf(json) {
  return avro.Type.forSchema(plain(JSON.parse(json)), {
    registry: { long },
    wrapUnions: true,
  });
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

function framed(id, body) {
  const head = Buffer.alloc(FRAME);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, body]);
}

// ---- a value of avsc's equals our JSON ----

const uuid = (hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');

const special = { NaN, Infinity, '-Infinity': -Infinity };
const number = (ours) => (typeof ours === 'string' ? special[ours] : ours);

function branchOf(type, value) {
  const [name] = Object.keys(value);
  return [type.types.find((t) => t.branchName === name), value[name]];
}

const checks = {
  null: (type, theirs, ours, at) => assert.equal(ours, null, at),
  boolean: (type, theirs, ours, at) => assert.equal(ours, theirs, at),
  int: (type, theirs, ours, at) => assert.equal(ours, theirs, at),
  'abstract:long': (type, theirs, ours, at) => assert.equal(ours, Number(theirs), at),
  float: (type, theirs, ours, at) => assert.equal(Math.fround(number(ours)), theirs, at),
  double: (type, theirs, ours, at) => assert.equal(number(ours), theirs, at),
  string: (type, theirs, ours, at) => assert.equal(ours, theirs, at),
  enum: (type, theirs, ours, at) => assert.equal(ours, theirs, at),
  bytes: (type, theirs, ours, at) => assert.equal(ours, theirs.toString('hex'), at),
  fixed: (type, theirs, ours, at) => {
    const hex = theirs.toString('hex');
    assert.equal(ours, type.name === 'telehub.Uuid' ? uuid(hex) : hex, at);
  },
  array: (type, theirs, ours, at) => {
    assert.equal(ours.length, theirs.length, at);
    theirs.forEach((item, i) => same(type.itemsType, item, ours[i], `${at}[${i}]`));
  },
  map: (type, theirs, ours, at) => {
    assert.deepEqual(Object.keys(ours).sort(), Object.keys(theirs).sort(), at);
    for (const key of Object.keys(theirs))
      same(type.valuesType, theirs[key], ours[key], `${at}.${key}`);
  },
  record: (type, theirs, ours, at) => {
    assert.deepEqual(Object.keys(ours), type.fields.map((f) => f.name), at);
    for (const field of type.fields)
      same(field.type, theirs[field.name], ours[field.name], `${at}.${field.name}`);
  },
  'union:wrapped': (type, theirs, ours, at) => {
    if (theirs === null) return assert.equal(ours, null, at);
    const [branch, value] = branchOf(type, theirs);
    return same(branch, value, ours, at);
  },
};

function same(type, theirs, ours, at) {
  checks[type.typeName](type, theirs, ours, at);
}

// ---- random values of a type, the same in every run ----

let state = 20260101;
function below(n) {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return Math.floor((state / 2 ** 32) * n);
}

const text = () =>
  Array.from({ length: below(12) }, () => ['a', 'Z', '"', '\\', '\n', 'é', 'न', '🙏'][below(8)]).join('');
const bytes = (n) => Buffer.from(Array.from({ length: n }, () => below(256)));
const list = (make) => Array.from({ length: below(4) }, make);

const makers = {
  null: () => null,
  boolean: () => below(2) === 1,
  int: () => (below(2 ** 32) - 2 ** 31) >> below(32),
  'abstract:long': () => BigInt.asIntN(64, bytes(8).readBigInt64LE() >> BigInt(below(64))),
  float: () => Math.fround((below(2 ** 24) - 2 ** 23) / 64),
  double: () => (below(2 ** 32) - 2 ** 31) / 3,
  string: text,
  bytes: () => bytes(below(20)),
  fixed: (type) => bytes(type.size),
  enum: (type) => type.symbols[below(type.symbols.length)],
  array: (type) => list(() => make(type.itemsType)),
  map: (type) => Object.fromEntries(list(() => make(type.valuesType)).map((v, i) => [`k${i}${text()}`, v])),
  record: (type) => Object.fromEntries(type.fields.map((f) => [f.name, make(f.type)])),
  'union:wrapped': (type) => {
    const branch = type.types[below(type.types.length)];
    return branch.typeName === 'null' ? null : { [branch.branchName]: make(branch) };
  },
};

function make(type) {
  return makers[type.typeName](type);
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
