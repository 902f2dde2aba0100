/** `build --from` as it runs in a container: from registry to registry, with nothing to write to. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ostrata, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const file = (name: string): ForgedEntry => ({
  ...{ name, type: 'file', content: Buffer.from(name), mode: 0o644 },
});

/** No program can make a folder for temporary files, a cache or settings. */
const NOWHERE = {
  HOME: '/dev/null',
  TMPDIR: '/dev/null',
  XDG_CACHE_HOME: '/dev/null',
  XDG_RUNTIME_DIR: '/dev/null',
};

suite('an image that is built again from registry to registry', needs('docker-registry'), () => {
  let scratch: string;
  let registry: Registry;

  before(async () => {
    scratch = scratchDirectory();
    registry = await startRegistry(join(scratch, 'registry'));
    const { imgref } = forgePlain([[file('usr/a'), file('etc/b')], [file('usr/c')]]);
    ostrata(['build', `--from=${imgref}`, `docker://${registry.host}/os:raw`]);
  });
  after(() => registry.stop());

  test('needs no other folders than those for the spool and for the cache', () => {
    const [spool = '', cache = ''] = ['spool', 'cache'].map((name) => join(scratch, name));
    mkdirSync(spool);
    mkdirSync(cache, { mode: 0o700 });
    const from = `--from=docker://${registry.host}/os:raw`;
    const options = [`--spool=${spool}`, `--cache=${cache}`, '--compression-level=1'];
    const target = `docker://${registry.host}/os:latest`;
    const attempts = ['first', 'with the indexes and blobs of the first'].map((attempt) => {
      const result = tryOstrata(['build', from, ...options, '--json', target], { env: NOWHERE });
      assert.equal(result.status, 0, `${attempt}: ${result.stderr}`);
      assert.doesNotMatch(result.stderr, /cache/);
      assert.deepEqual(readdirSync(spool), []);
      return JSON.parse(result.stdout).manifestDigest;
    });
    assert.equal(attempts[0], attempts[1]);
    assert.ok(readdirSync(cache).some((name) => name.startsWith('index-')));
  });
});
