/** The tree that we read from an image is the tree that umoci unpacks. */
import assert from 'node:assert/strict';
import { chownSync, linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../src/log.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openDirectoryTree } from '../../src/tree/directory-tree.js';
import { openImageTree } from '../../src/tree/image.js';
import type { Tree } from '../../src/tree/tree.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

/** Each step makes one layer: files are added, replaced, removed and linked. */
const STEPS: readonly ((root: (path: string) => string) => void)[] = [
  (root) => {
    for (const path of ['usr/bin', 'usr/lib/a/b', 'etc/default', 'var']) {
      mkdirSync(root(path), { recursive: true });
    }
    writeFileSync(root('usr/bin/x'), '1', { mode: 0o755 });
    linkSync(root('usr/bin/x'), root('usr/bin/y'));
    writeFileSync(root('usr/lib/a/b/c'), 'deep');
    writeFileSync(root('etc/default/old'), '');
    symlinkSync('usr/bin', root('bin'));
    chownSync(root('etc'), 12345, 54321);
  },
  (root) => {
    for (const path of ['usr/lib/a', 'usr/bin/y', 'etc/default', 'bin']) {
      rmSync(root(path), { recursive: true });
    }
    for (const path of ['etc/default', 'bin']) {
      mkdirSync(root(path));
    }
    for (const path of ['etc/default/new', 'bin/q', 'usr/bin/x2']) {
      writeFileSync(root(path), path);
    }
  },
  (root) => {
    rmSync(root('bin'), { recursive: true });
    symlinkSync('usr/bin', root('bin'));
    mkdirSync(root('usr/lib/a'));
    writeFileSync(root('usr/lib/a/back'), 'again');
    rmSync(root('etc/default/new'));
  },
];

test('layers made by umoci give the tree that umoci unpacks', needs('root', 'umoci'), async () => {
  const scratch = scratchDirectory();
  const umoci = (...args: string[]) => run('umoci', args, { cwd: scratch });
  umoci('init', '--layout', 'image');
  umoci('new', '--image', 'image:x');
  umoci('unpack', '--image', 'image:x', 'bundle');
  for (const step of STEPS) {
    step((path) => join(scratch, 'bundle/rootfs', path));
    umoci('repack', '--image', 'image:x', '--refresh-bundle', 'bundle');
  }
  umoci('unpack', '--image', 'image:x', 'unpacked');
  const expected = await openDirectoryTree(join(scratch, 'unpacked/rootfs'), {
    log: silentLogger,
    signal: new AbortController().signal,
    jobs: 2,
  });
  const tree = await openImageTree(await openImage(`oci:${join(scratch, 'image')}:x`));
  const shown = ({ files }: Tree) =>
    Array.from(files, ({ path, type, mode, uid, gid, ...rest }) =>
      [path, type, mode, uid, gid, 'checksum' in rest && rest.checksum].join(),
    );
  assert.ok(expected.files.size > 10);
  assert.deepEqual(shown(tree), shown(expected));
});
