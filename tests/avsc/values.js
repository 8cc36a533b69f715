// Schemas of the log as avsc's types, and random values of them, the same in every run.
import avro from 'avsc';

export const RANDOM = 40; // values per schema
export const FRAME = 5; // bytes: 0x00 and the schema id

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

export function typeOf(json) {
  return avro.Type.forSchema(plain(JSON.parse(json)), {
    registry: { long },
    wrapUnions: true,
  });
}

export function framed(id, body) {
  const head = Buffer.alloc(FRAME);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, body]);
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

export function make(type) {
  return makers[type.typeName](type);
}
