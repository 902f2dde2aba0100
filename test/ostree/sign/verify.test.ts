/** Signatures that gpg and Node's OpenSSL make, verified with the keys of a remote. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { encodeMetadata } from '../../../src/ostree/objects/commit.js';
import { openRepo } from '../../../src/ostree/repo.js';
import { verifySignatures } from '../../../src/ostree/sign/verify.js';
import { dir, RepoBuilder } from '../../support/build-repo.js';
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const NOWHERE = '/nowhere/remotes.d';

/** A repository with `config`, and a commit's bytes in it. */
function repoWith(
  config: string,
  keyring?: Uint8Array,
): { path: string; commit: string; bytes: Uint8Array } {
  const built = new RepoBuilder('archive', config, scratchDirectory());
  const commit = built.commit(built.tree(dir({ file: 'content' })));
  if (keyring !== undefined) {
    built.write('signer.trustedkeys.gpg', keyring);
  }
  return { path: built.path, commit, bytes: openRepo(built.path).loadCommit(commit).bytes };
}

type Signatures = Readonly<Record<string, readonly Uint8Array[]>>;

function verify(
  { path, commit, bytes }: ReturnType<typeof repoWith>,
  signatures: Signatures | undefined,
  directory = NOWHERE,
): Promise<readonly string[]> {
  const metadata = Object.entries(signatures ?? {}).map(
    ([key, value]) => [key, { type: 'aay', value }] as const,
  );
  const detached = signatures && encodeMetadata(new Map(metadata));
  return verifySignatures(
    openRepo(path),
    'signer',
    { checksum: commit, bytes, detached },
    directory,
  );
}

suite('GPG signatures', needs('gpg'), () => {
  const home = scratchDirectory();
  const gpg = (args: readonly string[], input?: Uint8Array) => {
    const result = spawnSync('gpg', ['--homedir', home, '--batch', '--quiet', ...args], { input });
    assert.equal(result.status, 0, result.stderr.toString());
    return result.stdout;
  };
  const makeKey = (name: string, time: readonly string[], expiry: string) => {
    gpg([
      ...time,
      '--passphrase',
      '',
      '--quick-generate-key',
      `${name}@example.invalid`,
      'rsa2048',
      'sign',
      expiry,
    ]);
    return gpg(['--export', name]);
  };
  /** A time in the past, for a key that has expired since. */
  const then = ['--faked-system-time', '20230101T000000'];
  /** The clock goes on: a slow gpg makes a key some seconds later. */
  const laterThen = ['--faked-system-time', '20230101T010000'];
  const keys: Record<string, Buffer> = {};
  const signature = (name: string, bytes: Uint8Array, time: readonly string[] = []) =>
    gpg([...time, '--local-user', name, '--detach-sign'], bytes);
  const refuses = (promise: Promise<unknown>, message: RegExp) =>
    assert.rejects(promise, { code: 'CORRUPT', message });

  before(() => {
    keys.good = makeKey('good', [], 'never');
    keys.other = makeKey('other', [], 'never');
    keys.expired = makeKey('expired', then, '1d');
  });

  test('a signature by a key of the remote is good, also beside others', async () => {
    const repo = repoWith('[remote "signer"]\nurl=x\n', keys.good);
    const good = signature('good', repo.bytes);
    assert.match(
      (await verify(repo, { 'ostree.gpgsigs': [good] })).join(),
      /^GPG: good signature by good@example/,
    );
    const both = [signature('other', repo.bytes), good];
    assert.match((await verify(repo, { 'ostree.gpgsigs': both })).join(), /good@example/);
  });

  test('gpgkeypath names files and directories of binary and armored keys', async () => {
    const folder = scratchDirectory();
    writeFileSync(join(folder, 'good.asc'), gpg(['--armor', '--export', 'good']));
    const file = join(scratchDirectory(), 'good.gpg');
    writeFileSync(file, keys.good as Buffer);
    for (const path of [folder, file, `${folder};${file}`]) {
      const repo = repoWith(`[remote "signer"]\ngpgkeypath=${path}\n`);
      await verify(repo, { 'ostree.gpgsigs': [signature('good', repo.bytes)] });
    }
  });

  test('no signature, a wrong or expired key, another commit and no keys are refused', async () => {
    const repo = repoWith('[remote "signer"]\n', keys.good);
    await refuses(verify(repo, undefined), /no detached metadata/);
    await refuses(verify(repo, {}), /no signatures ostree\.gpgsigs/);
    await refuses(verify(repo, { 'ostree.gpgsigs': [] }), /no signatures/);
    await refuses(
      verify(repo, { 'ostree.gpgsigs': [signature('other', repo.bytes)] }),
      /key is not one of the trusted ones/,
    );
    const another = signature('good', Buffer.from('another commit'));
    await refuses(verify(repo, { 'ostree.gpgsigs': [another] }), /does not fit the content/);
    await refuses(verify(repo, { 'ostree.gpgsigs': [Buffer.from('rubbish')] }), /gpg found none/);
    const old = repoWith('[remote "signer"]\n', keys.expired);
    const expired = signature('expired', old.bytes, laterThen);
    await refuses(verify(old, { 'ostree.gpgsigs': [expired] }), /the key has expired/);
    const keyless = repoWith('[remote "signer"]\n');
    await assert.rejects(verify(keyless, { 'ostree.gpgsigs': [another] }), /has no GPG keys/);
  });

  test('a signature whose algorithm gpg does not know is not blamed on its key', async () => {
    const repo = repoWith('[remote "signer"]\n', keys.good);
    const unknown = Buffer.from(signature('good', repo.bytes));
    // RFC 4880, 5.2.3: the algorithm of the key follows the packet's header, version and type.
    unknown[5] = 99;
    await refuses(
      verify(repo, { 'ostree.gpgsigs': [unknown] }),
      /gpg does not accept the algorithms of the signature \(key [0-9A-F]{16}\)$/,
    );
  });

  test('if both kinds of signatures are required, both must be good', async () => {
    const { key, make } = ed25519();
    const config = `[remote "signer"]\nsign-verify=ed25519\nverification-ed25519-key=${key}\n`;
    const repo = repoWith(config, keys.good);
    const [gpgGood, edGood] = [signature('good', repo.bytes), make(repo.bytes)];
    const both = await verify(repo, {
      'ostree.gpgsigs': [gpgGood],
      'ostree.sign.ed25519': [edGood],
    });
    assert.equal(both.length, 2);
    await refuses(
      verify(repo, { 'ostree.gpgsigs': [gpgGood] }),
      /no signatures ostree\.sign\.ed25519/,
    );
    await refuses(
      verify(repo, { 'ostree.sign.ed25519': [edGood] }),
      /no signatures ostree\.gpgsigs/,
    );
  });
});

