/**
 * Pulls that are killed, interrupted or out of space leave a sound repository, and the next one
 * resumes.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { fsck, pull, refs } from '../support/client.js';
import { encapsulate, type Image } from '../support/read-image.js';
import { ostrataProgram, run, tryOstrata, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';
import { torture } from '../torture.js';

suite('a pull that is interrupted', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let image: Image;
  let imgref: string;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    image = encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--max-layers=12']).image;
    imgref = `ostree-unverified-image:${image.reference}`;
  });

  const staged = (repo: string) =>
    readdirSync(join(repo, 'tmp')).filter((name) => name.startsWith('ostrata-'));

  test('by SIGKILL at random moments leaves a sound repository', async () => {
    const result = await torture(imgref, { kills: 4, seed: 7, mode: 'archive', report: () => {} });
    assert.equal(result.kills, 4);
  });

  test('by Ctrl-C leaves nothing staged', async () => {
    const repo = initRepo(join(scratch, 'interrupted'), 'bare-user');
    const child = spawn(process.execPath, [
      ostrataProgram,
      'container',
      'image',
      'pull',
      '--json',
      repo,
      imgref,
    ]);
    child.stdout.once('data', () => child.kill('SIGINT'));
    const [code] = await once(child, 'exit');
    assert.ok(code === 130 || code === 0, `exit code ${code}`);
    assert.deepEqual(staged(repo), []);
    fsck(repo);
    assert.equal(pull(repo, imgref).commit, given.oldCommit);
  });

  test('by a reader that closes its output fails, unless the pull was complete', async () => {
    const repo = initRepo(join(scratch, 'unread'), 'archive');
    const child = spawn(process.execPath, [
      ostrataProgram,
      'container',
      'image',
      'pull',
      '--json',
      repo,
      imgref,
    ]);
    child.stdout.once('data', () => child.stdout.destroy());
    const [code] = await once(child, 'exit');
    const isPulled = refs(repo).some((ref) => ref.startsWith('ostree/container/image/'));
    assert.equal(code, isPulled ? 0 : 1);
    assert.deepEqual(staged(repo), []);
    assert.equal(pull(repo, imgref).commit, given.oldCommit);
  });

  test('by a failing write is resumed by the next one', () => {
    const repo = initRepo(join(scratch, 'limited'), 'bare-user');
    // The unit is 512 bytes or 1 KiB; either way the limit is less than the largest file.
    const limited = tryRun(
      'sh',
      ['-c', 'ulimit -f 600; exec "$@"', 'sh', process.execPath, ostrataProgram].concat([
        'container',
        'image',
        'pull',
        repo,
        imgref,
      ]),
    );
    assert.equal(limited.status, 1, limited.stderr);
    assert.match(limited.stderr, /^error: importing oci:.* layer \d+ .*writing object .*EFBIG/m);
    assert.deepEqual(staged(repo), []);
    assert.ok(!refs(repo).some((ref) => ref.startsWith('ostree/container/image/')));
    fsck(repo);
    const before = refs(repo).length;
    const { layersPresent } = pull(repo, imgref);
    assert.ok(layersPresent >= before, `${layersPresent} of ${before} complete layers were used`);
    fsck(repo);
  });

  // These calls fail at the commit layer, before and after objects get their names, and midway.
  for (const [call, count] of [
    ['syncfs', 1],
    ['syncfs', 3],
    ['syncfs', 4],
    ['rename', 100],
  ] as const) {
    test(
      `by a disk that fails at ${call} ${count} is resumed by the next one`,
      needs('strace'),
      () => {
        const repo = initRepo(join(scratch, `${call}-${count}`), 'archive');
        const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:error=EIO:when=${count}`];
        const pullCommand = [
          process.execPath,
          ostrataProgram,
          'container',
          'image',
          'pull',
          '--quiet',
          repo,
          imgref,
        ];
        const { status, stderr } = tryRun('strace', [
          '-f',
          '-qq',
          '-o',
          '/dev/null',
          ...inject,
          ...pullCommand,
        ]);
        assert.equal(status, 1, stderr);
        assert.match(stderr, /^error: importing oci:.* EIO.*\n$/);
        assert.deepEqual(staged(repo), []);
        assert.ok(!refs(repo).some((ref) => ref.startsWith('ostree/container/image/')));
        fsck(repo);
        assert.equal(pull(repo, imgref).commit, given.oldCommit);
        fsck(repo);
      },
    );
  }

  test('by a full disk is resumed by the next one', () => {
    const disk = join(scratch, 'disk');
    mkdirSync(disk);
    run('mount', ['-t', 'tmpfs', '-o', 'size=1g', 'tmpfs', disk]);
    try {
      const repo = initRepo(join(disk, 'repo'), 'archive');
      run('ostree', [`--repo=${repo}`, 'config', 'set', 'core.min-free-space-percent', '0']);
      for (const limits of ['nr_inodes=200', 'size=1m,nr_inodes=100k', 'size=2m', 'size=3m']) {
        run('mount', ['-o', `remount,${limits}`, disk]);
        const { status, stderr } = tryOstrata(['container', 'image', 'pull', repo, imgref]);
        assert.equal(status, 1, limits);
        assert.match(stderr, /^error: importing oci:.* (no space: an object|ENOSPC)/m);
        assert.deepEqual(staged(repo), []);
        assert.ok(!refs(repo).some((ref) => ref.startsWith('ostree/container/image/')));
        fsck(repo);
      }
      run('mount', ['-o', 'remount,size=1g', disk]);
      const before = refs(repo).length;
      const { commit, layersPresent } = pull(repo, imgref);
      assert.equal(commit, given.oldCommit);
      assert.ok(before > 0);
      assert.ok(layersPresent >= before, `${layersPresent} of ${before} complete layers were used`);
      fsck(repo);
    } finally {
      run('umount', [disk]);
    }
  });

  test("by the repository's limit of free space reports that limit", () => {
    const repo = initRepo(join(scratch, 'full'), 'bare-user');
    run('ostree', [`--repo=${repo}`, 'config', 'set', 'core.min-free-space-size', '900TB']);
    const { status, stderr } = tryOstrata(['container', 'image', 'pull', repo, imgref]);
    assert.equal(status, 1);
    assert.match(stderr, /no space: .* \(min-free-space of /);
    assert.deepEqual([refs(repo), staged(repo)], [[], []]);
  });

  test('by the death of its process is cleaned up by the next one', needs('strace'), () => {
    const repo = initRepo(join(scratch, 'left'), 'archive');
    const inject = ['-e', 'trace=syncfs', '-e', 'inject=syncfs:signal=KILL:when=1'];
    const pullCommand = [process.execPath, ostrataProgram, 'container', 'image', 'pull'];
    const strace = ['-f', '-qq', '-o', '/dev/null', ...inject];
    tryRun('strace', [...strace, ...pullCommand, repo, imgref]);
    assert.equal(staged(repo).length, 1);
    pull(repo, imgref);
    assert.deepEqual(staged(repo), []);
  });
});
