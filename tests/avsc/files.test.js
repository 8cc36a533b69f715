// Archives as Avro files, opened by avsc. TELEHUB_AVRO_FILES names the program that avro_files.c
// becomes, TELEHUB_PEER that of peer.c. Where TELEHUB_AVRO_OUT names a folder, files and what they
// must hold (values.jsonl) are left there for other readers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import avro from 'avsc';
import { RANDOM, framed, make, typeOf } from './values.js';

const schemas = execFileSync(process.env.TELEHUB_PEER, ['schemas'], { encoding: 'utf8' })
  .split('\n')
  .filter((line) => line.startsWith('log '))
  .map((line) => {
    const [, id, json] = /^log (\d+) (.*)$/.exec(line);
    return { id: Number(id), name: JSON.parse(json).name, json, type: typeOf(json) };
  });

const values = schemas.flatMap((s) =>
  Array.from({ length: RANDOM }, () => ({ ...s, body: s.type.toBuffer(make(s.type)) })),
);

function write(folder, codec) {
  const out = execFileSync(process.env.TELEHUB_AVRO_FILES, [folder, codec], {
    input: values.map((v) => framed(v.id, v.body).toString('hex') + '\n').join(''),
    encoding: 'utf8',
  });
  return JSON.parse(out);
}

// All records of a file, as the bytes that its schema makes of them.
async function read(path) {
  const bodies = [];
  const decoder = avro.createFileDecoder(path, {
    parseHook: (schema) => typeOf(JSON.stringify(schema)),
  });
  let type;
  let codec;
  decoder.on('metadata', (t, c) => {
    type = t;
    codec = c;
  });
  for await (const value of decoder) bodies.push(type.toBuffer(value).toString('hex'));
  return { name: type.name, codec, bodies };
}

for (const codec of ['deflate', 'null'])
  test(`avsc opens what the archive wrote, codec ${codec}`, async (t) => {
    const kept = codec === 'deflate' && process.env.TELEHUB_AVRO_OUT;
    const folder = kept || mkdtempSync(join(tmpdir(), 'avro-files-'));
    if (!kept) t.after(() => rmSync(folder, { recursive: true }));
    const counts = write(folder, codec);
    assert.equal(counts.events, values.length);
    assert.equal(counts.left_out, 1);

    const found = new Map(schemas.map((s) => [s.name, []]));
    const files = readdirSync(folder, { recursive: true }).filter((f) => f.endsWith('.avro'));
    assert.equal(files.length, counts.files);
    for (const file of files) {
      const [, name] = /^send\.events\/date=20\d\d-\d\d-\d\d\/(\w+)-v\d+-p\d+-\d{20}-\d{4}\.avro$/.exec(file);
      const one = await read(join(folder, file));
      assert.equal(one.name, `telehub.${name}`);
      assert.equal(one.codec, codec);
      assert.ok(one.bodies.length > 0);
      found.get(name).push(...one.bodies);
    }
    for (const s of schemas) {
      const ours = values.filter((v) => v.name === s.name).map((v) => v.body.toString('hex'));
      assert.deepEqual(found.get(s.name).sort(), ours.sort(), s.name);
    }
    if (kept)
      writeFileSync(
        join(folder, 'values.jsonl'),
        values.map((v) => JSON.stringify({ name: v.name, body: v.body.toString('hex') }) + '\n').join(''),
      );
  });
