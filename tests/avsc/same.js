// A value as avsc has it equals our JSON of it. Needs no package: `type` brings avsc's own.
import assert from 'node:assert/strict';

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
  'union:unwrapped': (type, theirs, ours, at) => {
    const branch = type.types.find((t) => t.isValid(theirs));
    assert.ok(branch, at);
    return same(branch, theirs, ours, at);
  },
};

// at: where, for whoever reads that it is not.
export function same(type, theirs, ours, at) {
  checks[type.typeName](type, theirs, ours, at);
}
