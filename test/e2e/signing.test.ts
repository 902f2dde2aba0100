/**
 * Images whose commit is signed while they are built: by the keys of files, and by GnuPG. The real
 * ostree reads the signatures, and gpg, OpenSSL and the client verify them.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { fsck, pull, refused, unencapsulate } from '../support/client.js';
import { commitSignatures } from '../support/commit-signatures.js';
import { addIndex, type IndexEntry, readIndex } from '../support/index-layout.js';
import { encapsulate } from '../support/read-image.js';
import { ostrata, ostrataProgram, run, tryOstrata } from '../support/run.js';
import { differences, scan } from '../support/scan-tree.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';

const ED25519 = 'ostree.sign.ed25519';
const SPKI = 'ostree.sign.spki';

suite('signed while they are built', needs(...worldNeeds, 'openssl', 'gpg'), () => {
  let given: World;
  let scratch: string;
  let images = 0;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    for (const name of ['one', 'two']) {
      run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', path(`${name}.pem`)]);
    }
    const curve = ['-pkeyopt', 'ec_paramgen_curve:P-256'];
    run('openssl', ['genpkey', '-algorithm', 'EC', ...curve, '-out', path('ec.pem')]);
    for (const name of ['one', 'two', 'ec']) {
      const args = ['pkey', '-in', path(`${name}.pem`), '-pubout'];
      run('openssl', [...args, '-out', path(`${name}.pub`)]);
    }
    writeFileSync(path('keys'), `${secretLine('one')}\n${secretLine('two')}\n`);
  });

  const path = (name: string) => join(scratch, name);

  /** Returns the last 32 bytes of a key that OpenSSL converts to DER. */
  function rawKey(...options: readonly string[]): Buffer {
    const der = run('openssl', ['pkey', ...options, '-outform', 'DER']);
    return Buffer.from(der, 'latin1').subarray(-32);
  }
  const publicKey = (name: string) => rawKey('-pubin', '-in', path(`${name}.pub`), '-pubout');
  const secretLine = (name: string) =>
    Buffer.concat([rawKey('-in', path(`${name}.pem`)), publicKey(name)]).toString('base64');

  const build = (...args: readonly string[]) =>
    encapsulate(given.repo, 'os/old', path(`image-${images++}`), ['--max-layers=4', ...args]).image;

  const signaturesIn = (repo: string, key: string, commit = given.oldCommit) =>
    commitSignatures(repo, commit, key);

  /** Whether OpenSSL finds that `signature` is of the commit. */
  function isGood(signature: Buffer, ...options: readonly string[]): boolean {
    const { oldCommit } = given;
    const object = join(
      given.repo,
      'objects',
      oldCommit.slice(0, 2),
      `${oldCommit.slice(2)}.commit`,
    );
    writeFileSync(path('signature'), signature);
    const files = ['-in', object, '-sigfile', path('signature')];
    const args = ['pkeyutl', '-verify', '-pubin', '-rawin', ...options, ...files];
    return /Verified Successfully/.test(run('sh', ['-c', 'openssl "$@" || true', 'sh', ...args]));
  }

  test('by each key of the files, beside the signatures that the commit has', () => {
    const untouched = scan(given.repo);
    const keys = `--sign-commit=ed25519=${path('keys')}`;
    const image = build(keys, '--sign-commit', `spki=${path('ec.pem')}`);
    assert.deepEqual(differences(scan(given.repo), untouched), []);

    const repo = initRepo(path('pulled'), 'bare');
    unencapsulate(repo, `ostree-unverified-image:${image.reference}`);
    fsck(repo);
    const [first, second, ...others] = signaturesIn(repo, ED25519);
    assert.ok(first && second && others.length === 0);
    assert.ok(isGood(first, '-inkey', path('one.pub')));
    assert.ok(isGood(second, '-inkey', path('two.pub')));
    assert.ok(!isGood(first, '-inkey', path('two.pub')));
    const [byCurve] = signaturesIn(repo, SPKI);
    assert.ok(byCurve && isGood(byCurve, '-digest', 'sha256', '-inkey', path('ec.pub')));
    assert.match(run('ostree', [`--repo=${repo}`, 'show', given.oldCommit]), /Found 1 signature/);
  });

  const canOstreeSign = () => run('ostree', ['--version']).includes('sign-ed25519');

  test('pass `ostree sign --verify`, and are the bytes that ostree writes', (t) => {
    if (!canOstreeSign()) {
      t.skip('this ostree is built without ed25519');
      return;
    }
    const { oldCommit } = given;
    const repo = initRepo(path('judged'), 'archive');
    const { reference } = build(`--sign-commit=ed25519=${path('keys')}`);
    unencapsulate(repo, `ostree-unverified-image:${reference}`);
    const key = publicKey('two').toString('base64');
    run('ostree', [`--repo=${repo}`, 'sign', '--verify', oldCommit, key]);
    const before = signaturesIn(repo, ED25519);
    run('ostree', [`--repo=${repo}`, 'sign', `--keys-file=${path('keys')}`, oldCommit]);
    assert.deepEqual(signaturesIn(repo, ED25519), [...before, ...before]);
  });

  test('pass the client with a remote that requires them, and no other', () => {
    const repo = initRepo(path('client'), 'bare-user');
    const add = (name: string, ...settings: readonly string[]) =>
      run('ostree', [
        ...[`--repo=${repo}`, 'remote', 'add', '--no-gpg-verify'],
        ...settings.map((each) => `--set=${each}`),
        ...[name, 'https://example.invalid/'],
      ]);
    const key = publicKey('two').toString('base64');
    add('two', 'sign-verify=ed25519', `verification-ed25519-key=${key}`);
    add('curve', 'sign-verify=true', `verification-spki-file=${path('ec.pub')}`);
    add('other', 'sign-verify=spki', `verification-spki-file=${path('one.pub')}`);
    const { reference } = build(
      `--sign-commit=ed25519=${path('keys')}`,
      `--sign-commit=spki=${path('ec.pem')}`,
    );
    for (const remote of ['two', 'curve']) {
      pull(repo, `ostree-remote-image:${remote}:${reference}`);
    }
    const call = ['container', 'image', 'pull', '--quiet', repo];
    const wrong = `ostree-remote-image:other:${reference}`;
    refused([...call, wrong], /no good spki signature by any of 1 keys/);
    const unsigned = `ostree-remote-image:curve:${build().reference}`;
    refused([...call, unsigned], /no signatures ostree\.sign\.ed25519 or ostree\.sign\.spki/);
  });

  test('by a key of GnuPG, as ostree verifies it', () => {
    const home = path('gnupg');
    run('mkdir', ['-m', '700', home]);
    const gpg = ['--homedir', home, '--batch', '--quiet', '--passphrase', ''];
    run('gpg', [...gpg, '--quick-generate-key', 'Builder <b@example.invalid>', 'rsa2048', 'sign']);
    const image = build('--gpg-sign=b@example.invalid', `--gpg-homedir=${home}`);
    const repo = initRepo(path('by-gpg'), 'bare');
    writeFileSync(path('builder.gpg'), run('gpg', [...gpg, '--export']), 'latin1');
    const added = [`--gpg-import=${path('builder.gpg')}`, 'builder', 'https://example.invalid/'];
    run('ostree', [`--repo=${repo}`, 'remote', 'add', ...added]);
    pull(repo, `ostree-remote-image:builder:${image.reference}`);
    const show = ['show', '--gpg-verify-remote=builder', given.oldCommit];
    const shown = run('ostree', [`--repo=${repo}`, ...show]);
    assert.match(shown, /Found 2 signatures/);
    assert.match(shown, /Good signature from "Builder/);
    run('gpgconf', ['--homedir', home, '--kill', 'all']);

    const args = ['container-encapsulate', `--repo=${given.repo}`, 'os/old', `oci:${path('none')}`];
    const options = ['--gpg-sign=nobody@example.invalid', `--gpg-homedir=${home}`];
    refused([...args, ...options], /signing the commit: gpg: .*No secret key/);
  });

  test('the same keys give the same image, and other keys another commit layer only', () => {
    const keys = `--sign-commit=ed25519=${path('keys')}`;
    const first = build(keys);
    assert.equal(build(keys).manifestDigest, first.manifestDigest);
    writeFileSync(path('one-key'), secretLine('one'));
    const other = build(
      `--sign-commit=ed25519=${path('one-key')}`,
      `--previous-build=${first.reference}`,
    );
    const digests = ({ manifest }: typeof first) => manifest.layers.map(({ digest }) => digest);
    assert.notEqual(digests(other)[0], digests(first)[0]);
    assert.deepEqual(digests(other).slice(1), digests(first).slice(1));
    // The signatures are part of what identifies the layer of a previous build.
    const again = build(keys, `--previous-build=${other.reference}`);
    assert.deepEqual(digests(again), digests(first));
  });

  test('keys are read first, and once for all images: they may come from a pipe', () => {
    const tree = path('tree');
    mkdirSync(join(tree, 'usr'), { recursive: true });
    const missing = [
      '--sign-commit=spki=/nowhere',
      '--rootfs=/nowhere/else',
      `oci:${path('none')}`,
    ];
    const { stderr } = tryOstrata(['build', '--format=ostree', ...missing]);
    assert.match(stderr, /^error: spki keys in \/nowhere: it cannot be read \(ENOENT\)/);

    const layout = path('layout');
    const entries = ['amd64', 'arm64'].map((architecture): IndexEntry => {
      const options = [`--rootfs=${tree}`, `--arch=${architecture}`];
      ostrata(['build', ...options, `oci:${layout}:${architecture}`]);
      const entry = readIndex(layout).manifests.at(-1);
      assert.ok(entry);
      return { ...entry, platform: { os: 'linux', architecture } };
    });
    addIndex(layout, 'index', entries);
    const target = `oci:${path('both')}:x`;
    const options = ['--all-platforms', `--from=oci:${layout}:index`];
    const args = ['build', '--format=ostree', '--sign-commit=ed25519=/dev/stdin', ...options];
    const line = [process.execPath, ostrataProgram, ...args, target].join(' ');
    run('sh', ['-c', `cat ${path('keys')} | ${line}`]);
    for (const architecture of ['amd64', 'arm64']) {
      const repo = initRepo(path(`piped-${architecture}`), 'archive');
      const platform = `--platform=linux/${architecture}`;
      const { commit } = unencapsulate(repo, `ostree-unverified-image:${target}`, platform);
      assert.equal(signaturesIn(repo, ED25519, commit).length, 2);
    }
  });

  test('a wrong option is named without its value, and nothing is written', () => {
    const secret = secretLine('one');
    const target = `oci:${path('refused')}`;
    const args = ['container-encapsulate', `--repo=${given.repo}`, 'os/old', target];
    for (const value of [secret, `ed25519=${secret}`, `dummy=${path('keys')}`]) {
      const { status, stderr } = tryOstrata([...args, '--verbose', '--sign-commit', value]);
      assert.ok(status === 1 || status === 2);
      assert.ok(!stderr.includes(secret.slice(0, 20)), stderr);
    }
    assert.throws(() => readFileSync(path('refused/index.json')), { code: 'ENOENT' });
  });
});
