/** Builds, updates and pulls through the real registry, with a password. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { makeCertificates, type Registry, startRegistry } from '../support/docker-registry.js';
import { type Result, readImage } from '../support/read-image.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';

const needed = [...worldNeeds, 'docker-registry', 'htpasswd', 'openssl', 'skopeo'] as const;
const [user, password] = ['alice', 'very-secret'];

suite('from a commit to a registry and back', needs(...needed), () => {
  const scratch = scratchDirectory();
  let given: World;
  let registry: Registry;
  let access: readonly string[];
  const imgref = (name: string) => `registry:${registry.host}/${name}`;
  /** Runs a program that reads the password from standard input. */
  const withPassword = (args: readonly string[]) =>
    ostrata([...args, ...access, '--creds=-'], { input: `${user}:${password}\n` });
  const encapsulate = (ref: string, target: string, ...args: readonly string[]) =>
    JSON.parse(
      withPassword([
        'container-encapsulate',
        `--repo=${given.repo}`,
        '--json',
        '--quiet',
        ...args,
        ref,
        target,
      ]),
    ) as Result;

  before(async () => {
    given = await world();
    const certificates = makeCertificates(join(scratch, 'keys'));
    mkdirSync(join(scratch, 'certs'));
    copyFileSync(certificates.ca, join(scratch, 'certs/ca.crt'));
    run('htpasswd', ['-Bbc', join(scratch, 'htpasswd'), user, password]);
    registry = await startRegistry(join(scratch, 'registry'), {
      tls: certificates,
      htpasswd: join(scratch, 'htpasswd'),
    });
    access = [`--cert-dir=${join(scratch, 'certs')}`];
  });
  after(() => registry.stop());

  test('a client pulls a build and its update, which was built from the registry', () => {
    const old = encapsulate('os/old', imgref('os/base:old'));
    const updated = encapsulate(
      'os/new',
      imgref('os/base:new'),
      `--previous-build=${imgref('os/base:old')}`,
    );
    const there = new Set(old.layers.map(({ digest }) => digest));
    assert.ok(updated.layers.some(({ reused }) => reused));
    for (const { digest, reused } of updated.layers) {
      assert.equal(reused, there.has(digest));
    }

    // The image is the same as one built without a registry.
    const layout = join(scratch, 'layout');
    encapsulate('os/old', `oci:${layout}:old`);
    const local = encapsulate('os/new', `oci:${layout}:new`, `--previous-build=oci:${layout}:old`);
    assert.equal(local.manifestDigest, updated.manifestDigest);

    withPassword(['verify', '--quiet', imgref('os/base:new')]);
    assert.match(
      withPassword(['inspect', imgref('os/base:new')]),
      new RegExp(updated.manifestDigest),
    );
    const both = [imgref('os/base:old'), imgref('os/base:new')];
    const { added } = JSON.parse(withPassword(['container', 'compare', '--json', ...both]));
    assert.equal(added, updated.layers.filter(({ reused }) => !reused).length);
    const { results } = JSON.parse(
      withPassword(['layout', 'simulate', '--json', '--max-layers=9', ...both]),
    );
    assert.equal(results[0].updates, 1);
    const explained = withPassword(['layout', 'explain', '--component=rpmdb', ...both.slice(1)]);
    assert.match(explained, /^ +layer /m);
    withPassword(['layout', 'plan', both[1] as string, `--previous-build=${both[0]}`]);

    const copied = join(scratch, 'copied');
    const login = [`--src-cert-dir=${join(scratch, 'certs')}`, `--src-creds=${user}:${password}`];
    run('skopeo', [
      'copy',
      '--quiet',
      ...login,
      imgref('os/base:new').replace(/^registry:/, 'docker://'),
      `oci:${copied}:x`,
    ]);
    assert.equal(readImage(copied, 'x').manifestDigest, updated.manifestDigest);

    const repo = initRepo(join(scratch, 'repo'), 'bare');
    withPassword([
      'container',
      'unencapsulate',
      `--repo=${repo}`,
      '--write-ref=os',
      `ostree-unverified-${imgref('os/base:new')}`,
    ]);
    assert.equal(run('ostree', [`--repo=${repo}`, 'rev-parse', 'os']).trim(), given.newCommit);
    run('ostree', [`--repo=${repo}`, 'fsck', '--quiet']);
  });

  test('a refused push ends in one clear error before any layer is written', () => {
    const target = imgref('os/refused:x');
    const args = [
      'container-encapsulate',
      `--repo=${given.repo}`,
      '--quiet',
      'os/old',
      target,
      ...access,
    ];
    const { status, stderr } = tryOstrata([...args, '--creds=alice:wrong-password']);
    assert.equal(status, 1);
    assert.match(stderr, /^error: preparing registry:.*401.*\n$/);
    assert.doesNotMatch(stderr, /wrong-password/);
    assert.equal(tryOstrata([...args, '--creds=alice']).status, 2);
  });

  test('--creds are not sent to another registry', async () => {
    const other = await startRegistry(join(scratch, 'other'));
    try {
      const target = `registry:${other.host}/os/base:x`;
      const args = [
        'container-encapsulate',
        `--repo=${given.repo}`,
        '--tls-verify=false',
        'os/new',
        target,
      ];
      const previous = `--previous-build=${imgref('os/base:old')}`;
      const { status, stderr } = tryOstrata([...args, previous, `--creds=${user}:${password}`]);
      assert.equal(status, 1);
      assert.match(stderr, /previous build|reading registry/);
      assert.match(stderr, /401.*no credentials/);
      // The credentials are for the previous build if the image itself is not in a registry.
      encapsulate('os/new', `oci:${join(scratch, 'after')}`, previous);
    } finally {
      await other.stop();
    }
  });
});
