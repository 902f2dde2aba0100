import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { BlobCache } from '../../src/blobs/cache.js';
import { type Logger, silentLogger } from '../../src/log.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

function setUp({ size = 1e6, log = silentLogger }: { size?: number; log?: Logger } = {}) {
  const directory = join(scratchDirectory(), 'made/anew');
  const cache = new BlobCache(directory, size, log);
  const scratch = scratchDirectory();
  let count = 0;
  const path = () => join(scratch, `file-${count++}`);
  const add = (key: string, content: string) => {
    const file = path();
    writeFileSync(file, content);
    const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
    const blob = { diffId: `sha256:${'0'.repeat(64)}`, digest, size: content.length, tarSize: 7 };
    cache.add(key, file, blob);
    return blob;
  };
  return { directory, cache, path, add };
}

test('a blob is restored with its digests and sizes', () => {
  const { cache, path, add } = setUp();
  const blob = add('key', 'content');
  const target = path();
  assert.deepEqual(cache.restore('key', target), blob);
  assert.equal(readFileSync(target, 'utf8'), 'content');
  const other = path();
  assert.equal(cache.restore('other', other), undefined);
  assert.equal(existsSync(other), false);
});

test('a blob that is added twice is kept once', () => {
  const { directory, cache, path, add } = setUp();
  add('key', 'content');
  const blob = add('key', 'content');
  assert.deepEqual(readdirSync(directory), ['key']);
  assert.deepEqual(cache.restore('key', path()), blob);
});

/** Ways in which an entry can be damaged, by name. */
const damages: Readonly<Record<string, (entry: string) => void>> = {
  'a truncated blob': (entry) => truncateSync(join(entry, 'blob'), 3),
  'a blob of other bytes': (entry) => writeFileSync(join(entry, 'blob'), 'CONTENT'),
  'no blob': (entry) => rmSync(join(entry, 'blob')),
  'no entry.json': (entry) => rmSync(join(entry, 'entry.json')),
  'an empty entry.json': (entry) => writeFileSync(join(entry, 'entry.json'), ''),
  'a foreign entry.json': (entry) => writeFileSync(join(entry, 'entry.json'), '{"size":7}'),
};
for (const [name, damage] of Object.entries(damages)) {
  test(`an entry with ${name} is not used and can be added again`, () => {
    const { directory, cache, path, add } = setUp();
    const blob = add('key', 'content');
    damage(join(directory, 'key'));
    const target = path();
    assert.equal(cache.restore('key', target), undefined);
    assert.equal(existsSync(target), false);
    add('key', 'content');
    assert.deepEqual(cache.restore('key', target), blob);
  });
}

test('a blob whose bytes changed, but neither its size nor its time, is not used', () => {
  const { directory, cache, path, add } = setUp();
  const known = add('other', 'content');
  const file = path();
  writeFileSync(file, 'content');
  utimesSync(file, 1000, 1000);
  cache.add('key', file, known);

  const blob = join(directory, 'key/blob');
  writeFileSync(blob, 'changed');
  utimesSync(blob, 1000, 1000);
  assert.equal(cache.restore('key', path()), undefined);
});

/** A user other than the one who runs the tests as root. */
const NOBODY = 65534;

/** What makes an entry one that another user could have written. */
const openings: Readonly<Record<string, (path: string) => void>> = {
  'belongs to another user': (path) => chownSync(path, NOBODY, NOBODY),
  'can be written by the group': (path) => chmodSync(path, 0o775),
  'can be written by everybody': (path) => chmodSync(path, 0o777),
};
for (const [name, open] of Object.entries(openings)) {
  const options = name.startsWith('belongs') ? needs('root') : {};

  for (const part of ['', 'blob', 'entry.json']) {
    test(`an entry is ignored if its ${part || 'directory'} ${name}`, options, () => {
      const warnings: string[] = [];
      const { directory, cache, path, add } = setUp({
        log: { ...silentLogger, warn: (message) => warnings.push(message) },
      });
      add('key', 'content');
      open(join(directory, 'key', part));
      const target = path();
      assert.equal(cache.restore('key', target), undefined);
      assert.equal(cache.restore('key', target), undefined);
      assert.equal(existsSync(target), false);
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] ?? '',
        /key(\/blob|\/entry\.json)?\/? (belongs to|can be written by) \S+ .*are ignored$/,
      );
      cache.trim();
      assert.ok(existsSync(join(directory, 'key/blob')), 'it is not removed either');
    });
  }

  test(`a cache is not used if its folder ${name}`, options, () => {
    const warnings: string[] = [];
    const { directory, path, add } = setUp();
    const blob = add('key', 'content');
    open(directory);
    const cache = new BlobCache(directory, 0, {
      ...silentLogger,
      warn: (message) => warnings.push(message),
    });
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /is not used: its folder (belongs to|can be written by) /);
    assert.equal(cache.restore('key', path()), undefined);
    cache.add('other', join(directory, 'key/blob'), blob);
    cache.trim();
    assert.deepEqual(readdirSync(directory), ['key']);
  });
}

