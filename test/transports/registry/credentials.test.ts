// Credentials from auth files and credential helpers, and the challenges that ask for them.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, suite, test } from 'node:test';
import type { OstrataError } from '../../../src/errors.js';
import { parseChallenges } from '../../../src/transports/registry/challenge.js';
import { encodeAuthFile, findCredentials } from '../../../src/transports/registry/credentials.js';
import { parseReference } from '../../../src/transports/registry/reference.js';
import { scratchDirectory } from '../../support/scratch.js';

const auth = (text: string) => ({ auth: Buffer.from(text).toString('base64') });
const scratch = scratchDirectory();

function authFile(content: unknown, name = 'auth.json'): string {
  const path = join(scratch, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}
const find = (image: string, file: string | undefined) =>
  findCredentials(parseReference(image), file);

test('the entry with the longest matching name is used', async () => {
  const file = authFile({
    auths: {
      'quay.io': auth('host:1'),
      'quay.io/os': auth('namespace:2'),
      'quay.io/os/base': auth('repository:3'),
      'quay.io/o': auth('wrong:4'),
      'other.io:5000': auth('port:a:b'),
      'https://index.docker.io/v1/': auth('hub:6'),
      'empty.io': {},
      'split.io': { username: 'u', password: 'p' },
    },
  });
  for (const [image, expected] of [
    ['quay.io/os/base:x', { username: 'repository', password: '3' }],
    ['quay.io/os/base2', { username: 'namespace', password: '2' }],
    ['quay.io/x', { username: 'host', password: '1' }],
    ['other.io:5000/x', { username: 'port', password: 'a:b' }],
    ['other.io/x', undefined],
    ['fedora', { username: 'hub', password: '6' }],
    ['empty.io/x', undefined],
    ['split.io/x', { username: 'u', password: 'p' }],
    ['evil.quay.io/x', undefined],
  ] as const) {
    assert.deepEqual(await find(image, file), expected, image);
  }
});

test('credentials that were encoded are found again', async () => {
  for (const credentials of [{ username: 'u', password: 'p:ö' }, { identityToken: 'token' }]) {
    assert.deepEqual(
      await find('quay.io/x', authFile(encodeAuthFile('quay.io', credentials))),
      credentials,
    );
  }
});

test('the error for a damaged file names it without quoting its content', async () => {
  for (const content of [
    '{"auths": secret',
    '{"auths":{"quay.io":"secret"}}',
    { auths: { 'quay.io': auth('secret') } },
  ]) {
    await assert.rejects(find('quay.io/x', authFile(content)), (error: OstrataError) => {
      assert.equal(error.code, 'CORRUPT');
      assert.match(error.message, /auth\.json/);
      assert.doesNotMatch(error.message, /secret|c2VjcmV0/);
      return true;
    });
  }
  await assert.rejects(find('quay.io/x', join(scratch, 'none')), { code: 'NOT_FOUND' });
});

suite('the default files', () => {
  const names = [
    'REGISTRY_AUTH_FILE',
    'XDG_RUNTIME_DIR',
    'XDG_CONFIG_HOME',
    'DOCKER_CONFIG',
    'PATH',
  ] as const;
  let before: Record<string, string | undefined>;
  beforeEach(() => {
    before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
    delete process.env.REGISTRY_AUTH_FILE;
    process.env.XDG_RUNTIME_DIR = join(scratch, 'run');
    process.env.XDG_CONFIG_HOME = join(scratch, 'config');
    process.env.DOCKER_CONFIG = join(scratch, 'docker');
  });
  afterEach(() => {
    for (const name of names) {
      if (before[name] === undefined) {
        delete process.env[name];
      } else {
        process.env[name] = before[name];
      }
    }
  });

  test('the first file with an entry for the image is used', async () => {
    authFile(
      { auths: { 'a.test': auth('docker:1'), 'b.test': auth('docker:1') } },
      'docker/config.json',
    );
    assert.deepEqual(await find('a.test/x', undefined), { username: 'docker', password: '1' });
    authFile({ auths: { 'a.test': auth('run:2') } }, 'run/containers/auth.json');
    assert.deepEqual(await find('a.test/x', undefined), { username: 'run', password: '2' });
    assert.deepEqual(await find('b.test/x', undefined), { username: 'docker', password: '1' });
    process.env.REGISTRY_AUTH_FILE = authFile({ auths: { 'a.test': auth('named:3') } });
    assert.deepEqual(await find('a.test/x', undefined), { username: 'named', password: '3' });
    assert.equal(await find('b.test/x', undefined), undefined);
  });

  test('credential helpers receive nothing but the host, on standard input', async () => {
    const helper = join(scratch, 'bin/docker-credential-test');
    mkdirSync(join(scratch, 'bin'), { recursive: true });
    const log = join(scratch, 'helper.log');
    writeFileSync(
      helper,
      `#!/bin/sh\nread host\necho "$* $host" >> ${log}\ncase $host in\n` +
        `known.test) echo '{"ServerURL":"known.test","Username":"helped","Secret":"5"}';;\n` +
        `token.test) echo '{"ServerURL":"token.test","Username":"<token>","Secret":"6"}';;\n` +
        `broken.test) echo 'secret';;\n*) echo 'credentials not found in native keychain'; exit 1;;\nesac\n`,
    );
    chmodSync(helper, 0o755);
    process.env.PATH = `${join(scratch, 'bin')}:${process.env.PATH}`;
    const file = authFile({
      credHelpers: { 'known.test': 'test', 'evil.test': '../test' },
      credsStore: 'test',
    });
    assert.deepEqual(await find('known.test/x', file), { username: 'helped', password: '5' });
    assert.deepEqual(await find('token.test/x', file), { identityToken: '6' });
    assert.equal(await find('unknown.test/x', file), undefined);
    await assert.rejects(find('broken.test/x', file), {
      code: 'CORRUPT',
      message: /^(?!.*secret).*docker-credential-test/,
    });
    await assert.rejects(find('evil.test/x', file), {
      code: 'CORRUPT',
      message: /not the name of a credential helper/,
    });
    assert.equal(
      readFileSync(log, 'utf8'),
      'get known.test\nget token.test\nget unknown.test\nget broken.test\n',
    );
    const missing = authFile({ credHelpers: { 'a.test': 'not-installed' } });
    await assert.rejects(find('a.test/x', missing), {
      code: 'UNSUPPORTED',
      message: /docker-credential-not-installed/,
    });
  });
});

test('challenges are parsed as in RFC 9110', () => {
  const read = (header: string) =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, ...parameters]);
  assert.deepEqual(read('Bearer realm="https://a/t?x=1,2",service="s \\"q\\"",scope="a:b:c,d"'), [
    ['bearer', ['realm', 'https://a/t?x=1,2'], ['service', 's "q"'], ['scope', 'a:b:c,d']],
  ]);
  assert.deepEqual(read('Basic Realm=x, Bearer realm = "y" , service=z'), [
    ['basic', ['realm', 'x']],
    ['bearer', ['realm', 'y'], ['service', 'z']],
  ]);
  assert.deepEqual(read('BASIC'), [['basic']]);
  for (const header of ['', ',,,', '"', 'Bearer realm="never closed', '='.repeat(9000)]) {
    assert.ok(read(header).length < 2);
  }
});
