/** Commits are signed by the secret keys in files, and verified with the public keys of a remote. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { decodeMetadata, encodeMetadata } from '../../../src/ostree/objects/commit.js';
import { openRepo } from '../../../src/ostree/repo.js';
import { keyFileSigner, signCommit } from '../../../src/ostree/sign/sign.js';
import { verifySignatures } from '../../../src/ostree/sign/verify.js';
import { RepoBuilder } from '../../support/build-repo.js';
import { scratchDirectory } from '../../support/scratch.js';

const COMMIT = Buffer.from('the bytes of a commit');
const NO_GPG = '[remote "signer"]\ngpg-verify=false\n';

interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

const spkiPem = ({ publicKey }: Pair) => publicKey.export({ format: 'pem', type: 'spki' });
const pkcs8Pem = ({ privateKey }: Pair) => privateKey.export({ format: 'pem', type: 'pkcs8' });
const rawPublic = ({ publicKey }: Pair) =>
  publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
const rawSecret = ({ privateKey }: Pair) =>
  privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32);
/** A secret key as `ostree sign` takes it. */
const secretLine = (pair: Pair, half = pair) =>
  Buffer.concat([rawSecret(pair), rawPublic(half)]).toString('base64');

const [first, second] = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')];
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });

function fileWith(text: string): string {
  const path = join(scratchDirectory(), 'keys');
  writeFileSync(path, text);
  return path;
}

/** Verifies as a repository does whose remote has more configuration. */
function verify(detached: Uint8Array | undefined, config: string): Promise<readonly string[]> {
  const { path } = new RepoBuilder('archive', `${NO_GPG}${config}`);
  const commit = { checksum: 'c', bytes: COMMIT, detached };
  return verifySignatures(openRepo(path), 'signer', commit, '/nowhere');
}

const signedBy = async (kind: string, keys: string, detached?: Uint8Array) =>
  signCommit(COMMIT, detached, [keyFileSigner(kind, fileWith(keys))]);

const countOf = (detached: Uint8Array | undefined, key: string) => {
  assert.ok(detached !== undefined);
  const value = decodeMetadata(detached).get(key);
  assert.equal(value?.type, 'aay');
  return Array.isArray(value.value) ? value.value.length : undefined;
};

suite('signing a commit', () => {
  test('each ed25519 key of a file signs, the same way each time', async () => {
    const keys = `${secretLine(first)}\n\n${secretLine(second)}\n`;
    const detached = await signedBy('ed25519', keys);
    assert.equal(countOf(detached, 'ostree.sign.ed25519'), 2);
    assert.deepEqual(await signedBy('ed25519', keys), detached);
    for (const pair of [first, second]) {
      const key = rawPublic(pair).toString('base64');
      const config = `sign-verify=ed25519\nverification-ed25519-key=${key}\n`;
      assert.deepEqual(await verify(detached, config), [`ed25519: good signature by key ${key}`]);
    }
  });

  test('each PEM key of a file signs, of whatever algorithm', async () => {
    const pairs = [ec, rsa, first];
    const detached = await signedBy('spki', `a comment\n${pairs.map(pkcs8Pem).join('\n')}`);
    assert.equal(countOf(detached, 'ostree.sign.spki'), pairs.length);
    for (const pair of pairs) {
      const der = pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
      const file = fileWith(`${spkiPem(generateKeyPairSync('ed25519'))}${spkiPem(pair)}`);
      for (const how of [`verification-spki-key=${der}`, `verification-spki-file=${file}`]) {
        const found = await verify(detached, `sign-verify=spki\n${how}\n`);
        assert.deepEqual(found, [`spki: good signature by key ${der}`]);
      }
    }
  });

  test('what the commit has stays, and one good signature of any kind is enough', async () => {
    const stored = encodeMetadata(new Map([['other', { type: 's', value: 'kept' }]]));
    const once = await signedBy('ed25519', secretLine(first), stored);
    const both = await signedBy('spki', pkcs8Pem(ec).toString(), once);
    const twice = await signedBy('ed25519', secretLine(second), both);
    assert.ok(twice !== undefined);
    const metadata = decodeMetadata(twice);
    assert.deepEqual([...metadata.keys()], ['other', 'ostree.sign.ed25519', 'ostree.sign.spki']);
    assert.equal(countOf(twice, 'ostree.sign.ed25519'), 2);
    const wrong = `verification-ed25519-key=${rawPublic(generateKeyPairSync('ed25519')).toString('base64')}`;
    const right = `verification-spki-file=${fileWith(spkiPem(ec).toString())}`;
    const found = await verify(twice, `sign-verify=true\n${wrong}\n${right}\n`);
    assert.match(found.join(), /^spki: good/);
    await assert.rejects(verify(once, `sign-verify=true\n${wrong}\n${right}\n`), {
      message: /no good ed25519 signature by any of 1 keys/,
    });
    await assert.rejects(verify(stored, 'sign-verify=true\n'), {
      message: /no signatures ostree\.sign\.ed25519 or ostree\.sign\.spki/,
    });
  });

  test('without a signer, detached metadata stays as it is', async () => {
    const stored = encodeMetadata(new Map());
    assert.equal(await signCommit(COMMIT, stored, []), stored);
    assert.equal(await signCommit(COMMIT, undefined, []), undefined);
  });

  test('more signatures than clients verify are refused', async () => {
    const many = `${secretLine(first)}\n`.repeat(65);
    await assert.rejects(signedBy('ed25519', many), { code: 'LIMIT', message: /65 signatures/ });
  });
});

