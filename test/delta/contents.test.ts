// What a delta holds of each file, read from the delta alone.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { DELTA_TYPE, readDelta } from '../../src/delta/artifact.js';
import { readDeltaFiles } from '../../src/delta/contents.js';
import { openZstdLibrary } from '../../src/system/zstd-library.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

/** Returns a file of noise in which one line depends on `change`. */
function file(name: string, seed: string, change = ''): ForgedEntry {
  const lines = Array.from({ length: 900 }, (_, i) => (i === 450 ? change : `${seed}${i}`));
  const noise = lines.map((line) => createHash('sha256').update(line).digest('hex'));
  return { ...{ name, type: 'file', content: Buffer.from(noise.join('\n')), mode: 0o644 } };
}

const old = forgePlain([
  [file('usr/bin/same', 'same'), file('usr/lib/liba.so.1', 'a', '1'), file('usr/share/x', 'x')],
]).imgref;
const target = forgePlain([
  [
    file('usr/libexec/same', 'same'),
    file('usr/lib/liba.so.2', 'a', '2'),
    file('sysroot/ostree/repo/objects/00/1.file', 'x', 'changed'),
    { name: 'usr/share/x', type: 'link', linkname: 'sysroot/ostree/repo/objects/00/1.file' },
    file('etc/new', 'new'),
  ],
]).imgref;
const size = file('x', 'x').content?.length ?? assert.fail();
const delta = `oci:${join(scratchDirectory(), 'delta')}`;

const skip = openZstdLibrary() === undefined && 'needs Linux with glibc and koffi';

suite('the content of a delta', { skip }, () => {
  before(() => ostrata(['delta', 'create', old, target, delta]));

  test('is found for each file, by the path that a hard link gives it', async () => {
    const image = await openImage(delta, { artifactType: DELTA_TYPE });
    const opened = await readDelta(image);
    const files = await readDeltaFiles(image, opened);
    assert.deepEqual(
      files.map((each) => [each.path, each.size]),
      ['usr/libexec/same', 'usr/lib/liba.so.2', 'usr/share/x', 'etc/new'].map((path) => [
        path,
        size,
      ]),
    );
    const [same, library, data, added] = files.map(({ deltaSize }) => deltaSize);
    assert.equal(same, 0);
    assert.ok(library !== undefined && library > 0 && library < 500, `${library}`);
    assert.ok(data !== undefined && data > 0 && data < 500, `${data}`);
    const all = files.reduce((sum, { deltaSize }) => sum + deltaSize, 0);
    const blob = opened.layers[0]?.blob?.size ?? 0;
    assert.ok(Math.abs(all - blob) < 3, `${all} of ${blob} bytes`);
    assert.ok(added !== undefined && added > blob * 0.9, `${added} of ${blob} bytes`);
  });

  test('is summed up by the kind of files', () => {
    const json = ostrata(['delta', 'inspect', '--files', '--json', delta]);
    const kind = v.object({ kind: v.string(), files: v.number(), size: v.number() });
    const { kinds } = parseJson(json, v.object({ kinds: v.array(kind) }));
    const names = ['configuration', 'libraries', 'programs', 'shared data'];
    assert.deepEqual(
      kinds.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
      names.map((name) => ({ kind: name, files: 1, size })),
    );
    assert.equal(kinds[0]?.kind, 'configuration');
    const text = ostrata(['delta', 'inspect', '--files', delta]);
    assert.match(text, /^FILES OF +COUNT +CONTENT +DELTA\nconfiguration +1 /m);
  });
});
