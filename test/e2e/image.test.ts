/**
 * The container image (`npm run image`): it is small and reproducible, says what is inside, and does
 * what the program does, also where a container may do almost nothing.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import {
  type ContainerStorage,
  containerStorage,
  PODMAN_RUN,
} from '../support/container-storage.js';
import { needsOneFile, oneFileFolder } from '../support/one-file.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const IMAGE = join(repoRoot, '.ci/image');
const VERSION = ostrata(['--version']).trim();
/** What registries and clients transfer, and what they store. */
const MAX_COMPRESSED = 60_000_000;
const MAX_SIZE = 120 * 1024 * 1024;
const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' };

const inspectSchema = v.object({
  layers: v.array(v.object({ size: v.number(), components: v.array(v.string()) })),
});
const indexSchema = v.object({
  manifests: v.array(
    v.object({ platform: v.object({ architecture: v.string(), os: v.string() }) }),
  ),
});
const configSchema = v.object({
  created: v.string(),
  config: v.object({
    Entrypoint: v.array(v.string()),
    Env: v.array(v.string()),
    WorkingDir: v.string(),
  }),
});
const spdxSchema = v.object({
  packages: v.array(v.object({ SPDXID: v.string(), name: v.string(), versionInfo: v.string() })),
  relationships: v.array(v.object({ spdxElementId: v.string(), relatedSpdxElement: v.string() })),
});

const processor = process.arch;
const architecture = processor === 'x64' ? 'amd64' : processor;

/** Runs the program that makes the image. */
function makeImage(...args: readonly string[]) {
  return tryRun(process.execPath, [join(IMAGE, 'index.mjs'), ...args], { env: EPOCH });
}

test('wrong arguments end with 2, and --help says what there is', () => {
  for (const wrong of ['--no-such-option', 'mips']) {
    const { status, stderr } = makeImage(wrong);
    assert.equal(status, 2);
    assert.match(stderr, /^image: .*(no-such-option|mips)/);
  }
  assert.match(makeImage('--help').stdout, /^ {2}--packages=FILE {2}the list of packages/m);
});

test('a list of packages that cannot be read is an error, and nothing is written', () => {
  const folder = scratchDirectory();
  const list = join(folder, 'list');
  writeFileSync(list, 'libc6 2.41\n');
  const output = join(folder, 'output');
  const { status, stderr } = makeImage(`--packages=${list}`, `--output=${output}`);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^image: .*list: expected CHECKSUM {2}NAME_VERSION_ARCHITECTURE\.deb: libc6/,
  );
  assert.deepEqual(readdirSync(output), []);
});

test('the list has the same packages for both processors', () => {
  const lines = readFileSync(join(IMAGE, 'packages.sha256'), 'utf8').trimEnd().split('\n');
  const names = (suffix: string) =>
    lines.filter((line) => line.endsWith(suffix)).map((line) => line.slice(66, -suffix.length));
  assert.deepEqual(names('_amd64.deb'), names('_arm64.deb'));
  assert.equal(names('_amd64.deb').length * 2, lines.length);
});

const scratch = scratchDirectory();
const output = join(scratch, 'output');

/** Makes the image of the newest packages: those of the list are gone from the archive one day. */
async function make(folder: string, ...options: readonly string[]) {
  const programs = await oneFileFolder();
  return makeImage(
    `--programs=${programs}`,
    `--output=${folder}`,
    `--packages=${join(scratch, 'packages.sha256')}`,
    `--debs=${join(scratch, 'debs')}`,
    ...options,
    processor,
  );
}

/** Makes the image; returns why the suite is skipped if this machine cannot. */
async function makeOrSkip(): Promise<string | false> {
  const tools = needs('root', 'apt', 'podman', 'buildah', 'skopeo').skip || needsOneFile().skip;
  if (tools !== false) {
    return tools;
  }
  const { status, stderr } = await make(output, '--update');
  const isOffline = /^E: .*fetch/m.test(stderr) && process.env.CI !== 'true';
  assert.ok(status === 0 || isOffline, stderr);
  return isOffline && 'needs the archive of Debian';
}

