// The program that is one file (`npm run package`): it needs no Node, and does what the sources do.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { makeOneFile, needsOneFile, oneFileFolder, oneFileFor } from '../support/one-file.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample');
const spdxSchema = v.object({
  packages: v.array(v.object({ name: v.string(), versionInfo: v.string() })),
});
/** What RHEL 8 and Debian 10 have. */
const OLDEST_GLIBC = 28;

suite('the program that is one file', needsOneFile(), () => {
  let folder = '';
  let program = '';
  /** Where it may write; nothing else is named in its environment, not even a search path. */
  const temporary = scratchDirectory();
  const env = { PATH: '', HOME: '/nonexistent', TMPDIR: temporary };
  const oneFile = (...args: readonly string[]) => run(program, args, { env });
  const fromSources = (...args: readonly string[]) => ostrata(args);

  before(async () => {
    folder = await oneFileFolder();
    program = oneFileFor(process.arch, folder);
  });

  test('has the version of the package', () => {
    assert.equal(oneFile('--version'), ostrata(['--version']));
  });

  test('makes images with the digests that the sources give, by previous builds too', () => {
    const digestsBy = (call: typeof oneFile) => {
      const layout = join(scratchDirectory(), 'image');
      // zstd gives the same bytes on every Node, and needs the library inside the file.
      const encapsulate = (name: string, ...options: readonly string[]) => {
        const source = [`--repo=${SAMPLE}/${name}`, 'sample/os', `oci:${layout}:${name}`];
        call('container-encapsulate', '--compression=zstd', '--jobs=2', ...options, ...source);
      };
      encapsulate('old');
      encapsulate('new', `--previous-build=oci:${layout}:old`);
      call(
        'delta',
        'create',
        '--level=fast',
        `oci:${layout}:old`,
        `oci:${layout}:new`,
        `oci:${layout}:delta`,
      );
      call('verify', `oci:${layout}:new`);
      return readFileSync(join(layout, 'index.json'), 'utf8');
    };
    assert.equal(digestsBy(oneFile), digestsBy(fromSources));
  });

  test('reads databases in SQLite, and extended attributes', () => {
    const query = ['rpmdb', 'list', '--repo', `${SAMPLE}/new`, 'sample/os'];
    assert.equal(oneFile(...query), fromSources(...query));

    const build = ['build', `--rootfs=${join(repoRoot, 'src')}`, '--dry-run', '--mtime=zero'];
    assert.equal(oneFile(...build), fromSources(...build));
  });

  test('loads the libraries that are inside', () => {
    const report = oneFile('doctor');
    assert.match(report, /^ok +koffi /m);
    assert.match(report, /^ok +zstd /m);
  });

  test('leaves nothing in the temporary folder, where it puts its libraries', () => {
    assert.deepEqual(readdirSync(temporary), []);
  });

  test('loads plugins that import ostrata/plugin', () => {
    const documentation = readFileSync(join(repoRoot, 'src/PLUGINS.md'), 'utf8');
    const plugin = join(scratchDirectory(), 'plugin.mjs');
    writeFileSync(plugin, /^```js\n(.*?)^```$/ms.exec(documentation)?.[1] ?? '');

    const plan = ['layout', 'plan', `--repo=${SAMPLE}/new`, '--max-layers=4', 'sample/os'];
    const withPlugin = [...plan, `--plugin=${plugin}`, '--layout=by-rate'];
    assert.equal(oneFile(...withPlugin), fromSources(...withPlugin));
  });

  test('takes the command line of the program under whose name it is linked', () => {
    const link = join(scratchDirectory(), 'chunkah');
    symlinkSync(program, link);
    assert.match(run(link, ['build', '--help'], { env }), /^Usage: chunkah build/m);
  });

  test('does not listen to NODE_OPTIONS', () => {
    const options = { env: { ...env, NODE_OPTIONS: '--no-such-option' } };
    assert.equal(run(program, ['--version'], options), oneFile('--version'));
  });

  test('is the same file when it is made again', () => {
    const again = scratchDirectory();
    makeOneFile(again, process.arch);
    const remade = oneFileFor(process.arch, again);
    assert.ok(readFileSync(remade).equals(readFileSync(program)));
    const list = (file: string) => readFileSync(`${file}.spdx.json`, 'utf8');
    assert.equal(list(remade), list(program));
  });

  for (const processor of ['x64', 'arm64']) {
    test(`for ${processor} has a list of all that is inside, as the licenses name it`, () => {
      const list = readFileSync(`${oneFileFor(processor, folder)}.spdx.json`, 'utf8');
      const { packages } = parseJson(list, spdxSchema);
      const listed = packages.map(({ name, versionInfo }) => `${name} ${versionInfo}`);

      const file = readdirSync(folder).find((name) => name.endsWith('-licenses.txt')) ?? '';
      const licenses = `\n${readFileSync(join(folder, file), 'utf8')}`.split(/^-{80}$/m);
      const licensed = licenses.map((text) => /\S.*/.exec(text)?.[0] ?? '');
      const names = licensed.map((name) =>
        name.replace(/^Node.js/, 'node').replace(/^koffi/, `@koromix/koffi-linux-${processor}`),
      );
      assert.deepEqual(listed.sort(), names.sort());
    });

    test(`for ${processor} needs no glibc that is newer than RHEL 8 has`, () => {
      const content = readFileSync(oneFileFor(processor, folder), 'latin1');
      const versions = [...content.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      assert.ok(versions.length > 0);
      assert.ok(Math.max(...versions) <= OLDEST_GLIBC, `glibc 2.${Math.max(...versions)}`);
    });
  }
});
