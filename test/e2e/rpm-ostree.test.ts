/** Pipelines that call rpm-ostree to make images run unchanged when the program has that name. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fsck, unencapsulate } from '../support/client.js';
import { underName } from '../support/other-name.js';
import { encapsulate, readImage } from '../support/read-image.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo } from '../support/world.js';

const { tryLine, runLine } = underName('rpm-ostree');
const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample/old');

test('the version is what osbuild reads', () => {
  const { stdout } = runLine('rpm-ostree --version');
  const [, year, release] = /^rpm-ostree:\n Version: '(\d+)\.(\d+)'\n/.exec(stdout) ?? [];
  assert.ok(Number(year) >= 2024 && Number(release) >= 1, stdout);
  assert.equal(ostrata(['rpm-ostree', '--version']), stdout);
});

test('any other command is refused, and the message names what there is', () => {
  const lines = ['status --json', 'compose tree x.yaml', 'install x', 'experimental stub'];
  for (const line of lines) {
    const { status, stdout, stderr } = tryLine(`rpm-ostree ${line}`);
    assert.equal(status, 2, line);
    assert.match(stderr, /^error: this is ostrata under the name rpm-ostree, .* no command '\w+'/);
    assert.match(stderr, /rpm-ostree compose container-encapsulate/);
    assert.ok(stdout === '' || JSON.parse(stdout).error.code === 'USAGE');
  }
  assert.match(runLine('rpm-ostree compose --help').stdout, /container-encapsulate/);
});

suite('compose container-encapsulate', () => {
  test('has format version 1 and one layer besides those that are asked for', () => {
    const scratch = scratchDirectory();
    const args = '--max-layers 5 --label a=b --copymeta-opt none';
    const call = `compose container-encapsulate --repo ${SAMPLE} ${args} sample/os`;
    runLine(`rpm-ostree ${call} oci:${scratch}/image:1`);
    const own = ['--format-version=1', '--max-layers=6', '--label=a=b'];
    const { image } = encapsulate(SAMPLE, 'sample/os', join(scratch, 'own'), own);
    const { manifest, manifestDigest } = readImage(join(scratch, 'image'), '1');
    assert.equal(manifest.layers.length, 6);
    assert.equal(manifestDigest, image.manifestDigest);
    ostrata(['rpm-ostree', ...call.split(' '), `oci:${scratch}/image:2`]);
    assert.equal(readImage(join(scratch, 'image'), '2').manifestDigest, manifestDigest);

    const { stdout } = runLine(
      `rpm-ostree ${call} --compare-with-build oci:${scratch}/image:1 ` +
        `--previous-build-manifest ${scratch}/image/blobs/${manifestDigest.replace(':', '/')} ` +
        `oci:${scratch}/next:1`,
    );
    assert.match(stdout, /A client of .*image:1 downloads/);
    assert.deepEqual(readImage(join(scratch, 'next'), '1').manifest.layers, manifest.layers);
  });

  test('--quiet comes before the commands or after them, as rpm-ostree takes it', () => {
    const call = `compose container-encapsulate --repo ${SAMPLE} sample/os`;
    const stderrOf = (line: string) => {
      const imgref = `oci:${scratchDirectory()}/image`;
      return runLine(`rpm-ostree ${line} ${imgref}`, { XDG_CACHE_HOME: '/dev/null' }).stderr;
    };
    assert.match(stderrOf(call), /^warning: .*layers are not kept/);
    for (const line of [`--quiet ${call}`, `-q ${call}`, `${call} --quiet`]) {
      assert.equal(stderrOf(line), '', line);
    }
  });

  test('the stage of osbuild', needs('ostree', 'skopeo'), () => {
    const tree = join(scratchDirectory(), 'tree');
    mkdirSync(tree);
    const [head] = readFileSync(join(SAMPLE, 'refs/heads/sample/os'), 'utf8').split('\n');
    runLine(
      `rpm-ostree compose container-encapsulate ${head} oci-archive:${tree}/image.ociarchive ` +
        `--format-version 1 --repo ${SAMPLE} --cmd "/usr/bin/sh -c true" --copymeta version ` +
        '--label a=b --label c=d --max-layers 7',
    );
    const imgref = `oci-archive:${tree}/image.ociarchive`;
    const { config, rootfs } = JSON.parse(run('skopeo', ['inspect', '--config', imgref]));
    assert.deepEqual(config.Cmd, ['/usr/bin/sh', '-c', 'true']);
    const { a, c, version } = config.Labels;
    assert.deepEqual([a, c, version], ['b', 'd', '12-old']);
    assert.equal(rootfs.diff_ids.length, 8);
    const repo = initRepo(join(tree, 'repo'), 'archive');
    unencapsulate(repo, `ostree-unverified-image:${imgref}`);
    fsck(repo);
  });

  test('wrong usage writes nothing', () => {
    const target = `oci:${scratchDirectory()}/image`;
    const wrong = [
      `--repo ${SAMPLE} sample/os`,
      `sample/os ${target}`,
      `--repo ${SAMPLE} --max-layers 0 sample/os ${target}`,
      `--repo ${SAMPLE} --format-version 3 sample/os ${target}`,
      `--repo ${SAMPLE} --label nonsense sample/os ${target}`,
    ];
    for (const args of wrong) {
      assert.equal(tryLine(`rpm-ostree compose container-encapsulate ${args}`).status, 2, args);
    }
    const missing = `--repo ${SAMPLE} --copymeta none sample/os ${target}`;
    const { status, stderr } = tryLine(`rpm-ostree compose container-encapsulate ${missing}`);
    assert.equal(status, 1);
    assert.match(stderr, /commit metadata has no key none/);
    assert.equal(existsSync(target.slice('oci:'.length)), false);
  });
});
