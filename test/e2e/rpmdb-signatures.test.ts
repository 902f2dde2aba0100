/** `ostrata rpmdb verify-signatures` on packages that the real rpm built, signed and installed. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { openRpmdbAt, Tag } from '../../plugins/rpm/rpmdb/index.js';
import { sha256Hex } from '../../src/ostree/objects/object-name.js';
import { databaseOfHeaders } from '../support/build-database.js';
import { run, tryOstrata, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const scratch = scratchDirectory();
const dbpath = join(scratch, 'db');
const GPG_HOME = join(scratch, 'gnupg');
const env = { GNUPGHOME: GPG_HOME };

/** Makes a key, and returns a file with its public part. */
function makeKey(name: string): string {
  const user = `${name} <${name}@example.invalid>`;
  const make = ['--passphrase', '', '--quick-generate-key', user, 'rsa2048', 'sign', 'never'];
  run('gpg', ['--batch', '--quiet', ...make], { env });
  const file = join(scratch, `${name}.asc`);
  writeFileSync(file, run('gpg', ['--batch', '--armor', '--export', name], { env }));
  return file;
}

/** Builds a package and returns its file. */
function buildPackage(name: string): string {
  const tags = [`Name: ${name}`, 'Version: 1', 'Release: 1', 'Summary: x', 'License: x'];
  const spec = [...tags, 'BuildArch: noarch', '%description', 'A sentence.', '%files', ''];
  const file = join(scratch, `${name}.spec`);
  writeFileSync(file, spec.join('\n'));
  const top = `_topdir ${join(scratch, 'top')}`;
  run('rpmbuild', ['-bb', '--quiet', '--define', top, file]);
  return join(scratch, 'top/RPMS/noarch', `${name}-1-1.noarch.rpm`);
}

function sign(packageFile: string, name: string): void {
  const gpg = run('sh', ['-c', 'command -v gpg']).trim();
  const define = (macro: string) => ['--define', macro];
  const macros = [...define(`__gpg ${gpg}`), ...define(`_gpg_name ${name}`)];
  run('rpmsign', [...macros, '--addsign', packageFile], { env });
}

const verify = (database: string, ...args: readonly string[]) =>
  tryOstrata(['rpmdb', 'verify-signatures', `--dbpath=${database}`, ...args]);

suite('rpmdb verify-signatures', needs('gpg', 'rpm'), () => {
  let trusted: string;
  let other: string;
  let goodId: string;

  before(() => {
    mkdirSync(GPG_HOME, { mode: 0o700 });
    trusted = makeKey('Trusted');
    other = makeKey('Other');
    const [good, foreign, unsigned] = ['good', 'foreign', 'unsigned'].map(buildPackage) as [
      string,
      string,
      string,
    ];
    sign(good, 'Trusted');
    sign(foreign, 'Other');

    mkdirSync(dbpath);
    run('rpm', [`--dbpath=${dbpath}`, '--import', trusted]);
    const checked = tryRun('rpmkeys', [`--dbpath=${dbpath}`, '-Kv', good, foreign]).stdout;
    assert.match(checked, /good[\s\S]* Signature, key ID .*: OK[\s\S]*foreign[\s\S]*: NOKEY/);
    const format = '%{RSAHEADER:pgpsig}';
    const signature = run('rpm', ['-qp', '--nosignature', '--qf', format, good]);
    goodId = / Key ID ([0-9a-f]+)$/.exec(signature)?.[1] ?? assert.fail(signature);

    const install = ['-i', '--justdb', '--nodeps', '--nosignature', '--ignoreos'];
    run('rpm', [`--dbpath=${dbpath}`, ...install, good, foreign, unsigned]);
  });

  test('knows good signatures, unknown keys and unsigned packages', () => {
    const { status, stdout, stderr } = verify(dbpath, `--keyring=${trusted}`);
    assert.equal(status, 1, stderr);
    const lines = stdout.split('\n');
    assert.match(
      lines[0] ?? '',
      /^foreign-1-1\.noarch: the key is not one of the trusted ones \(key [0-9a-f]{16}\)$/,
    );
    assert.equal(lines[1], 'unsigned-1-1.noarch: unsigned');
    assert.match(
      lines[2] ?? '',
      /^3 packages: 1 .* good .*, 0 .* bad .*, 1 .* key .*, 1 unsigned$/,
    );

    const keyrings = [`--keyring=${trusted}`, `--keyring=${other}`];
    const both = verify(dbpath, ...keyrings, 'good', 'foreign');
    assert.equal(both.status, 0, both.stdout);
  });

  test('names the key and the signer in JSON', () => {
    const { stdout } = verify(dbpath, `--keyring=${trusted}`, '--json');
    const [foreign, good, unsigned] = JSON.parse(stdout);
    const signer = 'Trusted <Trusted@example.invalid>';
    const nevra = 'good-1-1.noarch';
    assert.deepEqual(good, { nevra, state: 'good', keyId: goodId, signer });
    assert.deepEqual([foreign.state, unsigned.state], ['unknown-key', 'unsigned']);
    assert.notEqual(foreign.keyId, goodId);
  });

  test('finds a header that was changed after it was signed', async () => {
    const packages = [...(await openRpmdbAt(dbpath)).packages()];
    const { header } = packages.find(({ name }) => name === 'good') ?? assert.fail();
    const region = header.immutableRegion() ?? assert.fail();
    const magic = Buffer.from('8eade80100000000', 'hex');
    assert.equal(sha256Hex(Buffer.concat([magic, ...region])), header.text(Tag.SHA256HEADER));

    // The digest is that of the changed header: a forger would not forget it.
    const forge = (bytes: Uint8Array) =>
      Buffer.from(Buffer.from(bytes).toString('latin1').replace('A sent', 'A trap'), 'latin1');
    const digest = sha256Hex(Buffer.concat([magic, ...region.map(forge)]));
    const forged = forge(header.bytes());
    forged.write(digest, forged.indexOf(header.text(Tag.SHA256HEADER) ?? ''));
    const file = join(scratch, 'rpmdb.sqlite');
    writeFileSync(file, databaseOfHeaders([forged]));

    const { status, stdout } = verify(file, `--keyring=${trusted}`);
    assert.equal(status, 1);
    const reason = 'the signature does not fit the content';
    assert.ok(stdout.startsWith(`good-1-1.noarch: ${reason} (key ${goodId})\n`), stdout);
  });

  test('says what is wrong with its keys', () => {
    assert.match(verify(dbpath).stderr, /^error: give the keys to trust: --keyring FILE$/m);
    const missing = verify(dbpath, '--keyring=/missing.asc');
    assert.match(missing.stderr, /^error: reading keys: .*\/missing\.asc/);
    const empty = join(scratch, 'empty.asc');
    writeFileSync(empty, '');
    assert.match(
      verify(dbpath, `--keyring=${empty}`).stderr,
      /^error: no GPG key in .*empty\.asc$/m,
    );
  });

  test('says which package has gpg if it is not installed', () => {
    const args = ['rpmdb', 'verify-signatures', `--dbpath=${dbpath}`, `--keyring=${trusted}`];
    const { status, stderr } = tryOstrata(args, { env: { PATH: '/missing' } });
    assert.equal(status, 1);
    assert.match(stderr, /needs the program gpg, .* install the package gpg or gnupg2$/m);
  });
});
