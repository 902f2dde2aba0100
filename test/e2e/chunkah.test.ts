/** Pipelines that call chunkah run unchanged when the program has that name. */
import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import {
  type ContainerStorage,
  containerStorage,
  PODMAN_RUN,
  programVolumes,
} from '../support/container-storage.js';
import { underName } from '../support/other-name.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { type World, world, worldNeeds } from '../support/world.js';

const DAY = 86_400;
const FIRST_DAY = '1970-01-02T00:00:00Z';
const PRUNED = '--prune /sysroot/ --label ostree.commit- --label ostree.final-diffid-';

interface Layer {
  readonly digest: string;
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Inspected {
  readonly created: string;
  readonly architecture: string;
  readonly config: {
    readonly Env?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
  };
  readonly history: readonly Readonly<Record<string, string>>[];
  readonly layers: readonly Layer[];
}

/** Returns what skopeo says of an image. */
function inspect(imgref: string): Inspected {
  const config = JSON.parse(run('skopeo', ['inspect', '--config', imgref]));
  const { layers } = JSON.parse(run('skopeo', ['inspect', '--raw', imgref]));
  return { ...config, layers };
}

const { directory: programs, tryLine, runLine } = underName('chunkah');

/** Makes a tree of one file that was changed on the second of January 1970. */
function makeTree(): string {
  const root = join(scratchDirectory(), 'root');
  mkdirSync(join(root, 'usr/share/doc'), { recursive: true });
  writeFileSync(join(root, 'usr/share/doc/file'), 'content');
  writeFileSync(join(root, 'usr/share/other'), 'other');
  utimesSync(join(root, 'usr/share/doc/file'), DAY, DAY);
  return root;
}

test(
  'the archive alone goes to standard output, and layers are not compressed',
  needs('skopeo'),
  () => {
    const archive = join(scratchDirectory(), 'archive');
    const { stdout, stderr } = runLine(`chunkah build -t os:1 > ${archive}`, {
      CHUNKAH_ROOTFS: makeTree(),
      CHUNKAH_THREADS: '1',
      SOURCE_DATE_EPOCH: String(DAY),
    });
    assert.equal(stdout, '');
    assert.match(stderr, /layer/);
    const { layers, created } = inspect(`oci-archive:${archive}:os:1`);
    assert.ok(layers.length > 0);
    assert.equal(created, FIRST_DAY);
    for (const { mediaType } of layers) {
      assert.equal(mediaType, 'application/vnd.oci.image.layer.v1.tar');
    }
  },
);

test('the report of an image in a folder goes to standard error', needs('skopeo'), () => {
  const image = join(scratchDirectory(), 'image');
  const { stdout } = runLine(`chunkah -v build --rootfs ${makeTree()} -o oci:${image}`);
  assert.equal(stdout, '');
  const { history, layers } = inspect(`oci:${image}`);
  const names = layers.map(({ annotations }) => annotations['org.chunkah.component']);
  // chunkah's tool analyze-layer-reuse.py reads these where annotations were lost.
  assert.deepEqual(
    history.map(({ author, created_by, comment }) => [author, created_by, comment]),
    names.map((name) => ['chunkah', 'chunkah', name]),
  );
});

test('the layout follows that of --previous-build-manifest', () => {
  const root = makeTree();
  const build = (options: string) => {
    const image = join(scratchDirectory(), 'image');
    runLine(`chunkah build --rootfs ${root} ${options} -o oci:${image}`);
    const { manifests } = JSON.parse(readFileSync(join(image, 'index.json'), 'utf8'));
    const manifest = join(image, 'blobs', manifests[0].digest.replace(':', '/'));
    return { manifest, layers: JSON.parse(readFileSync(manifest, 'utf8')).layers };
  };
  assert.equal(build('').layers.length, 2);
  const { manifest, layers } = build('--layout single');
  assert.equal(layers.length, 1);
  assert.deepEqual(build(`--previous-build-manifest ${manifest}`).layers, layers);
});

test('levels of gzip begin with 0', needs('skopeo', 'tar'), () => {
  const root = makeTree();
  for (const level of [0, 9]) {
    const image = join(scratchDirectory(), 'image.oci');
    const options = `--compressed --compression-level ${level} --max-layers 1`;
    runLine(`chunkah build --rootfs ${root} ${options} --output ${image}`);
    const [layer, ...others] = inspect(`oci-archive:${image}`).layers;
    assert.deepEqual(others, []);
    assert.equal(layer?.mediaType, 'application/vnd.oci.image.layer.v1.tar+gzip');
    const blob = `blobs/sha256/${layer.digest.slice(7)}`;
    const listed = run('sh', ['-c', `tar -xOf ${image} ${blob} | tar -tzf -`]);
    assert.match(listed, /^usr\/share\/doc\/file$/m);
  }
});

test('files without a package are not newer than the image', needs('umoci'), () => {
  const root = makeTree();
  const config = JSON.stringify([{ Config: {}, Created: FIRST_DAY, Architecture: 'arm64' }]);
  const scratch = scratchDirectory();
  runLine(`chunkah build -T2 --rootfs ${root} --arch powerpc64 -o oci:${scratch}/image -t x`, {
    CHUNKAH_CONFIG_STR: config,
  });
  run('umoci', ['unpack', '--image', `${scratch}/image:x`, `${scratch}/bundle`]);
  const mtime = (path: string) =>
    Math.floor(lstatSync(join(scratch, 'bundle/rootfs/usr/share', path)).mtimeMs / 1000);
  assert.equal(mtime('doc/file'), DAY);
  assert.equal(mtime('other'), DAY);
});

test('the same command line works as `ostrata chunkah build`', () => {
  const root = makeTree();
  const scratch = scratchDirectory();
  runLine(`chunkah build --rootfs ${root} -o ${scratch}/first`);
  ostrata(['chunkah', 'build', '--rootfs', root, '-o', `${scratch}/second`]);
  assert.deepEqual(readFileSync(join(scratch, 'second')), readFileSync(join(scratch, 'first')));
});

test('a plain image of up to one layer can be asked for, and many layers warn', () => {
  const root = makeTree();
  const scratch = scratchDirectory();
  const one = JSON.parse(
    ostrata(['build', '--json', '--max-layers=1', '--rootfs', root, `oci:${scratch}/one`]),
  );
  assert.equal(one.layers.length, 1);
  assert.doesNotMatch(ostrata(['build', '--help']), /commit layer/);
  const line = `chunkah build --max-layers 501 --rootfs ${root} -o ${scratch}/many`;
  assert.match(runLine(line).stderr, /warning: --max-layers 501/);
});

test('an output that is taken fails with 1, a wrong option with 2, and nothing is written', () => {
  const root = makeTree();
  const scratch = scratchDirectory();
  const taken = tryLine(`chunkah build --rootfs ${root} -o oci:${root}`);
  assert.equal(taken.status, 1);
  assert.match(taken.stderr, /root exists and is not empty/);
  const empty = join(scratch, 'empty');
  mkdirSync(empty);
  runLine(`chunkah build --rootfs ${root} -o oci:${empty}`);

  const wrong = [
    `--rootfs ${root} --compression-level 10`,
    `--rootfs ${root} --label nonsense`,
    `--rootfs ${root} -o nowhere:${scratch}/x`,
    `-o ${scratch}/x`,
  ];
  for (const options of wrong) {
    const { status, stdout } = tryLine(`chunkah build ${options}`);
    assert.equal(status, 2, options);
    assert.equal(stdout, '');
  }
  assert.equal(existsSync(join(scratch, 'x')), false);
  assert.match(runLine('chunkah --version').stdout, /^\d+\.\d+\.\d+/);
  assert.match(runLine('chunkah build --help').stdout, /^Usage: chunkah build/);
});

const pipelineNeeds = [...worldNeeds, 'root', 'buildah', 'podman', 'skopeo'] as const;

suite('the command lines of pipelines', needs(...pipelineNeeds), () => {
  let given: World;
  let scratch: string;
  let root: string;
  let config: string;
  let storage: ContainerStorage;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    storage = containerStorage(scratch);
    root = join(scratch, 'target-rootfs');
    run('cp', ['-a', given.oldTree, root]);
    mkdirSync(join(root, 'sysroot/ostree/repo'), { recursive: true });
    writeFileSync(join(root, 'sysroot/ostree/repo/config'), '[core]\n');
    storage.makeImage('localhost/os:raw', root, [
      'ENV A=1',
      'LABEL keep=1 ostree.commit=x ostree.final-diffid=y',
      'CMD ["/usr/bin/sh"]',
    ]);
    makeChunkahImage();
    config = join(scratch, 'config.json');
    writeFileSync(config, storage.podman('inspect', 'localhost/os:raw'));
  });
  after(() => storage.reset());