suite('the container image', { skip: await makeOrSkip() }, () => {
  const archive = join(output, `ostrata-${VERSION}-image.ociarchive`);
  const imgref = `oci-archive:${archive}`;
  const list = join(output, `ostrata-${VERSION}-image-${processor}.spdx.json`);
  let programs = '';
  let storage: ContainerStorage;
  /** Where podman mounts the image. */
  let root = '';
  const read = (path: string) => readFileSync(join(root, path), 'utf8');

  before(async () => {
    programs = await oneFileFolder();
    chmodSync(scratch, 0o755);
    storage = containerStorage(scratch);
    storage.podman('load', '--quiet', `--input=${archive}`);
    const container = storage.buildah('from', '--pull-never', `localhost/ostrata:${VERSION}`);
    root = storage.buildah('mount', container.trim()).trim();
  });
  after(() => storage.reset());

  /** Runs a container of the image that may do almost nothing; returns what it prints. */
  function inContainer(options: readonly string[], ...command: readonly string[]): string {
    const limits = [...PODMAN_RUN, '--read-only', '--user=4321'];
    const name = `localhost/ostrata:${VERSION}`;
    return storage.podman('run', ...limits, ...options, name, ...command);
  }

  test('is an index, whose digest is beside it', () => {
    const raw = run('skopeo', ['inspect', '--raw', imgref]);
    const { manifests } = parseJson(raw, indexSchema);
    assert.deepEqual(
      manifests.map(({ platform }) => platform),
      [{ architecture, os: 'linux' }],
    );
    const digest = readFileSync(join(output, `ostrata-${VERSION}-image.digest`), 'utf8');
    assert.equal(digest, `sha256:${createHash('sha256').update(raw).digest('hex')}\n`);
  });

  test('has the same bytes when it is made again, without downloading anything', async () => {
    const again = join(scratch, 'again');
    const { status, stderr } = await make(again, '--sources=/nonexistent');
    assert.equal(status, 0, stderr);
    run('diff', ['-r', output, again]);
  });

  test('is not made without the programs, and nothing is written', async () => {
    const nowhere = join(scratch, 'nowhere');
    const { status, stderr } = await make(nowhere, `--programs=${join(scratch, 'none')}`);
    assert.equal(status, 1);
    assert.match(stderr, /^image: .*-linux-\w+ is missing: `npm run package` makes it$/m);
    assert.deepEqual(readdirSync(nowhere), []);
  });

  test('is small, with a layer for the program and one for each package', () => {
    const { layers } = parseJson(ostrata(['inspect', '--json', imgref]), inspectSchema);
    const compressed = layers.reduce((sum, { size }) => sum + size, 0);
    assert.ok(compressed < MAX_COMPRESSED, `${compressed} bytes compressed`);
    const [unpacked] = run('du', ['--bytes', '--summarize', root]).split('\t');
    assert.ok(Number(unpacked) < MAX_SIZE, `${unpacked} bytes`);

    const names = layers.map(({ components }) => components.join());
    const database = ['directories', 'dpkgdb', 'mapping:ostrata'];
    const packages = installed().map(([name]) => `${name}.${architecture}`);
    assert.deepEqual(names.sort(), [...database, ...packages].sort());
  });

  /** Returns names and versions of the packages that dpkg finds. */
  function installed(): readonly string[][] {
    const printed = run('dpkg-query', [`--admindir=${root}/var/lib/dpkg`, '--show']);
    const lines = printed.matchAll(/^([^:\t]+)\S*\t(.*)$/gm);
    return [...lines].map(([, name = '', version = '']) => [name, version]);
  }

  test('has a database in which dpkg finds every file as it was packaged', () => {
    const { stdout, stderr } = tryRun('dpkg', [`--root=${root}`, '--verify']);
    assert.equal(`${stdout}${stderr}`, '');
    const owner = run('dpkg', [`--root=${root}`, '--search', '*/libc.so.6']);
    assert.match(owner, new RegExp(`^libc6:${architecture}: /usr/lib/.*/libc\\.so\\.6\n$`));
  });

  test('has a list of what is inside, which is beside it, too', () => {
    const text = readFileSync(list, 'utf8');
    assert.equal(read('usr/share/doc/ostrata/sbom.spdx.json'), text);

    const { packages, relationships } = parseJson(text, spdxSchema);
    const listed = packages.map(({ name, versionInfo }) => `${name} ${versionInfo}`);
    const program = join(programs, `ostrata-${VERSION}-linux-${processor}.spdx.json`);
    const own = parseJson(readFileSync(program, 'utf8'), spdxSchema).packages;
    const expected = [
      `ostrata-image-${architecture} ${VERSION}`,
      ...own.map(({ name, versionInfo }) => `${name} ${versionInfo}`),
      ...installed().map(([name, version]) => `${name} ${version}`),
    ];
    assert.deepEqual(listed, expected);

    const ids = packages.map(({ SPDXID }) => SPDXID);
    assert.deepEqual(
      relationships.map(({ relatedSpdxElement }) => relatedSpdxElement),
      ids,
    );
  });

  test('has the licenses of all that is inside', () => {
    for (const name of ['ostrata', ...installed().map(([name = '']) => name)]) {
      assert.ok(read(`usr/share/doc/${name}/copyright`).length > 0, name);
    }
    assert.ok(existsSync(join(root, 'usr/share/common-licenses/GPL-3')));
  });

  test('splits a tree as the sources do, for any user, with a read-only root and no network', () => {
    const folder = join(scratch, 'results');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const options = ['build', '--prune=/root', '--prune=/usr/bin/ostrata'];
    ostrata(['chunkah', ...options, `--rootfs=${root}`, `--output=oci:${folder}/expected`], {
      env: EPOCH,
    });
    inContainer(
      [
        `--volume=${root}:/chunkah:ro`,
        `--volume=${folder}:/out`,
        '--env=SOURCE_DATE_EPOCH=1700000000',
      ],
      ...options,
      '--output=oci:/out/actual',
    );
    const index = (name: string) => readFileSync(join(folder, name, 'index.json'), 'utf8');
    assert.equal(index('actual'), index('expected'));
  });

  test('runs chunkah, ostrata, rpm-ostree and a shell', () => {
    const calls = [
      'build --help',
      '--help',
      'rpmdb --help',
      'ostrata build --help',
      'rpm-ostree compose --help',
      'sh -c "echo of a shell"',
    ];
    const script = calls.map((call) => `/usr/libexec/ostrata/entrypoint ${call}`).join(' && ');
    const printed = inContainer([], 'sh', '-c', script);
    assert.deepEqual(printed.match(/^Usage: .*|^of a .*/gm), [
      'Usage: chunkah build [options]',
      'Usage: chunkah [options] [command]',
      'Usage: ostrata rpmdb [options] [command]',
      'Usage: ostrata build [options] [ref] [imgref]',
      'Usage: rpm-ostree compose [options] [command]',
      'of a shell',
    ]);
  });

  test('the recipe splits an image of buildah, and follows the previous build', () => {
    const context = join(scratch, 'context');
    const tree = join(scratch, 'tree');
    mkdirSync(context);
    mkdirSync(tree);
    writeFileSync(join(tree, 'file'), 'content');
    storage.makeImage('localhost/os:raw', tree, ['ENV A=1']);
    ostrata(['build', `--rootfs=${tree}`, `oci:${context}/previous`]);
    const recipe = join(repoRoot, '.github/recipes/splitter.Containerfile');
    copyFileSync(recipe, join(context, 'splitter.Containerfile'));
    const options = [
      '--isolation=chroot',
      '--skip-unused-stages=false',
      '--from=localhost/os:raw',
      `--build-arg=CHUNKAH=localhost/ostrata:${VERSION}`,
      `--build-arg=CHUNKAH_CONFIG_STR=${storage.podman('inspect', 'localhost/os:raw')}`,
      '--build-arg=CHUNKAH_ARGS=--max-layers 8',
      '--build-arg=PREVIOUS_BUILD=oci:/run/src/previous',
      `--volume=${context}:/run/src`,
      '--security-opt=label=disable',
      '--tag=localhost/os:split',
      `--file=${context}/splitter.Containerfile`,
    ];
    const { status, stderr } = tryRun('buildah', ['build', ...options, context], {
      cwd: context,
      env: storage.env,
    });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^A client of oci:\/run\/src\/previous downloads /m);
    const { layers } = parseJson(
      ostrata(['inspect', '--json', `oci:${context}/out`]),
      inspectSchema,
    );
    assert.ok(layers.length > 0);
    assert.match(storage.podman('inspect', 'localhost/os:split'), /"A=1"/);
  });

  test('has the settings that the Containerfile gives', () => {
    const { created, config } = parseJson(
      run('skopeo', ['inspect', '--config', imgref]),
      configSchema,
    );
    assert.equal(created, '2023-11-14T22:13:20Z');
    const file = readFileSync(join(IMAGE, 'Containerfile'), 'utf8');
    const instruction = (name: string) => new RegExp(`^${name} (.*)$`, 'm').exec(file)?.[1];
    assert.equal(JSON.stringify(config.Entrypoint), instruction('ENTRYPOINT'));
    assert.equal(config.WorkingDir, instruction('WORKDIR'));
    assert.ok(config.Env.includes(instruction('ENV') ?? ''));
  });
});
