/** The keys that src/JSON.md lists are those that commands print with `--json`. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { newRepo } from '../support/import-image.js';
import { addIndex, readIndex } from '../support/index-layout.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample');
const FIRMWARE = join(repoRoot, 'rpmdb-fixtures/series/firmware.jsonl.gz');
const scratch = scratchDirectory();
const imageOf = (tag: string) => `oci:${join(scratch, 'image')}:${tag}`;

/** The documented keys of each command; a question mark at the end says that one may be missing. */
function documentedKeys(): ReadonlyMap<string, readonly string[]> {
  const markdown = readFileSync(join(repoRoot, 'src/JSON.md'), 'utf8');
  const sections = markdown.split(/^## (?:`ostrata )?/m).slice(1);
  const keys = new Map<string, readonly string[]>();
  for (const section of sections) {
    const [command = ''] = section.split(/[`\n]/, 1);
    const own = [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, key = '']) => key);
    const [, linked] = /\[`ostrata ([^`]+)`\]/.exec(section) ?? [];
    const [, similar, missing] = /^As `([^`]+)`, but without `([^`]+)`/m.exec(section) ?? [];
    const inherited = keys.get(linked ?? similar ?? '') ?? [];
    keys.set(command, [...inherited.filter((key) => key !== missing), ...own]);
  }
  return keys;
}

const documented = documentedKeys();

/** Adds the keys of a value to `keys`: `layers[].digest`. */
function addKeys(value: unknown, path: string, keys: Set<string>): void {
  if (Array.isArray(value)) {
    for (const element of value) {
      addKeys(element, `${path}[]`, keys);
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      const key = path === '' ? name : `${path}.${name}`;
      keys.add(key);
      addKeys(member, key, keys);
    }
  }
}

/** The keys of a document, or of a document on each line. */
function keysOf(output: string): ReadonlySet<string> {
  const keys = new Set<string>();
  const isOne = !/^\{.*\}\n\{/s.test(output);
  for (const text of isOne ? [output] : output.trim().split('\n')) {
    addKeys(parseJson(text, v.unknown()), '', keys);
  }
  return keys;
}

/** Whether a documented key such as `labels.*` stands for a real one. */
function standsFor(key: string, real: string): boolean {
  return key.endsWith('.*') ? real.startsWith(key.slice(0, -1)) : key === real;
}

function assertDocumented(command: string, args: readonly string[]): void {
  const { stdout, stderr } = tryOstrata([...command.split(' '), '--json', ...args]);
  const real = keysOf(stdout);
  assert.equal(real.has('error'), false, stderr);
  assertKeys(command, real);
}

/** Asserts that a section of the documentation has the keys of what was printed. */
function assertKeys(command: string, real: ReadonlySet<string>): void {
  const keys = documented.get(command) ?? [];
  assert.notEqual(keys.length, 0, `src/JSON.md documents ${command}`);
  const names = keys.map((key) => key.replace(/\?$/, ''));
  const unknown = [...real].filter((key) => !names.some((name) => standsFor(name, key)));
  assert.deepEqual(unknown, [], `src/JSON.md lacks keys of ${command}`);
  const required = keys.filter((key) => !key.endsWith('?'));
  const missing = required.filter((key) => ![...real].some((each) => standsFor(key, each)));
  assert.deepEqual(missing, [], `src/JSON.md has other keys of ${command}`);
}

suite('the documentation of --json has the keys of', () => {
  const first = imageOf('old');
  const second = imageOf('new');
  const commit = [`--repo=${SAMPLE}/new`, 'sample/os'];
  const build = [`--repo=${SAMPLE}/new`, '--max-layers=6', 'sample/os'];
  const previous = `--previous-build=${first}`;
  const delta = imageOf('delta');

  /** A file with the only shard of a simulation. */
  function shard(): string {
    const path = join(scratch, 'shard.json');
    const args = ['layout', 'simulate', first, second, '--max-layers=6,9', '--shard=1/1'];
    writeFileSync(path, ostrata(args));
    return path;
  }

  before(() => {
    ostrata(['container-encapsulate', `--repo=${SAMPLE}/old`, 'sample/os', first]);
    ostrata(['container-encapsulate', `--repo=${SAMPLE}/new`, previous, 'sample/os', second]);
    const layout = join(scratch, 'image');
    const [image] = readIndex(layout).manifests;
    assert.ok(image);
    addIndex(layout, 'index', [{ ...image, platform: { os: 'linux', architecture: 'amd64' } }]);
    ostrata(['delta', 'create', first, second, delta]);
  });

  const calls: readonly (readonly [command: string, args: () => readonly string[]])[] = [
    ['container-encapsulate', () => [...build, `oci:${join(scratch, 'other')}`]],
    ['container-encapsulate', () => [...build, previous, `oci:${join(scratch, 'other')}`]],
    ['container-encapsulate', () => [...build, previous, '--dry-run', second]],
    ['build', () => [...commit, imageOf('plain')]],
    ['build', () => [...commit, `--previous-build=${imageOf('plain')}`, '--dry-run', second]],
    ['build --all-platforms', () => [`--from=${imageOf('index')}`, imageOf('index-again')]],
    ['inspect', () => [second]],
    ['verify', () => [second]],
    ['container info', () => [second]],
    ['container compare', () => [first, second]],
    ['diff', () => [first, second]],
    ['diff', () => ['--files', '--changelog', first, second]],
    ['container image pull', () => [newRepo(), second]],
    ['container unencapsulate', () => [`--repo=${newRepo()}`, second]],
    ['delta create', () => [first, second, imageOf('other-delta')]],
    ['delta inspect', () => [delta]],
    ['delta apply', () => [delta, `--source=${first}`, imageOf('rebuilt')]],
    ['doctor', () => [second]],
    ['layout plan', () => commit],
    ['layout simulate', () => [first, second]],
    ['layout simulate', () => [FIRMWARE, '--max-layers=12,24']],
    ['layout record', () => [first, second, `--append=${join(scratch, 'series.jsonl')}`]],
    ['layout report', () => [shard()]],
    ['rpmdb list', () => commit],
    ['rpmdb info', () => [...commit, 'bash', 'libc6']],
    ['rpmdb files', () => [...commit, 'bash']],
    ['rpmdb owner', () => [...commit, '/etc/passwd', '/usr/bin/bash', '/missing']],
    ['rpmdb verify', () => [...commit, 'bash', 'libc6']],
    ['rpmdb stats', () => commit],
    ['rpmdb diff', () => ['--changelog', first, second]],
  ];
  for (const [command, args] of calls) {
    test(command, () => assertDocumented(command, args()));
  }

  test('progress, also that of a command that fails', () => {
    const encapsulate = (destination: string) =>
      tryOstrata(['container-encapsulate', '--progress=json', ...build, destination]);
    const { stderr } = encapsulate(`oci:${join(scratch, 'other')}`);
    const failed = encapsulate(`oci:${SAMPLE}/new`);
    assert.equal(failed.status, 1);
    assertKeys('Progress', keysOf(stderr + failed.stderr));
    const last = /\n\{"event":"error","code":"UNSUPPORTED","message":"preparing .*"\}\n$/;
    assert.match(failed.stderr, last);
  });

  test('rpmdb verify-signatures', needs('gpg'), () => {
    const gpg = ['--homedir', scratchDirectory(), '--batch', '--quiet'];
    run('gpg', [...gpg, '--passphrase', '', '--quick-generate-key', 'key', 'rsa2048', 'sign']);
    const keyring = join(scratch, 'key.asc');
    writeFileSync(keyring, run('gpg', [...gpg, '--armor', '--export']));
    assertDocumented('rpmdb verify-signatures', [...commit, `--keyring=${keyring}`]);
  });

  test('container policy', needs('skopeo'), () => {
    assertDocumented('container policy', [second]);
  });
});
