/**
 * Releases (`npm run release`), in a repository that has only what a release changes and a stand-in
 * for the packaging, which one-file.test.ts covers.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { repoRoot } from '../support/root.js';
import { run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const CHECKSUMS = '.github/actions/ostrata/checksums.txt';
const COPIED = [
  '.ci/release',
  '.ci/package/package-lock.json',
  '.ci/package/spdx.mjs',
  '.ci/image/packages.sha256',
  '.gitignore',
  CHECKSUMS,
];
/** 2026-01-02, one second before midnight. */
const COMMIT_TIME = '@1767398399 +0000';

const CHANGELOG = `# Changelog

## Unreleased

### Added

- A change that is told
  in two lines.
- Another one.
`;

/** Does what .ci/package/index.mjs does, with programs that only say what they are. */
const PACKAGER = `
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
const output = process.argv[2].replace('--output=', '');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const name of ['linux-x64', 'linux-arm64', 'licenses.txt']) {
  writeFileSync(output + '/ostrata-' + version + '-' + name, name + ' of ' + version);
}
mkdirSync(output + '/man');
writeFileSync(output + '/man/ostrata.1', 'a page');
`;

/** Does what .ci/linux-packages/index.mjs does. */
const LINUX_PACKAGER = `
import { readFileSync, writeFileSync } from 'node:fs';
const output = process.argv[2].replace('--output=', '');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
readFileSync(output + '/ostrata-' + version + '-linux-x64');
writeFileSync(output + '/ostrata-' + version + '-1.x86_64.rpm', 'a package');
`;

/** Does what .ci/image/index.mjs does. */
const IMAGE_MAKER = `
import { readFileSync, writeFileSync } from 'node:fs';
const output = process.argv[2].replace('--output=', '');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const name = output + '/ostrata-' + version + '-image';
writeFileSync(name + '.ociarchive', 'an image');
writeFileSync(name + '.digest', 'sha256:${'ab'.repeat(32)}\\n');
`;

const fileSchema = v.object({ name: v.string(), digest: v.record(v.string(), v.string()) });
const statementSchema = v.object({
  _type: v.literal('https://in-toto.io/Statement/v1'),
  subject: v.array(fileSchema),
  predicateType: v.literal('https://slsa.dev/provenance/v1'),
  predicate: v.object({
    buildDefinition: v.object({
      buildType: v.string(),
      externalParameters: v.object({ ref: v.string(), repository: v.optional(v.string()) }),
      resolvedDependencies: v.array(fileSchema),
    }),
    runDetails: v.object({ builder: v.object({ id: v.string() }) }),
  }),
});
const versionSchema = v.object({ version: v.string() });
const lockSchema = v.object({ version: v.string(), packages: v.object({ '': versionSchema }) });

/** The environment of a person at a computer, who gave git no settings. */
const ENV = {
  GITHUB_ACTIONS: '',
  GIT_CONFIG_GLOBAL: join(scratchDirectory(), 'missing'),
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_DATE: COMMIT_TIME,
  GIT_COMMITTER_DATE: COMMIT_TIME,
  SOURCE_DATE_EPOCH: '',
};

class Checkout {
  readonly folder = scratchDirectory();

