import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { type OldTree, TreeFiles } from '../../src/delta/old-files.js';
import { openRepo } from '../../src/ostree/repo.js';
import type { OldFile } from '../../src/tar-diff/apply.js';
import { lookupCommit } from '../../src/tree/commit-lookup.js';
import { dir, RepoBuilder } from '../support/build-repo.js';
import { scratchDirectory } from '../support/scratch.js';

/** Returns text of which no two parts are equal. */
function text(size: number): string {
  const lines = Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
    createHash('sha256').update(`${i}`).digest('hex'),
  );
  return lines.join('').slice(0, size);
}

const large = text(4_500_000);
const conf = text(1000);
const tree = dir({ usr: dir({ etc: dir({ conf }), large, link: { target: 'large' } }) });

/** The files of a commit; `reads` are the paths that were read. */
function openFiles() {
  const builder = new RepoBuilder('archive', '', scratchDirectory());
  const commit = lookupCommit(openRepo(builder.path), builder.commit(builder.tree(tree)));
  const reads: string[] = [];
  const watched: OldTree = {
    ...commit,
    read: (path) => {
      reads.push(path);
      return commit.read(path);
    },
  };
  const spool = scratchDirectory();
  return { files: new TreeFiles(watched, spool), reads, spool };
}

function range(file: OldFile, offset: number, length: number): string {
  const chunks = Array.from(file.read(offset, length), (chunk) => Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

test('any range of a small or large file is read', async () => {
  const { files } = openFiles();
  for (const [path, content] of [
    ['usr/large', large],
    ['usr/etc/conf', conf],
  ] as const) {
    const file = await files.open(path);
    assert.equal(file.size, content.length);
    for (const [offset, length] of [
      [0, content.length],
      [999, 1],
      [3, 900],
      [7, 0],
    ] as const) {
      const expected = content.slice(offset, offset + length);
      assert.ok(range(file, offset, length) === expected, `${path}: ${length} bytes at ${offset}`);
    }
  }
  files.close();
});

test('a file that is opened several times in a row is read once', async () => {
  const { files, reads } = openFiles();
  await files.open('usr/large');
  await files.open('usr/large');
  await files.open('etc/conf');
  await files.open('usr/large');
  assert.deepEqual(reads, ['/usr/large', '/usr/etc/conf', '/usr/large']);
  files.close();
});

test('a temporary file is removed at the end', async () => {
  const { files, spool } = openFiles();
  await files.open('usr/etc/conf');
  assert.deepEqual(readdirSync(spool), []);
  await files.open('usr/large');
  assert.equal(readdirSync(spool).length, 1);
  files.close();
  assert.deepEqual(readdirSync(spool), []);
});

test('what is no regular file is refused', async () => {
  const { files } = openFiles();
  const message = /^commit \w+ has a symlink and no file usr\/link$/;
  await assert.rejects(files.open('usr/link'), { code: 'NOT_FOUND', message });
  await assert.rejects(files.open('usr/none'), { code: 'NOT_FOUND', message: /no file usr\/none/ });
  await assert.rejects(files.open('usr/link/x'), { code: 'NOT_FOUND' });
});
