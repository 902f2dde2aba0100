/**
 * The command lines of pipelines that call `rpm-ostree compose build-chunked-oci`, with the program
 * under the name rpm-ostree. The client pulls what they make, and the real ostree checks it.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { fsck, unencapsulate } from '../support/client.js';
import { commitSignatures } from '../support/commit-signatures.js';
import {
  type ContainerStorage,
  containerStorage,
  PODMAN_RUN,
  programVolumes,
} from '../support/container-storage.js';
import { underName } from '../support/other-name.js';
import { ostrata, run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';

const { directory: programs, tryLine, runLine } = underName('rpm-ostree');
const CHUNKED = 'rpm-ostree compose build-chunked-oci --bootc';
const DAY = 86_400;
const NOT_PRIVILEGED = 'needs containers that may change owners of files';

interface Inspected {
  readonly created: string;
  readonly config: {
    readonly Env?: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly history: readonly object[];
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/** Makes a tree of some files whose root was changed on the second of January 1970. */
function makeTree(): string {
  const root = join(scratchDirectory(), 'root');
  for (const name of ['usr/share/doc', 'etc', 'sysroot/ostree', 'var']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  writeFileSync(join(root, 'usr/share/doc/file'), 'content');
  writeFileSync(join(root, 'etc/hosts'), 'hosts');
  writeFileSync(join(root, 'sysroot/ostree/left-out'), 'x');
  utimesSync(root, DAY, DAY);
  return root;
}

const inspect = (imgref: string): Inspected =>
  JSON.parse(run('skopeo', ['inspect', '--config', imgref]));

suite('build-chunked-oci', needs('ostree', 'skopeo'), () => {
  test('holds a folder as a commit of the time of the folder, with --label as annotation', () => {
    const root = makeTree();
    const scratch = scratchDirectory();
    const image = `oci:${scratch}/image:latest`;
    const line = `${CHUNKED} --rootfs ${root} --label a=b --output`;
    runLine(`${line} oci:${scratch}/image --reference latest`);
    const { created, config } = inspect(image);
    assert.equal(created, '1970-01-02T00:00:00Z');
    assert.equal(config.Labels['containers.bootc'], '1');
    const manifest = JSON.parse(run('skopeo', ['inspect', '--raw', image]));
    assert.deepEqual(
      [manifest.annotations['containers.bootc'], manifest.annotations.a],
      ['1', 'b'],
    );
    const repo = initRepo(join(scratch, 'repo'), 'archive');
    const { commit } = unencapsulate(repo, `ostree-unverified-image:${image}`);
    fsck(repo);
    const listed = run('ostree', [`--repo=${repo}`, 'ls', '-R', commit]);
    assert.match(listed, /\/usr\/etc\/hosts$/m);
    assert.doesNotMatch(listed, /left-out| \/etc/);

    const own = ['--format=ostree', '--format-version=1', '--max-layers=65', '--created=86400'];
    const labels = ['--label=containers.bootc=1', '--label=a=b'];
    const annotations = ['--annotation=containers.bootc=1', '--annotation=a=b'];
    const args = [...own, ...labels, ...annotations, `--rootfs=${root}`];
    ostrata(['build', ...args, `oci:${scratch}/own:latest`]);
    const raw = (imgref: string) => run('skopeo', ['inspect', '--raw', imgref]);
    assert.equal(raw(image), raw(`oci:${scratch}/own:latest`));
    runLine(`${line} oci:${scratch}/epoch:latest`, { SOURCE_DATE_EPOCH: '0' });
    assert.equal(inspect(`oci:${scratch}/epoch:latest`).created, '1970-01-01T00:00:00Z');
  });

  test('follows the image at the output, or another one, if there is one that can be read', () => {
    const root = makeTree();
    const scratch = scratchDirectory();
    const line = `${CHUNKED} --rootfs ${root} --json --verbose --output`;
    const archive = `oci-archive:${scratch}/image`;
    const isReused = ({ stdout }: { readonly stdout: string }): readonly boolean[] =>
      JSON.parse(stdout).layers.map(({ reused }: { readonly reused: boolean }) => reused);
    const first = runLine(`${line} ${archive}`);
    assert.match(first.stderr, /no previous build at oci-archive:\S+: the layout is planned anew/);
    assert.ok(isReused(first).every((each) => !each));
    assert.ok(isReused(runLine(`${line} ${archive}`)).every(Boolean));
    const other = runLine(`${line} oci:${scratch}/other:x --previous-build ${archive}`);
    assert.ok(isReused(other).every(Boolean));

    writeFileSync(join(scratch, 'broken'), 'no archive at all');
    const broken = `oci-archive:${scratch}/broken`;
    const none = `oci-archive:${scratch}/none`;
    for (const [previous, message] of [
      [broken, /warning: the layout is planned anew, because there is no previous build: /],
      [none, /no previous build at oci-archive:/],
    ] as const) {
      const args = `oci:${scratch}/after:x --previous-build ${previous} --no-cache`;
      assert.match(runLine(`${line} ${args}`).stderr, message);
    }
    assert.match(runLine(`${line} ${broken}`).stderr, /warning: the layout is planned anew/);
    assert.ok(isReused(runLine(`${line} ${broken}`)).every(Boolean));
  });

  test('wrong usage writes nothing', () => {
    const root = makeTree();
    const output = `${scratchDirectory()}/image`;
    const start = 'rpm-ostree compose build-chunked-oci';
    for (const args of [
      `--rootfs ${root} --output oci:${output}`,
      `--bootc --rootfs ${root}`,
      `--bootc --output oci:${output}`,
      `--bootc --rootfs ${root} --from x --output oci:${output}`,
      `--bootc --rootfs ${root} --output ${output}`,
      `--bootc --rootfs ${root} --output oci:${output} --max-layers 0`,
      `--bootc --rootfs ${root} --output oci:${output} --sign-commit nonsense`,
    ]) {
      assert.equal(tryLine(`${start} ${args}`).status, 2, args);
    }
    assert.equal(existsSync(output), false);
  });
});

const pipelineNeeds = [...worldNeeds, 'root', 'buildah', 'podman', 'skopeo'] as const;

suite('the command lines of pipelines', needs(...pipelineNeeds), () => {
  let given: World;
  let scratch: string;
  let storage: ContainerStorage;
  let root: string;
  let repo: string;
  let env: Readonly<Record<string, string>>;
  let isPrivileged: boolean;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    storage = containerStorage(scratch);
    env = { ...storage.env, PATH: `${join(scratch, 'bin')}:${programs}:${process.env.PATH}` };
    root = join(scratch, 'target-rootfs');
    run('cp', ['-a', given.oldTree, root]);
    mkdirSync(join(root, 'sysroot/ostree/repo'), { recursive: true });
    writeFileSync(join(root, 'sysroot/ostree/repo/config'), '[core]\n');
    storage.makeImage('localhost/raw-img', root, ['ENV A=1', 'LABEL keep=1 ostree.final-diffid=y']);
    repo = initRepo(join(scratch, 'repo'), 'bare');
    isPrivileged = canBePrivileged();
    makePodman();
  });
  after(() => storage.reset());

  /** Whether podman can run a container that has all rights. */
  function canBePrivileged(): boolean {
    const options = [...PODMAN_RUN, '--privileged', ...programVolumes()];
    const args = ['run', ...options, 'localhost/raw-img', '/usr/bin/true'];
    const { status } = tryRun('podman', [...storage.podmanOptions, ...args], {
      env: storage.env,
    });
    return status === 0;
  }

  /**
   * Makes a `podman` that runs a container with this program as /usr/bin/rpm-ostree, and without
   * rights that the machine of the test does not have.
   */
  function makePodman(): void {
    const program = `${programs}/rpm-ostree`;
    const options = [
      ...PODMAN_RUN,
      ...programVolumes(),
      ...[programs, scratch].map((path) => `--volume=${path}:${path}`),
      // The image has neither, and skopeo needs both.
      '--volume=/etc/passwd:/etc/passwd:ro',
      `--env=TMPDIR=${scratch}`,
      `--env=CONTAINERS_STORAGE_CONF=${storage.env.CONTAINERS_STORAGE_CONF}`,
      `--env=PATH=${programs}:/usr/bin:/bin`,
    ];
    const podman = run('which', ['podman']).trim();
    const lines = [
      '#!/bin/sh',
      'shift',
      'for arg in "$@"; do',
      '  shift',
      '  case $arg in',
      ...(isPrivileged ? [] : ['  --privileged) ;;']),
      `  /usr/bin/rpm-ostree) set -- "$@" ${program} ;;`,
      '  *) set -- "$@" "$arg" ;;',
      '  esac',
      'done',
      `exec ${podman} ${storage.podmanOptions.join(' ')} run ${options.join(' ')} "$@"`,
    ];
    mkdirSync(join(scratch, 'bin'));
    const path = join(scratch, 'bin/podman');
    writeFileSync(path, lines.join('\n'));
    chmodSync(path, 0o755);
  }

  const runIn = (line: string) => runLine(`cd ${scratch} && ${line}`, env);

  /** Checks that an image holds the tree as a sound commit, in at most `maxLayers` layers. */
  function assertSound(imgref: string, maxLayers: number): Inspected {
    const image = JSON.parse(run('skopeo', ['inspect', '--config', imgref], { env }));
    const { history } = image;
    assert.ok(history.length > 3 && history.length <= maxLayers, `${history.length} layers`);
    assert.equal(history.length, image.rootfs.diff_ids.length);
    assert.equal(image.config.Labels['containers.bootc'], '1');
    const args = ['container', 'unencapsulate', `--repo=${repo}`, '--json'];
    const pulled = ostrata([...args, `ostree-unverified-image:${imgref}`], { env });
    const { commit } = JSON.parse(pulled.trim().split('\n').at(-1) ?? '');
    fsck(repo);
    const listed = run('ostree', [`--repo=${repo}`, 'ls', '-R', commit]);
    assert.match(listed, /\/usr\/bin\/sh$/m);
    assert.doesNotMatch(listed, /\/sysroot\/ostree/);
    return image;
  }

  /** Checks that the config of `localhost/raw-img` was kept. */
  function assertConfigKept({ config }: Inspected): void {
    assert.ok(config.Env?.includes('A=1'));
    assert.equal(config.Labels.keep, '1');
    assert.match(config.Labels['ostree.final-diffid'] ?? '', /^sha256:/);
  }

  test('Fedora CoreOS: an archive in format version 1', () => {
    runIn(
      'rpm-ostree experimental compose build-chunked-oci --bootc --format-version=1 ' +
        `--rootfs ${root} --output oci-archive:fcos.ociarchive --label com.coreos.inputhash=X`,
    );
    const { config } = assertSound(`oci-archive:${scratch}/fcos.ociarchive`, 65);
    assert.equal(config.Labels['com.coreos.inputhash'], 'X');
  });

  test('Bazzite: the image that is to be split runs the program on itself', () => {
    runIn(
      'podman run --privileged --mount=type=image,src=localhost/raw-img,target=/rpm-ostree ' +
        `--volume ${scratch}:/run/out:Z --entrypoint /usr/bin/rpm-ostree localhost/raw-img ` +
        'compose build-chunked-oci --bootc --max-layers 127 --format-version 2 ' +
        '--label k=v --label org.opencontainers.image.title=bazzite --rootfs /rpm-ostree ' +
        '--output oci-archive:/run/out/chunked.oci',
    );
    const { config } = assertSound(`oci-archive:${scratch}/chunked.oci`, 128);
    assert.equal(config.Labels['org.opencontainers.image.title'], 'bazzite');
  });

  test('the image template of Universal Blue: a storage that its reference names', (t) => {
    if (!isPrivileged) {
      t.skip(NOT_PRIVILEGED);
      return;
    }
    const graph = join(scratch, 'graph');
    const named = (where: string) => `containers-storage:[vfs@${where}]localhost/os:template`;
    runIn(
      'podman run --privileged --mount=type=image,src=localhost/raw-img,target=/rpm-ostree ' +
        `--volume ${graph}:/run/host-container-storage ` +
        '--entrypoint /usr/bin/rpm-ostree localhost/raw-img compose build-chunked-oci --bootc ' +
        '--max-layers 127 --format-version 2 --label k=v --rootfs /rpm-ostree ' +
        `--output "${named('/run/host-container-storage+/run/rpm-ostree-storage')}"`,
    );
    assertSound(named(`${graph}+${join(scratch, 'run')}`), 128);
  });

  test('bootc-base-imagectl and blue-build: from an image to one that follows itself', () => {
    const line =
      'rpm-ostree experimental compose build-chunked-oci --max-layers=20 --bootc ' +
      '--format-version=1 --from=localhost/raw-img ' +
      '--output=containers-storage:localhost/os:imagectl';
    runIn(line);
    assertConfigKept(assertSound('containers-storage:localhost/os:imagectl', 21));
    const again = runIn(
      `${CHUNKED} --format-version=1 --max-layers=20 --from=localhost/raw-img ` +
        '--output=containers-storage:localhost/os:imagectl --no-cache --json',
    );
    const { layers } = JSON.parse(again.stdout);
    assert.ok(layers.every(({ reused }: { readonly reused: boolean }) => reused));
  });

  test("Bluefin's actions: in a container of the image, with a previous build", () => {
    runIn(
      `podman run --privileged -v ${scratch}/graph:${scratch}/graph localhost/raw-img ` +
        'rpm-ostree compose build-chunked-oci --max-layers 127 --format-version 2 ' +
        '--from localhost/raw-img --output containers-storage:localhost/os:bluefin --bootc ' +
        '--previous-build containers-storage:localhost/os:imagectl',
    );
    assertConfigKept(assertSound('containers-storage:localhost/os:bluefin', 128));
  });

  test('an image that replaces the one that it is made of', () => {
    const name = 'localhost/in-place:latest';
    storage.podman('tag', 'localhost/raw-img', name);
    const line = `${CHUNKED} --from=${name} --output=containers-storage:${name} --max-layers=9`;
    const { stderr } = runIn(line);
    const warning = `warning: containers-storage:${name} says nothing about its components`;
    assert.ok(stderr.includes(warning), stderr);
    const first = assertSound(`containers-storage:${name}`, 10);
    assertConfigKept(first);
    // What is made of the image again is the same, but for the /var/tmp that images have.
    runIn(line);
    const second = assertSound(`containers-storage:${name}`, 10);
    assert.deepEqual(second.rootfs.diff_ids.slice(1), first.rootfs.diff_ids.slice(1));
    runIn(line);
    assert.deepEqual(assertSound(`containers-storage:${name}`, 10), second);
  });

  test('rpm-ostree signs the commit by each key of a file', () => {
    const key = join(scratch, 'key.pem');
    run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', key]);
    runIn(`${CHUNKED} --rootfs ${root} --sign-commit spki=${key} --output oci:signed:x`);
    assertSound(`oci:${scratch}/signed:x`, 65);
    const { commit } = JSON.parse(ostrata(['inspect', '--json', `oci:${scratch}/signed:x`]));
    const signatures = commitSignatures(repo, commit, 'ostree.sign.spki');
    assert.deepEqual(
      signatures.map(({ length }) => length),
      [64],
    );
  });
});