  path(name: string): string {
    return join(this.folder, name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  write(name: string, text: string): void {
    const file = this.path(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  run(program: string, ...args: readonly string[]): string {
    return run(program, args, { cwd: this.folder, env: ENV }).trimEnd();
  }

  git(...args: readonly string[]): string {
    return this.run('git', ...args);
  }

  commit(): void {
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message=a change');
  }

  tryRelease(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const program = this.path('.ci/release/index.mjs');
    return tryRun(process.execPath, [program, ...args], { env: { ...ENV, ...env } });
  }

  release(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
    const { status, stdout, stderr } = this.tryRelease(args, env);
    assert.equal(status, 0, stderr);
    return stdout;
  }

  /** Asserts that a release is refused, and that nothing was made. */
  assertRefuses(args: readonly string[], message: RegExp, expectedStatus = 1): void {
    const { status, stderr } = this.tryRelease(args);
    assert.match(stderr, message);
    assert.equal(status, expectedStatus);
    assert.ok(!existsSync(this.path('dist/release')));
  }

  provenance() {
    const text = this.read('dist/release/ostrata-0.1.0-provenance.json');
    return parseJson(text, statementSchema);
  }
}

async function makeCheckout(changelog = CHANGELOG): Promise<Checkout> {
  const checkout = new Checkout();
  for (const name of COPIED) {
    await cp(join(repoRoot, name), checkout.path(name), { recursive: true });
  }
  symlinkSync(join(repoRoot, 'node_modules'), checkout.path('node_modules'));
  const fields = { name: 'ostrata', version: '0.1.0' };
  const lock = { ...fields, lockfileVersion: 3, packages: { '': fields } };
  checkout.write('package.json', JSON.stringify(fields));
  checkout.write('package-lock.json', JSON.stringify(lock));
  checkout.write('CHANGELOG.md', changelog);
  checkout.write('.ci/prepare.mjs', '');
  checkout.write('.ci/package/index.mjs', PACKAGER);
  checkout.write('.ci/linux-packages/index.mjs', LINUX_PACKAGER);
  checkout.write('.ci/image/index.mjs', IMAGE_MAKER);
  checkout.git('init', '--quiet', '--initial-branch=main');
  checkout.git('config', 'user.name', 'A Person');
  checkout.git('config', 'user.email', 'person@example.com');
  checkout.commit();
  return checkout;
}

suite('a dry run of a release', needs('git', 'tar'), () => {
  let checkout = new Checkout();
  let printed = '';
  let head = '';

  before(async () => {
    checkout = await makeCheckout();
    head = checkout.git('rev-parse', 'HEAD');
    printed = checkout.release(['--dry-run']);
  });

  test('makes no commit, no tag, and no change of the checkout', () => {
    assert.equal(checkout.git('rev-parse', 'HEAD'), head);
    assert.equal(checkout.git('tag'), '');
    assert.equal(checkout.git('status', '--porcelain'), '');
  });

  test('writes checksums of all files for users, which sha256sum finds right', () => {
    const release = checkout.path('dist/release');
    const checked = run('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: release });
    assert.equal(
      checked,
      [
        'ostrata-0.1.0-1.x86_64.rpm: OK',
        'ostrata-0.1.0-image.digest: OK',
        'ostrata-0.1.0-image.ociarchive: OK',
        'ostrata-0.1.0-licenses.txt: OK',
        'ostrata-0.1.0-linux-arm64: OK',
        'ostrata-0.1.0-linux-x64: OK',
        'ostrata-0.1.0-man.tar.gz: OK',
        'ostrata-0.1.0-provenance.json: OK',
        '',
      ].join('\n'),
    );
  });

  test('writes a provenance with the digests of the files and of what they were made from', () => {
    const { subject, predicate } = checkout.provenance();
    const lines = subject.map(({ name, digest }) => `${digest.sha256}  ${name}\n`);
    const sums = checkout.read('dist/release/SHA256SUMS').replace(/.*provenance.*\n/, '');
    const image = `${'ab'.repeat(32)}  ostrata-image\n`;
    assert.equal(lines.join(''), `${sums}${image}`);

    const { externalParameters, resolvedDependencies } = predicate.buildDefinition;
    assert.deepEqual(externalParameters, { ref: 'refs/tags/v0.1.0' });
    assert.deepEqual(
      resolvedDependencies.map(({ name }) => name),
      ['source', 'package-lock.json', '.ci/package/package-lock.json', '.ci/image/packages.sha256'],
    );
    const [source] = resolvedDependencies;
    assert.ok(printed.includes(`the commit is ${source?.digest.gitCommit}`));
    assert.equal(predicate.runDetails.builder.id, 'urn:ostrata:builder:person');
  });

  test('writes the entries of the changelog as notes, each in one line', () => {
    const expected = '### Added\n\n- A change that is told in two lines.\n- Another one.\n';
    assert.equal(checkout.read('dist/release/notes.md'), expected);
  });

  test('prints the commands that publish the release, with files that exist', () => {
    assert.match(printed, /^ {2}git push --atomic origin HEAD v0\.1\.0$/m);
    assert.match(
      printed,
      /^ {2}skopeo copy --all .* docker:\/\/ghcr\.io\/OWNER\/ostrata:0\.1\.0$/m,
    );
    const files = [...printed.matchAll(/^ {4}(?:--notes-file=)?(dist\/release\/\S+)/gm)];
    assert.equal(files.length, 10);
    for (const [, name = ''] of files) {
      assert.ok(existsSync(checkout.path(name)), name);
    }
  });

  test('gives the same bytes again', () => {
    const first = scratchDirectory();
    run('cp', ['-a', checkout.path('dist/release'), `${first}/release`]);
    checkout.release(['--dry-run']);
    run('diff', ['-r', `${first}/release`, checkout.path('dist/release')]);
  });

  test('on GitHub names the repository and the workflow', () => {
    checkout.release(['--dry-run'], {
      GITHUB_ACTIONS: 'true',
      GITHUB_SERVER_URL: 'https://github.com',
      GITHUB_REPOSITORY: 'some/fork',
      GITHUB_WORKFLOW_REF: 'some/fork/.github/workflows/release.yml@refs/heads/main',
    });
    const { buildDefinition, runDetails } = checkout.provenance().predicate;
    const { repository } = buildDefinition.externalParameters;
    assert.equal(repository, 'https://github.com/some/fork');
    const workflow = '/.github/workflows/release.yml@refs/heads/main';
    assert.equal(runDetails.builder.id, `${repository}${workflow}`);
  });
});

suite('a release', needs('git', 'tar'), () => {
  test('makes a commit with the version everywhere, and a tag', async () => {
    const checkout = await makeCheckout();
    checkout.release(['--version=minor']);

    assert.equal(checkout.git('status', '--porcelain'), '');
    const expectedLog = ['release: make version 0.2.0', 'a change'].map(
      (subject) => `${subject} by A Person at 1767398399`,
    );
    const log = checkout.git('log', '--format=%s by %an at %ct');
    assert.deepEqual(log.split('\n'), expectedLog);
    const tagged = checkout.git('rev-parse', 'v0.2.0^{commit}');
    assert.equal(tagged, checkout.git('rev-parse', 'main'));
    assert.equal(parseJson(checkout.read('package.json'), versionSchema).version, '0.2.0');
    const lock = parseJson(checkout.read('package-lock.json'), lockSchema);
    assert.deepEqual([lock.version, lock.packages[''].version], ['0.2.0', '0.2.0']);
    const heading = '## Unreleased\n\n## 0.2.0 - 2026-01-02\n\n### Added\n';
    assert.ok(checkout.read('CHANGELOG.md').includes(heading));
  });

  test('gives the action the checksums of its own programs only', async () => {
    const checkout = await makeCheckout();
    checkout.release([]);
    const listed = () =>
      checkout
        .read(CHECKSUMS)
        .match(/^[^#].*\n/gm)
        ?.join('');
    const sums = checkout.read('dist/release/SHA256SUMS');
    assert.equal(listed(), sums.match(/^.*-linux-.*\n/gm)?.join(''));

    checkout.write('CHANGELOG.md', CHANGELOG);
    checkout.commit();
    checkout.release(['--version=patch']);
    assert.doesNotMatch(listed() ?? '', /0\.1\.0/);
    assert.equal(listed()?.match(/ ostrata-0\.1\.1-linux-/g)?.length, 2);
  });

  test('takes its date from SOURCE_DATE_EPOCH', async () => {
    const checkout = await makeCheckout();
    checkout.release([], { SOURCE_DATE_EPOCH: '1800000000' });
    assert.match(checkout.read('CHANGELOG.md'), /^## 0\.1\.0 - 2027-01-15$/m);
  });

  test('is signed by a key of gpg', needs('gpg'), async () => {
    const checkout = await makeCheckout();
    const env = { GNUPGHOME: scratchDirectory() };
    const newKey = ['--passphrase=', '--quick-generate-key', 'release@example.com', 'ed25519'];
    run('gpg', ['--batch', '--quiet', ...newKey], { env });
    checkout.release(['--dry-run', '--sign=release@example.com'], env);
    const signed = ['SHA256SUMS.asc', 'SHA256SUMS'].map((name) => `dist/release/${name}`);
    run('gpg', ['--verify', ...signed], { cwd: checkout.folder, env });
    run('gpgconf', ['--kill', 'all'], { env });
  });
});

suite('a release is refused', needs('git', 'tar'), () => {
  let checkout = new Checkout();
  before(async () => {
    checkout = await makeCheckout();
  });

  test('if files differ from the last commit, with their names', async () => {
    const dirty = await makeCheckout();
    dirty.write('CHANGELOG.md', 'changed');
    dirty.write('new', '');
    dirty.assertRefuses(['--dry-run'], /commit or remove .*:\n M CHANGELOG\.md\n\?\? new$/m);
  });

  test('if its tag exists', async () => {
    const released = await makeCheckout();
    released.git('tag', 'v0.1.0');
    released.assertRefuses(['--dry-run'], /the tag v0\.1\.0 exists: choose .* --version/);
  });

  test('if the changelog lists nothing since the last version', async () => {
    const empty =
      '# Changelog\n\n## Unreleased\n\n### Added\n\n## 0.0.1 - 2025-01-01\n\n- First.\n';
    const unchanged = await makeCheckout(empty);
    unchanged.assertRefuses(['--dry-run'], /lists nothing below `## Unreleased`/);
  });

  test('if its version is older than that of the package, or is none', () => {
    checkout.assertRefuses(['--version=0.0.9'], /0\.0\.9 is older than 0\.1\.0/);
    checkout.assertRefuses(['--version=next'], /--version=next: expected X\.Y\.Z/, 2);
    checkout.assertRefuses(['--no-such-option'], /Unknown option/, 2);
  });

  test('if gpg has no such key, and then the checkout stays as it was', needs('gpg'), () => {
    const head = checkout.git('rev-parse', 'HEAD');
    checkout.assertRefuses(['--sign=nobody@example.com'], /No secret key/);
    assert.equal(checkout.git('rev-parse', 'HEAD'), head);
    assert.equal(checkout.git('tag'), '');
  });
});