function ed25519() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const der = publicKey.export({ type: 'spki', format: 'der' });
  return {
    key: der.subarray(-32).toString('base64'),
    pem: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    make: (bytes: Uint8Array) => sign(null, bytes, privateKey),
  };
}

suite('ed25519 signatures', () => {
  const { key, pem, make } = ed25519();
  const other = ed25519();
  const config = (more: string) => `[remote "signer"]\ngpg-verify=false\n${more}`;

  test('a signature by a key in the configuration or in a file of keys is good', async () => {
    const file = join(scratchDirectory(), 'keys');
    writeFileSync(file, `${other.key}\n${key}\n`);
    for (const how of [
      `sign-verify=true\nverification-ed25519-key=${key}\n`,
      `sign-verify=ed25519\nverification-ed25519-file=${file}\n`,
    ]) {
      const repo = repoWith(config(how));
      const found = await verify(repo, { 'ostree.sign.ed25519': [make(repo.bytes)] });
      assert.deepEqual(found, [`ed25519: good signature by key ${key}`]);
    }
  });

  test('a wrong key, another commit, a cut signature, no keys and unknown kinds are refused', async () => {
    const repo = repoWith(config(`sign-verify=true\nverification-ed25519-key=${key}\n`));
    const refuses = (signatures: Signatures | undefined, message: RegExp, where = repo) =>
      assert.rejects(verify(where, signatures), { message });
    await refuses({ 'ostree.sign.ed25519': [other.make(repo.bytes)] }, /no good ed25519 signature/);
    await refuses({ 'ostree.sign.ed25519': [make(Buffer.from('x'))] }, /no good ed25519 signature/);
    await refuses({ 'ostree.sign.ed25519': [Buffer.alloc(63)] }, /63 bytes instead of 64/);
    await refuses(undefined, /no detached metadata/);
    const lacks = repoWith(
      config('sign-verify=ed25519\nverification-ed25519-file=/nowhere/keys\n'),
    );
    await refuses(
      { 'ostree.sign.ed25519': [make(lacks.bytes)] },
      /no key file \/nowhere\/keys/,
      lacks,
    );
    const unknown = repoWith(config('sign-verify=dummy\n'));
    await refuses({}, /signatures of kind dummy; ed25519 and spki are supported/, unknown);
    const broken = repoWith(config('sign-verify=true\nverification-ed25519-key=abcd\n'));
    await refuses({}, /is not 32 bytes in base64|no signatures/, broken);
  });

  test('a remote that requires no signatures, and a missing remote, are refused', async () => {
    const repo = repoWith(config(''));
    await assert.rejects(verify(repo, {}), { code: 'USAGE', message: /verifies nothing/ });
    await assert.rejects(verify(repoWith(''), {}), {
      code: 'NOT_FOUND',
      message: /no remote "signer"/,
    });
  });

  test('a remote may be configured in remotes.d', async () => {
    const directory = join(scratchDirectory(), 'remotes.d');
    mkdirSync(directory);
    writeFileSync(
      join(directory, 'a.conf'),
      `[remote "signer"]\ngpg-verify=0\nsign-verify=1\nverification-ed25519-key=${key}\n`,
    );
    const repo = repoWith('');
    await verify(repo, { 'ostree.sign.ed25519': [make(repo.bytes)] }, directory);
  });

  test('OpenSSL verifies the same signature over the same bytes', needs('openssl'), () => {
    const scratch = scratchDirectory();
    const repo = repoWith('');
    const object = join(
      repo.path,
      'objects',
      repo.commit.slice(0, 2),
      `${repo.commit.slice(2)}.commit`,
    );
    writeFileSync(join(scratch, 'key'), pem);
    writeFileSync(join(scratch, 'signature'), make(readFileSync(object)));
    assert.equal(createPublicKey(pem).asymmetricKeyType, 'ed25519');
    const { status, stdout } = spawnSync('openssl', [
      ...['pkeyutl', '-verify', '-pubin', '-inkey', join(scratch, 'key'), '-rawin', '-in', object],
      ...['-sigfile', join(scratch, 'signature')],
    ]);
    assert.equal(status, 0);
    assert.match(stdout.toString(), /Signature Verified Successfully/);
  });
});
