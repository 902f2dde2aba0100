/** Bad input ends in one clear error on standard error, and nothing is left at the destination. */
import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { assertNothingLeft, blobPath, encapsulate, readImage } from '../support/read-image.js';
import { run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { commitTree, DB_PATH, initRepo, type World, world, worldNeeds } from '../support/world.js';

/**
 * Asserts that a call fails with one line on stderr, which matches, and prints nothing on stdout.
 */
function fails(args: readonly string[], message: RegExp, status = 1): void {
  const result = tryOstrata(args);
  const lines = result.stderr.split('\n').filter((line) => line.trim() !== '');
  assert.equal(result.status, status, `exit code, after: ${result.stderr}`);
  assert.equal(result.stdout, '');
  assert.match(result.stderr, message);
  assert.equal(lines.length, 1, `one line: ${result.stderr}`);
}

function flipBit(file: string, offset: number): void {
  const data = readFileSync(file);
  data.writeUInt8(data.readUInt8(offset) ^ 1, offset);
  writeFileSync(file, data);
}

suite('bad input ends in one clear error and leaves nothing', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let archive: string;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    archive = initRepo(join(scratch, 'archive'), 'archive');
    run('ostree', [`--repo=${archive}`, 'pull-local', given.repo, 'os/old']);
  });

  /** Asserts that a call fails with `message` and leaves nothing at or beside its destination. */
  function leavesNothing(
    transport: 'oci' | 'oci-archive',
    args: readonly string[],
    message: RegExp,
    status = 1,
  ): void {
    const destination = join(scratch, 'destination');
    const before = readdirSync(scratch);
    fails(['container-encapsulate', ...args, `${transport}:${destination}:x`], message, status);
    assertNothingLeft(destination);
    assert.deepEqual(readdirSync(scratch), before, 'no file beside the destination');
  }

  /**
   * Asserts that encapsulating fails with `message` and leaves neither kind of destination behind.
   */
  function encapsulateFails(repo: string, ref: string, message: RegExp): void {
    leavesNothing('oci', [`--repo=${repo}`, ref], message);
    leavesNothing('oci-archive', [`--repo=${repo}`, ref], message);
  }

  /** Asserts that encapsulating fails before the kind of the destination matters. */
  function argumentsFail(message: RegExp, args: readonly string[], status = 1): void {
    leavesNothing('oci', [`--repo=${given.repo}`, ...args, 'os/old'], message, status);
  }

  /** Copies the archive repository; returns the copy and one of its content objects to damage. */
  function damaged(name: string): { repo: string; object: string; checksum: string } {
    const repo = join(scratch, name);
    cpSync(archive, repo, { recursive: true });
    const listing = run('ostree', [
      `--repo=${repo}`,
      'ls',
      '--checksum',
      'os/old',
      '/usr/bin/setuid-tool',
    ]);
    const checksum = /[0-9a-f]{64}/.exec(listing)?.[0];
    assert.ok(checksum);
    return {
      repo,
      object: join(repo, 'objects', checksum.slice(0, 2), `${checksum.slice(2)}.filez`),
      checksum,
    };
  }

  test('a repository that does not exist', () => {
    encapsulateFails('/nowhere/repo', 'os/old', /\/nowhere\/repo/);
  });

  test('a directory that is not a repository', () => {
    mkdirSync(join(scratch, 'empty'));
    encapsulateFails(join(scratch, 'empty'), 'os/old', /empty/);
  });

  test('a ref or commit that does not exist', () => {
    encapsulateFails(given.repo, 'os/nosuch', /os\/nosuch/);
    encapsulateFails(given.repo, 'f'.repeat(64), /f{64}/);
    encapsulateFails(given.repo, `${given.oldCommit}0`, new RegExp(given.oldCommit));
  });

  test('an abbreviated commit id that matches several commits', () => {
    const repo = initRepo(join(scratch, 'many'), 'archive');
    const tree = join(scratch, 'tiny');
    mkdirSync(tree);
    const commits = Array.from({ length: 40 }, (_, i) =>
      commitTree(repo, `os/${i}`, tree, `--body=${i}`, '--owner-uid=0'),
    );
    const sorted = [...new Set(commits)].sort();
    assert.equal(sorted.length, commits.length);
    let shared = '';
    for (const [index, commit] of sorted.entries()) {
      const next = sorted[index + 1] ?? '';
      let length = 0;
      while (length < next.length && commit[length] === next[length]) {
        length++;
      }
      if (length > shared.length) {
        shared = commit.slice(0, length);
      }
    }
    assert.ok(shared.length >= 1);
    encapsulateFails(repo, shared, /begin with|ambiguous/);
  });

  test('a missing content object', () => {
    const { repo, object, checksum } = damaged('missing-file');
    rmSync(object);
    encapsulateFails(repo, 'os/old', new RegExp(checksum));
  });

  test('a missing metadata object', () => {
    const { repo } = damaged('missing-tree');
    const tree = run('find', [join(repo, 'objects'), '-name', '*.dirtree']).split('\n')[0] ?? '';
    rmSync(tree);
    const checksum = tree.replace(/^.*\/(..)\/(.*)\.dirtree$/, '$1$2');
    encapsulateFails(repo, 'os/old', new RegExp(checksum));
  });

  test('a content object that does not match its checksum', () => {
    const { repo, object, checksum } = damaged('wrong-file');
    const listing = run('ostree', [
      `--repo=${repo}`,
      'ls',
      '--checksum',
      'os/old',
      '/usr/bin/capable',
    ]);
    const other = /[0-9a-f]{64}/.exec(listing)?.[0] ?? '';
    cpSync(join(repo, 'objects', other.slice(0, 2), `${other.slice(2)}.filez`), object);
    encapsulateFails(repo, 'os/old', new RegExp(checksum));
  });

  test('a file of a bare repository that was changed in place', () => {
    const repo = join(scratch, 'bare');
    run('cp', ['-a', given.repo, repo]);
    const listing = run('ostree', [
      `--repo=${repo}`,
      'ls',
      '--checksum',
      'os/old',
      '/usr/share/big.bin',
    ]);
    const checksum = /[0-9a-f]{64}/.exec(listing)?.[0] ?? '';
    const object = join(repo, 'objects', checksum.slice(0, 2), `${checksum.slice(2)}.file`);
    flipBit(object, 1_000_000);
    encapsulateFails(repo, 'os/old', new RegExp(checksum));
  });

  test('a damaged commit object', () => {
    const { repo } = damaged('wrong-commit');
    const commit = join(
      repo,
      'objects',
      given.oldCommit.slice(0, 2),
      `${given.oldCommit.slice(2)}.commit`,
    );
    flipBit(commit, 40);
    encapsulateFails(repo, 'os/old', new RegExp(given.oldCommit));
  });

  const damages: Record<string, (database: string) => void> = {
    'truncated to a half': (database) =>
      truncateSync(database, Math.floor(readFileSync(database).length / 2 / 4096) * 4096),
    empty: (database) => truncateSync(database, 0),
    'with a damaged header': (database) => {
      const data = readFileSync(database);
      writeFileSync(database, Buffer.concat([Buffer.alloc(16, 'x'), data.subarray(16)]));
    },
    'with damaged pages': (database) => {
      const data = readFileSync(database);
      writeFileSync(database, data.fill(0xa5, 4096));
    },
  };
  for (const [damage, apply] of Object.entries(damages)) {
    test(`an rpm database ${damage}`, () => {
      const name = damage.replaceAll(' ', '-');
      const tree = join(scratch, `tree-${name}`);
      run('cp', ['-a', given.oldTree, tree]);
      apply(join(tree, DB_PATH, 'rpmdb.sqlite'));
      const repo = initRepo(join(scratch, `repo-${name}`), 'archive');
      commitTree(repo, 'os/damaged', tree);
      encapsulateFails(repo, 'os/damaged', /rpmdb/);
    });
  }

  test('a tree without an rpm database is encapsulated with a warning', () => {
    const tree = join(scratch, 'tree-without');
    run('cp', ['-a', given.oldTree, tree]);
    rmSync(join(tree, DB_PATH), { recursive: true });
    rmSync(join(tree, 'usr/lib/sysimage'), { recursive: true });
    const repo = initRepo(join(scratch, 'repo-without'), 'archive');
    commitTree(repo, 'os/without', tree);
    const directory = join(scratch, 'without');
    const result = tryOstrata([
      'container-encapsulate',
      `--repo=${repo}`,
      'os/without',
      `oci:${directory}:x`,
    ]);
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stderr, /warning.*(rpm|package) database/i);
    assert.ok(
      readImage(directory, 'x').manifest.layers.length > 2,
      'the other content sources made layers',
    );
  });

  test('a destination that cannot be written', () => {
    writeFileSync(join(scratch, 'file'), '');
    for (const target of [
      `oci:${join(scratch, 'file/below')}:x`,
      `oci-archive:${join(scratch, 'nowhere/archive')}:x`,
    ]) {
      fails(
        ['container-encapsulate', `--repo=${given.repo}`, 'os/old', target],
        /file\/below|nowhere\/archive/,
      );
    }
    const readOnly = join(scratch, 'read-only');
    mkdirSync(readOnly);
    run('mount', ['-t', 'tmpfs', '-o', 'ro,size=64k', 'tmpfs', readOnly]);
    try {
      for (const transport of ['oci', 'oci-archive']) {
        fails(
          [
            'container-encapsulate',
            `--repo=${given.repo}`,
            'os/old',
            `${transport}:${readOnly}/image:x`,
          ],
          /read-only/i,
        );
      }
    } finally {
      run('umount', [readOnly]);
    }
  });

  test('a destination that is full', () => {
    const full = join(scratch, 'full');
    mkdirSync(full);
    run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', full]);
    try {
      for (const transport of ['oci', 'oci-archive']) {
        const target = `${transport}:${full}/image:x`;
        fails(
          ['container-encapsulate', `--repo=${given.repo}`, 'os/old', target],
          /no space left|ENOSPC/i,
        );
        assert.deepEqual(readdirSync(full), []);
      }
    } finally {
      run('umount', [full]);
    }
  });

  test('an existing OCI image layout stays as it was', () => {
    const directory = join(scratch, 'existing');
    encapsulate(given.repo, 'os/old', directory);
    const list = () =>
      run('find', [directory, '-type', 'f', '-exec', 'sha256sum', '{}', '+']).split('\n').sort();
    const before = list();
    const { repo, object } = damaged('missing-for-existing');
    rmSync(object);
    fails(['container-encapsulate', `--repo=${repo}`, 'os/old', `oci:${directory}:other`], /./);
    assert.deepEqual(list(), before);
  });

  test('a directory that is not an OCI image layout is not written into', () => {
    const directory = join(scratch, 'not-a-layout');
    mkdirSync(directory);
    writeFileSync(join(directory, 'precious'), 'data');
    fails(
      ['container-encapsulate', `--repo=${given.repo}`, 'os/old', `oci:${directory}:x`],
      /not-a-layout/,
    );
    assert.deepEqual(readdirSync(directory), ['precious']);
  });

  test('invalid options end with exit code 2', () => {
    for (const value of ['1', '0', '-1', 'many', '2.5']) {
      argumentsFail(/max-layers/, [`--max-layers=${value}`], 2);
    }
    argumentsFail(/format-version/, ['--format-version=3'], 2);
    argumentsFail(/jobs/, ['--jobs=0'], 2);
    argumentsFail(/nosuch.*expected-download/, ['--layout=nosuch'], 2);
    argumentsFail(/label/, ['--label=no-equals-sign'], 2);
    argumentsFail(/compression/, ['--compression=lzma'], 2);
    argumentsFail(/nosuch/, ['--nosuch-option'], 2);
    fails(['container-encapsulate', `--repo=${given.repo}`, 'os/old', 'nosuch:x'], /nosuch/, 2);
  });

  test('plugins that cannot be used', () => {
    const plugin = (name: string, source: string) => {
      const file = join(scratch, `${name}.mjs`);
      writeFileSync(file, source);
      return `--plugin=${file}`;
    };
    const future = plugin('future', "export default { name: 'future', apiVersion: '^99.0' };");
    argumentsFail(/future.*\^99\.0/, [future]);
    argumentsFail(/no-plugin/, [plugin('no-plugin', 'export const x = 1;')]);
    argumentsFail(/throws.*oops/, [plugin('throws', "throw new Error('oops');")]);
    argumentsFail(/absent/, [`--plugin=${join(scratch, 'absent.mjs')}`]);
  });

  test('a previous build that does not exist or is not an image', () => {
    argumentsFail(/nosuch-image/, ['--previous-build=oci:/nosuch-image:x']);
    const file = join(scratch, 'manifest.json');
    writeFileSync(file, '{"layers": 1}');
    argumentsFail(/manifest\.json/, [`--previous-build-manifest=${file}`]);
  });

  test('a layout of several images without a tag', () => {
    const directory = join(scratch, 'several');
    encapsulate(given.repo, 'os/old', directory, [], { tag: 'one' });
    assert.equal(tryOstrata(['inspect', `oci:${directory}`]).status, 0, 'one image needs no tag');
    encapsulate(given.repo, 'os/old', directory, ['--max-layers=3'], { tag: 'two' });
    for (const command of ['inspect', 'verify']) {
      fails([command, `oci:${directory}`], /one.*two/);
      fails([command, `oci:${directory}:three`], /three/);
    }
  });

  test('verify names the blob that is damaged', () => {
    const sound = join(scratch, 'verify-sound');
    const { image } = encapsulate(given.repo, 'os/old', sound, ['--max-layers=4'], { tag: 'x' });
    const layer = image.manifest.layers[2];
    assert.ok(layer);
    const damage = (
      name: string,
      change: (directory: string, digest: string) => void,
      message: RegExp,
    ) => {
      const directory = join(scratch, `verify-${name}`);
      cpSync(sound, directory, { recursive: true });
      change(directory, layer.digest);
      fails(['verify', `oci:${directory}:x`], message);
    };
    const edit = (file: string, change: (data: Buffer) => Buffer) =>
      writeFileSync(file, change(readFileSync(file)));
    damage(
      'missing',
      (directory, digest) => rmSync(blobPath(directory, digest)),
      /sha256:[0-9a-f]{12}/,
    );
    damage(
      'changed',
      (directory, digest) => flipBit(blobPath(directory, digest), 2000),
      /sha256:[0-9a-f]{12}/,
    );
    damage(
      'longer',
      (directory, digest) =>
        edit(blobPath(directory, digest), (data) => Buffer.concat([data, data])),
      /sha256:[0-9a-f]{12}/,
    );
    damage(
      'index',
      (directory) =>
        edit(join(directory, 'index.json'), (data) =>
          Buffer.from(data.toString().replace(/"size":\s*\d+/, '"size":1')),
        ),
      /\d+ bytes .*\b1\b/,
    );
  });
});