test('an entry with a blob that others can write is replaced by the next one', () => {
  const { directory, cache, path, add } = setUp();
  const blob = add('key', 'content');
  chmodSync(join(directory, 'key/blob'), 0o666);
  add('key', 'content');
  assert.deepEqual(cache.restore('key', path()), blob);
});

test('an entry with a symlink in the place of its blob is ignored', () => {
  const { directory, cache, path, add } = setUp();
  add('key', 'content');
  const blob = join(directory, 'key/blob');
  renameSync(blob, join(directory, 'moved'));
  symlinkSync('../moved', blob);
  assert.equal(cache.restore('key', path()), undefined);
});

test('files of an entry are not writable by others, whatever the umask', () => {
  const umask = process.umask(0);
  try {
    const { directory, cache, path, add } = setUp();
    add('key', 'content');
    assert.equal(statSync(join(directory, 'key/entry.json')).mode & 0o022, 0);
    chmodSync(join(directory, 'key/blob'), 0o644);
    assert.ok(cache.restore('key', path()));
  } finally {
    process.umask(umask);
  }
});

test('blobs of the own user are linked, those of root are copied', needs('root'), () => {
  const { directory, cache, path, add } = setUp();
  const blob = add('key', 'content');
  const linked = path();
  cache.restore('key', linked);
  const cached = join(directory, 'key/blob');
  assert.equal(statSync(linked).ino, statSync(cached).ino);

  for (const opened of [directory, dirname(directory), dirname(dirname(directory))]) {
    chmodSync(opened, 0o755);
  }
  chmodSync(join(directory, 'key'), 0o755);
  const scratch = scratchDirectory();
  chownSync(scratch, NOBODY, NOBODY);
  const copied = join(scratch, 'copied');
  process.seteuid?.(NOBODY);
  try {
    const ofNobody = new BlobCache(directory, 1e6, silentLogger);
    assert.deepEqual(ofNobody.restore('key', copied), blob);
  } finally {
    process.seteuid?.(0);
  }
  assert.notEqual(statSync(copied).ino, statSync(cached).ino);
  assert.equal(statSync(copied).uid, NOBODY);
});

test('trimming removes what was not used for longest', () => {
  const { directory, cache, path, add } = setUp({ size: 25 });
  for (const key of ['a', 'b', 'c']) {
    add(key, key.repeat(10));
  }
  for (const [i, key] of ['a', 'b', 'c'].entries()) {
    utimesSync(join(directory, key, 'entry.json'), 1000 + i, 1000 + i);
  }
  cache.restore('a', path());
  cache.trim();
  assert.deepEqual(readdirSync(directory).sort(), ['a', 'c']);
});

test('a cache that cannot be written to gives warnings', () => {
  const warnings: string[] = [];
  const { directory, cache, add } = setUp({
    log: { ...silentLogger, warn: (message) => warnings.push(message) },
  });
  rmSync(directory, { recursive: true });
  add('key', 'content');
  cache.trim();
  assert.equal(warnings.length, 2);
});

test('a cache that cannot be made is an error', () => {
  const file = join(scratchDirectory(), 'file');
  writeFileSync(file, '');
  for (const folder of [file, join(file, 'a/below'), '/proc/none', '/proc/none/below', '']) {
    assert.throws(() => new BlobCache(folder, 1, silentLogger), {
      code: /^(IO|NOT_FOUND)$/,
      message: new RegExp(`^layer cache ${folder}: E[A-Z]+: `),
    });
  }
});

test('a build takes the layers that it has written before from the cache', async () => {
  const { cache, directory } = setUp();
  const spec = dir({ a: dir({ x: 'a1' }), b: dir({ x: 'b1' }) });
  const first = await buildImage(spec, { cache });
  assert.equal(readdirSync(directory).length, 3);
  const messages: string[] = [];
  const again = await buildImage(spec, {
    cache,
    log: { ...silentLogger, info: (message) => messages.push(message) },
  });
  assert.ok(
    messages.some((message) => /^3 layers are known .* 0 are to be written$/.test(message)),
    `${messages}`,
  );
  assert.equal(again.image.manifestDigest, first.image.manifestDigest);
  const other = await buildImage(spec, { cache, compression: { name: 'gzip', level: 1 } });
  assert.deepEqual(
    other.written.layers.map(({ diffId }) => diffId),
    first.written.layers.map(({ diffId }) => diffId),
  );
  assert.equal(readdirSync(directory).length, 6, 'another level is another blob');
});

test('trimming leaves everything in the folder that is not an entry', () => {
  const { directory, cache, add } = setUp({ size: 1 });
  for (const name of ['.git', 'documents']) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'file'), '');
    utimesSync(join(directory, name), 1000, 1000);
  }
  writeFileSync(join(directory, '.profile'), '');
  utimesSync(join(directory, '.profile'), 1000, 1000);
  add('key', 'content');

  cache.trim();
  assert.deepEqual(readdirSync(directory).sort(), ['.git', '.profile', 'documents']);
});