  /** Makes the image `localhost/chunkah`, which runs this program with the machine's own Node. */
  function makeChunkahImage(): void {
    const context = join(scratch, 'program');
    mkdirSync(context);
    run('cp', ['-a', programs, join(context, 'bin')]);
    const lines = ['FROM scratch'];
    const image = join(context, 'root');
    mkdirSync(image);
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) {
      if (existsSync(`/${name}`) && lstatSync(`/${name}`).isSymbolicLink()) {
        symlinkSync(`usr/${name}`, join(image, name));
      }
    }
    lines.push('COPY root /', `COPY bin ${programs}`);
    lines.push(`ENV PATH=${programs}:/usr/bin:/bin CHUNKAH_ROOTFS=/chunkah`);
    lines.push(`ENTRYPOINT ["${programs}/chunkah"]`, '');
    writeFileSync(join(context, 'Containerfile'), lines.join('\n'));
    storage.buildah('build', '--isolation=chroot', '--tag=localhost/chunkah', context);
  }

  /** Checks that an image is `localhost/os:raw` in at most `maxLayers` layers. */
  function assertSplit(imgref: string, maxLayers: number): Inspected {
    const image = inspect(imgref);
    assert.ok(image.layers.length > 3 && image.layers.length <= maxLayers);
    const { Env, Cmd, Labels } = image.config;
    assert.ok(Env?.includes('A=1'));
    assert.deepEqual(Cmd, ['/usr/bin/sh']);
    assert.equal(Labels.keep, '1');
    return image;
  }

  function assertWithoutCommit({ config: { Labels } }: Inspected): void {
    assert.equal(Labels['ostree.commit'], undefined);
    assert.equal(Labels['ostree.final-diffid'], undefined);
  }

  test('Fedora CoreOS: an archive without a config, on which buildah builds', () => {
    const archive = join(scratch, 'out.ociarchive');
    const { stderr } = runLine(
      `chunkah build --rootfs ${root} ${PRUNED} --output oci-archive:${archive} ` +
        '--label com.coreos.inputhash=X --max-layers=400',
    );
    assert.doesNotMatch(stderr, /warning/);
    const { config: found } = inspect(`oci-archive:${archive}`);
    assert.equal(found.Labels['com.coreos.inputhash'], 'X');
    const file = join(scratch, 'Containerfile.final');
    writeFileSync(file, 'FROM oci-archive:./out.ociarchive\nLABEL a=b\nCMD ["/sbin/init"]\n');
    storage.buildah('build', '--isolation=chroot', '--tag=fcos', `--file=${file}`, scratch);
    const mounted = storage.buildah('mount', storage.buildah('from', 'fcos').trim()).trim();
    assert.ok(existsSync(join(mounted, 'usr/bin/sh')));
    assert.deepEqual(existsSync(join(mounted, 'sysroot/ostree')), false);
    assert.ok(existsSync(join(mounted, 'sysroot')));
    storage.buildah('umount', '--all');
  });

  for (const [pipeline, args, maxLayers] of [
    ["chunkah's Containerfile.splitter", '', 64],
    ['Bluefin: the splitter with arguments', `--max-layers 128 ${PRUNED}`, 128],
  ] as const) {
    test(pipeline, () => {
      const context = join(scratch, `splitter-${maxLayers}`);
      mkdirSync(context);
      const file = join(context, 'Containerfile.splitter');
      writeFileSync(file, SPLITTER);
      const options = [
        '--isolation=chroot',
        '--skip-unused-stages=false',
        '--from=localhost/os:raw',
        '--build-arg=CHUNKAH=localhost/chunkah',
        `--build-arg=CHUNKAH_ARGS=${args}`,
        `--build-arg=CHUNKAH_CONFIG_STR=${readFileSync(config, 'utf8')}`,
        `--volume=${context}:/run/src`,
        '--security-opt=label=disable',
        '--tag=localhost/os:split',
      ];
      run('buildah', ['build', ...options, ...programVolumes(), `--file=${file}`, context], {
        cwd: context,
        env: storage.env,
      });
      const image = assertSplit(`oci:${context}/out`, maxLayers);
      if (args !== '') {
        assertWithoutCommit(image);
      }
      assert.match(storage.podman('inspect', 'localhost/os:split'), /"A=1"/);
    });
  }

  test('podman: the program in a container writes an archive that podman loads', () => {
    const { stdout } = runLine(
      `podman ${storage.podmanOptions.join(' ')} run ${PODMAN_RUN.join(' ')} ${programVolumes().join(' ')} ` +
        // Old versions of podman do not know `dest`, the usual spelling.
        '--mount=type=image,src=localhost/os:raw,target=/chunkah -e CHUNKAH_CONFIG_STR ' +
        `localhost/chunkah build -t localhost/os:podman | podman ${storage.podmanOptions.join(' ')} load`,
      { ...storage.env, CHUNKAH_CONFIG_STR: readFileSync(config, 'utf8') },
    );
    assert.match(stdout, /localhost\/os:podman/);
    const archive = join(scratch, 'loaded.ociarchive');
    storage.podman('save', '--format=oci-archive', `--output=${archive}`, 'localhost/os:podman');
    assertSplit(`oci-archive:${archive}`, 64);
  });

  test('Aurora: the program in a container writes a folder that podman pulls', () => {
    const out = join(scratch, 'aurora');
    mkdirSync(out);
    storage.podman(
      'run',
      ...PODMAN_RUN,
      ...programVolumes(),
      '--mount=type=image,src=localhost/os:raw,target=/chunkah',
      `--volume=${config}:/chunkah-config.json:ro,Z`,
      `--volume=${out}:/run/out:Z`,
      'localhost/chunkah',
      ...`build --verbose --compressed --max-layers 256 ${PRUNED}`.split(' '),
      ...'--config /chunkah-config.json --output oci:/run/out/chunked'.split(' '),
    );
    assertWithoutCommit(assertSplit(`oci:${out}/chunked`, 256));
    const id = storage.podman('pull', '--quiet', 'oci:aurora/chunked').trim();
    assert.match(storage.podman('inspect', id), /"A=1"/);
  });

  test('blue-build: a folder with a tag', () => {
    const out = join(scratch, 'oci-out');
    runLine(
      `chunkah build --compressed --config ${config} --prune /sysroot/ --max-layers 128 ` +
        '--label ostree.commit- --label ostree.final-diffid- --tag ghcr.io/me/os:latest ' +
        `--output oci:${out}`,
      { CHUNKAH_ROOTFS: root },
    );
    assertWithoutCommit(assertSplit(`oci:${out}:ghcr.io/me/os:latest`, 128));
  });

  test('a repository of ostree in the tree is a warning', () => {
    const { stderr } = runLine(`chunkah build --rootfs ${root} -o ${scratch}/whole.oci`);
    assert.match(stderr, /warning: \/sysroot\/ostree holds an ostree repository/);
  });
});

/** https://github.com/coreos/chunkah/blob/main/Containerfile.splitter */
const SPLITTER = `ARG CHUNKAH=quay.io/coreos/chunkah:latest
ARG CHUNKAH_ARGS=""
ARG CHUNKAH_CONFIG_STR

FROM overridden AS target
FROM \${CHUNKAH} AS chunkah
ARG CHUNKAH_CONFIG_STR
ARG CHUNKAH_ARGS
RUN --mount=type=bind,target=/run/src,rw \\
    --mount=from=target,target=/chunkah,ro \\
      chunkah build \${CHUNKAH_ARGS} --output oci:/run/src/out

FROM oci:out
`;