suite('a broken key file is refused, and no message shows what is in it', () => {
  const secret = secretLine(first);
  const pem = pkcs8Pem(ec).toString();
  const cases: readonly (readonly [name: string, kind: string, text: string, message: RegExp])[] = [
    ['no key', 'ed25519', '\n', /there is no ed25519 key in/],
    [
      'a seed alone',
      'ed25519',
      rawSecret(first).toString('base64'),
      /line 1: .* is not 64 bytes in base64: 32/,
    ],
    ['a cut key', 'ed25519', `${secret}\n${secret.slice(4)}`, /line 2: .* 64 bytes .*: 61/],
    ['two halves', 'ed25519', secretLine(first, second), /two halves .* do not fit/],
    ['no PEM', 'spki', secret, /there is no spki key in/],
    ['a public key', 'spki', spkiPem(ec).toString(), /expected a PEM PRIVATE KEY, got PUBLIC KEY/],
    ['a key that is cut', 'spki', pem.slice(0, 90), /1 keys begin, and 0 are whole/],
    ['another label', 'spki', pem.replaceAll('PRIVATE', 'EC PRIVATE'), /got EC PRIVATE KEY/],
    ['broken DER', 'spki', pem.replace('MIG', 'AAA'), /not in the form PKCS #8/],
    ['a huge file', 'spki', 'x'.repeat(2 ** 20 + 1), /1048577 bytes, at most 1048576/],
  ];
  for (const [name, kind, text, message] of cases) {
    test(name, () => {
      const path = fileWith(text);
      assert.throws(
        () => keyFileSigner(kind, path),
        (error: Error) => {
          assert.match(error.message, message);
          const parts = text.split(/\s+/).filter((part) => part.length > 20);
          assert.ok(!parts.some((part) => error.message.includes(part.slice(0, 20))));
          return true;
        },
      );
    });
  }

  test('a key in the place of the path, and as a public key', async () => {
    const hides = (error: Error) => !error.message.includes(secret.slice(0, 20));
    assert.throws(() => keyFileSigner('ed25519', secret), hides);
    assert.throws(() => keyFileSigner('ed25519', '/nowhere/key'), {
      code: 'IO',
      message: 'ed25519 keys in /nowhere/key: it cannot be read (ENOENT)',
    });
    assert.throws(() => keyFileSigner('dummy', '/nowhere'), { code: 'USAGE' });
    const detached = await signedBy('ed25519', secret);
    const config = `sign-verify=ed25519\nverification-ed25519-key=${secret}\n`;
    await assert.rejects(verify(detached, config), hides);
  });
});
