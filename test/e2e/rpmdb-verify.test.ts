/** `ostrata rpmdb verify`, compared line by line with `rpm -V` of the installed rpm. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { DB_PATH, type World, world, worldNeeds } from '../support/world.js';

const linesOf = (text: string) => text.split('\n').filter(Boolean).sort();

suite('rpmdb verify', needs(...worldNeeds), () => {
  let made: World;
  let damaged: string;

  before(async () => {
    made = await world();
    damaged = join(scratchDirectory(), 'root');
    run('cp', ['-a', made.oldTree, damaged]);
    // rpm does not look for moved files.
    run('cp', ['-a', join(damaged, 'usr/etc'), join(damaged, 'etc')]);
    damage(damaged);
  });

  const verify = (...args: readonly string[]) => {
    const { stdout, status } = tryOstrata(['rpmdb', 'verify', ...args, '--quiet']);
    return { lines: linesOf(stdout), status };
  };

  test('a damaged folder has the differences that rpm prints', () => {
    const sets = [
      [],
      ['--nomtime', '--nofiledigest'],
      ['--nosize', '--nomode', '--nolinkto'],
      ['--nouser', '--nogroup', '--nocaps', '--nordev'],
      ['--noconfig', '--noghost'],
    ];
    for (const options of sets) {
      const all = ['-Va', '--nodeps', '--noscripts', ...options];
      const printed = run('sh', [
        '-c',
        'rpm "$@" || true',
        'rpm',
        '--root',
        damaged,
        '--dbpath',
        DB_PATH,
        ...all,
      ]);
      const { lines, status } = verify(`--root=${damaged}`, ...options);
      // rpm looks for what ostree leaves out of `/var`.
      const expected = linesOf(printed).filter((line) => !line.includes(' /var/'));
      assert.deepEqual(lines, expected, options.join(' '));
      assert.ok(lines.length > 0);
      assert.equal(status, 1);
    }
    const letters = new Set(verify(`--root=${damaged}`).lines.join('').slice(0, 5000));
    for (const letter of 'SM5LUGTPmissing') {
      assert.ok(letters.has(letter), letter);
    }
  });

  test('a commit, its image and its tree have the same differences', () => {
    const commit = [`--repo=${made.repo}`, 'os/old'];
    const image = `oci:${join(scratchDirectory(), 'image')}:x`;
    ostrata(['container-encapsulate', ...commit, image, '--quiet', '--max-layers=8']);
    const { lines, status } = verify(...commit);
    assert.deepEqual(verify(`--image=${image}`), { lines, status });
    assert.deepEqual(verify(`--root=${made.oldTree}`, '--nomtime'), { lines, status });
    // Nothing in /etc is missing, although a commit keeps it in /usr/etc.
    assert.deepEqual(
      lines.filter((line) => line.includes(' /etc/')),
      [],
    );
    const { stderr } = tryOstrata(['rpmdb', 'verify', ...commit, 'setup']);
    assert.match(stderr, /^warning: commit \w+: times are not compared/);
  });

  test('--json names the differences, and a package without any is a success', () => {
    const root = `--root=${damaged}`;
    const [first] = JSON.parse(
      tryOstrata(['rpmdb', 'verify', root, 'odd-modes', '--json']).stdout,
    ) as { path: string; differences: string[] }[];
    assert.equal(first?.path, '/usr/bin/capable');
    assert.deepEqual(first?.differences, ['capabilities']);
    assert.deepEqual(verify(root, 'twin-a', 'no-files'), { lines: [], status: 0 });
    assert.equal(verify(root, 'nosuch').status, 1);
  });
});

/** Makes a difference of each kind. */
function damage(root: string): void {
  const at = (path: string) => join(root, path);
  appendFileSync(at('usr/share/twin-b/own.bin'), 'more');
  appendFileSync(at('etc/motd'), 'more');
  chmodSync(at('usr/bin/setuid-tool'), 0o755);
  chownSync(at('usr/share/odd/secret'), 77, 88);
  utimesSync(at('usr/share/odd/mode0000'), 1, 1);
  utimesSync(at('usr/share/licenses/libpair/COPYING'), 1, 1);
  run('setcap', ['cap_net_raw=p', at('usr/bin/capable')]);
  chmodSync(at('usr/share/odd/ghost-that-is-there'), 0o600);
  rmSync(at('usr/share/odd/links/dangling'));
  symlinkSync('elsewhere', at('usr/share/odd/links/dangling'));
  rmSync(at('usr/share/empty-files/one'));
  mkdirSync(at('usr/share/empty-files/one'));
  rmSync(at('usr/share/empty-files/two'));
  rmSync(at('etc/through.conf'));
  run('mv', [at('usr/share/empty-files/directory'), at('usr/share/moved')]);
  symlinkSync('/usr/share/moved', at('usr/share/empty-files/directory'));
}
