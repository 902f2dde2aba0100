/** The times that Python sources have in images of trees whose database records no times. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const SOURCE = 'print("hello")\n';
const MTIME = 1_600_000_000;
const MD5 = createHash('md5').update(SOURCE).digest('hex');

/** Returns a compiled file of a source of `size` bytes; `flags` 1 says that it names no time. */
function compiled(flags: number, size: number): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt32LE(flags, 4);
  bytes.writeUInt32LE(MTIME, 8);
  bytes.writeUInt32LE(size, 12);
  return bytes;
}

interface Target {
  readonly target: string;
}
type Files = Readonly<Record<string, string | Buffer | Target>>;

/**
 * Builds an image of Python sources and returns the time of each, by its name.
 * @param sums names of the files whose checksums the package records
 * @param conffiles lines that describe its files of settings
 */
function builtTimes(files: Files, sums: readonly string[], conffiles: readonly string[] = []) {
  const scratch = scratchDirectory();
  const root = join(scratch, 'root');
  const fields = ['Package: py', 'Conffiles:', ...conffiles, 'Version: 1'];
  const database = {
    'var/lib/dpkg/status': `${fields.join('\n')}\n`,
    'var/lib/dpkg/info/py.md5sums': sums.map((path) => `${MD5}  ${path}\n`).join(''),
  };
  for (const [path, content] of Object.entries<Files[string]>({ ...database, ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (typeof content === 'object' && 'target' in content) {
      symlinkSync(content.target, join(root, path));
    } else {
      writeFileSync(join(root, path), content);
    }
  }
  const image = join(scratch, 'image');
  const build = ['build', '--json', '--compression=none', '--rootfs', root];
  const { layers } = JSON.parse(ostrata([...build, `oci:${image}:x`]));
  const times = new Map<string, number>();
  for (const { digest } of layers) {
    const blob = join(image, 'blobs', digest.replace(':', '/'));
    for (const line of run('tar', ['--utc', '--full-time', '-tvf', blob]).trim().split('\n')) {
      const [, , , day, time, path = ''] = line.split(/ +/);
      times.set(path.replace(/^\.?\//, ''), Date.parse(`${day}T${time}Z`) / 1000);
    }
  }
  return times;
}

test('a Python source as packaged has the time that its compiled file names', () => {
  const times = builtTimes(
    {
      'usr/a.py': SOURCE,
      'usr/__pycache__/a.cpython-311.pyc': compiled(0, SOURCE.length),
      'usr/changed.py': SOURCE.replace('hello', 'HELLO'),
      'usr/__pycache__/changed.cpython-311.pyc': compiled(0, SOURCE.length),
      'usr/hash.py': SOURCE,
      'usr/__pycache__/hash.cpython-311.pyc': compiled(1, SOURCE.length),
      'usr/size.py': SOURCE,
      'usr/__pycache__/size.cpython-311.pyc': compiled(0, 1),
      'usr/short.py': SOURCE,
      'usr/__pycache__/short.cpython-311.pyc': '',
      'usr/alone.py': SOURCE,
      'usr/unowned.py': SOURCE,
      'usr/__pycache__/unowned.cpython-311.pyc': compiled(0, SOURCE.length),
    },
    ['a', 'changed', 'hash', 'size', 'short', 'alone'].map((name) => `usr/${name}.py`),
  );
  assert.equal(times.get('usr/a.py'), MTIME);
  for (const name of ['changed', 'hash', 'size', 'short', 'alone', 'unowned']) {
    assert.equal(times.get(`usr/${name}.py`), 0, name);
  }
  assert.equal(times.get('usr/__pycache__/a.cpython-311.pyc'), 0);
});

test('a file of settings has that time too, where Python finds it through a symlink', () => {
  const names = ['site', 'edited', 'obsolete', 'new'];
  const files: Record<string, string | Buffer | Target> = {};
  for (const name of names) {
    files[`etc/python/${name}.py`] = SOURCE;
    files[`usr/lib/python/${name}.py`] = { target: `/etc/python/${name}.py` };
    files[`usr/lib/python/__pycache__/${name}.cpython-311.pyc`] = compiled(0, SOURCE.length);
  }
  files['etc/python/edited.py'] = SOURCE.replace('hello', 'HELLO');
  const times = builtTimes(
    files,
    [],
    [
      ` /etc/python/site.py ${MD5}`,
      ` /etc/python/edited.py ${MD5}`,
      ` /etc/python/obsolete.py ${MD5} obsolete`,
      ' /etc/python/new.py newconffile',
    ],
  );
  const found = names.map((name) => times.get(`etc/python/${name}.py`));
  assert.deepEqual(found, [MTIME, 0, MTIME, 0]);
});
