// The program that is one file (`npm run package`): it needs no Node, and does what the sources do.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { repoRoot } from '../support/root.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const PACKAGER = join(repoRoot, '.ci/package');
const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample');
/** What RHEL 8 and Debian 10 have. */
const OLDEST_GLIBC = 28;

function whatIsMissing(): string | false {
  if (process.env.OSTRATA_TEST_TOOLS === 'none') {
    return 'needs two minutes';
  }
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) {
    return 'needs Linux on x64 or arm64';
  }
  const isInstalled = existsSync(join(PACKAGER, 'node_modules'));
  assert.ok(isInstalled || process.env.CI !== 'true', 'in CI, .ci/package is installed');
  return !isInstalled && 'needs `node .ci/prepare.mjs --package`';
}

/** Makes the programs of `processors` in a new folder; returns a function that names their files. */
function makePrograms(...processors: readonly string[]): (processor: string) => string {
  const folder = scratchDirectory();
  run(process.execPath, [join(PACKAGER, 'index.mjs'), `--output=${folder}`, ...processors]);
  return (processor) => {
    const name = readdirSync(folder).find((each) => each.endsWith(`-linux-${processor}`));
    assert.ok(name, processor);
    return join(folder, name);
  };
}

suite('the program that is one file', { skip: whatIsMissing() }, () => {
  let made = (processor: string) => processor;
  let program = '';
  /** Where it may write; nothing else is named in its environment, not even a search path. */
  const temporary = scratchDirectory();
  const env = { PATH: '', HOME: '/nonexistent', TMPDIR: temporary };
  const oneFile = (...args: readonly string[]) => run(program, args, { env });
  const fromSources = (...args: readonly string[]) => ostrata(args);

  before(() => {
    made = makePrograms('x64', 'arm64');
    program = made(process.arch);
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
    const again = makePrograms(process.arch);
    assert.ok(readFileSync(again(process.arch)).equals(readFileSync(program)));
  });

  for (const processor of ['x64', 'arm64']) {
    test(`for ${processor} needs no glibc that is newer than RHEL 8 has`, () => {
      const content = readFileSync(made(processor), 'latin1');
      const versions = [...content.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
      assert.ok(versions.length > 0);
      assert.ok(Math.max(...versions) <= OLDEST_GLIBC, `glibc 2.${Math.max(...versions)}`);
    });
  }
});
