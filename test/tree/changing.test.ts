/** Trees that change while an image is made of them: one error with the path, and nothing is left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadContentSources, loadLayoutStrategy } from '../../plugins/index.js';
import { planPlainImage, writePlainImage } from '../../src/builder/build.js';
import { must } from '../../src/errors.js';
import { silentLogger } from '../../src/log.js';
import { createImage } from '../../src/transports/image-reference.js';
import { openDirectoryTree } from '../../src/tree/directory-tree.js';
import { walkDirectory } from '../../src/tree/directory-walk.js';
import { readEntryDigests } from '../../src/tree/file-digests.js';
import { scratchDirectory } from '../support/scratch.js';

const PATH = 'usr/lib/file';
const context = { log: silentLogger, signal: new AbortController().signal };

function makeRoot(): string {
  const root = join(scratchDirectory(), 'root');
  for (const folder of ['usr/lib', 'other/lib']) {
    mkdirSync(join(root, folder), { recursive: true });
    writeFileSync(join(root, folder, 'file'), folder);
  }
  return root;
}

/** Removes what lies at `path`, and puts something else there. */
function replace(path: string, put: (path: string) => void): void {
  rmSync(path, { recursive: true });
  put(path);
}

/** What may happen to a file, and what the error says. */
const changes: Readonly<Record<string, (root: string) => void>> = {
  grows: (root) => appendFileSync(join(root, PATH), 'more'),
  shrinks: (root) => writeFileSync(join(root, PATH), ''),
  vanishes: (root) => rmSync(join(root, PATH)),
  'becomes a directory': (root) => replace(join(root, PATH), mkdirSync),
  'becomes a symlink': (root) =>
    replace(join(root, PATH), (path) => symlinkSync('../../other/lib/file', path)),
  'becomes a pipe': (root) => replace(join(root, PATH), (path) => execFileSync('mkfifo', [path])),
  'vanishes with its directory': (root) => renameSync(join(root, 'usr'), join(root, 'moved')),
};

/** For a file that is waited for forever. */
const timeout = 60_000;
const refused = {
  code: /^(IO|NOT_FOUND|CORRUPT)$/,
  message: /\/root\/usr\b/,
};

for (const [title, change] of Object.entries(changes)) {
  test(`a file that ${title} before it is hashed is one error`, { timeout }, async () => {
    const root = makeRoot();
    const walked = walkDirectory(root, context);
    change(root);
    const reading = readEntryDigests(root, walked, {
      ...context,
      jobs: 1,
      ignoredXattrs: [],
      hasContentDigests: true,
    });
    await assert.rejects(reading, refused);
  });

  test(`a file that ${title} before it is written leaves nothing`, { timeout }, async () => {
    await assertNothingWritten(change);
  });
}

test('content that changes, but not its size, is not written into an image', async () => {
  await assertNothingWritten((root) => writeFileSync(join(root, PATH), 'USR/LIB'));
});

/** Plans an image, changes the tree, and asserts that the image is refused and nothing is left. */
async function assertNothingWritten(change: (root: string) => void): Promise<void> {
  const root = makeRoot();
  const plan = await planPlainImage({
    ...context,
    tree: await openDirectoryTree(root, { ...context, jobs: 1 }),
    mtimes: { rule: 'packaged' },
    sources: await loadContentSources(),
    strategy: must(await loadLayoutStrategy('expected-download'), 'strategy'),
    maxLayers: 8,
  });
  change(root);
  const scratch = scratchDirectory();
  const writer = await createImage(`oci:${scratch}/image`);
  const compression = { name: 'none', level: 0 } as const;
  const writing = writePlainImage(plan, writer, { ...context, compression, jobs: 1 });
  await assert.rejects(writing, refused);
  assert.deepEqual(readdirSync(scratch), []);
}
