/** `build --from tar:FILE`: an image of a root file system that comes as a tar. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { openImage } from '../../src/transports/image-reference.js';
import { openTar } from '../../src/tree/tar-source.js';
import { ostrata, ostrataProgram, run, tryOstrata, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const LONG_NAME = 'l'.repeat(180);
/** Objects of an ostree repository, which are only files in a tar of a root file system. */
const OBJECTS = 'sysroot/ostree/repo/objects/ab';
const OBJECT = `${OBJECTS}/${'cd'.repeat(31)}.file`;
const UNUSED_OBJECT = `${OBJECTS}/${'ef'.repeat(31)}.file`;

function makeTree(): string {
  const root = join(scratchDirectory(), 'root');
  mkdirSync(join(root, 'usr/share/empty'), { recursive: true });
  mkdirSync(join(root, OBJECTS), { recursive: true });
  mkdirSync(join(root, 'opt'), { mode: 0o700 });
  writeFileSync(join(root, OBJECT), 'tool', { mode: 0o4755 });
  linkSync(join(root, OBJECT), join(root, 'usr/tool'));
  linkSync(join(root, OBJECT), join(root, 'opt/tool'));
  writeFileSync(join(root, UNUSED_OBJECT), 'not what the name says');
  writeFileSync(join(root, 'usr/none'), '');
  writeFileSync(join(root, 'usr', LONG_NAME), LONG_NAME.repeat(1000));
  writeFileSync(join(root, 'manifest.json'), '{}');
  symlinkSync('tool', join(root, 'usr/symlink'));
  utimesSync(join(root, 'usr/none'), 1e9, 1e9);
  return root;
}

/** Returns the path of a tar of the tree, as GNU tar writes it. */
function pack(root: string): string {
  const path = join(scratchDirectory(), 'root.tar');
  run('tar', ['-C', root, '-cf', path, '.']);
  return path;
}

interface Report {
  readonly manifestDigest: string;
}

function digestOf(json: string): string {
  const { manifestDigest }: Report = JSON.parse(json);
  return manifestDigest;
}

function build(args: readonly string[], input?: Uint8Array): string {
  const options = ['build', '--json', '--mtime=keep', '--prune=/sysroot/'];
  const destination = `oci:${scratchDirectory()}/image`;
  return digestOf(ostrata([...options, ...args, destination], input && { input }));
}

const PYTHON_EXTRACT = 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])';

suite('a tar makes the image of what is unpacked from it', needs('tar', 'python'), () => {
  const path = pack(makeTree());

  test('by GNU tar', () => {
    const root = scratchDirectory();
    run('tar', ['-C', root, '--same-permissions', '-xf', path]);
    assert.equal(build(['--from', `tar:${path}`]), build(['--rootfs', root]));
  });

  test('by Python', () => {
    const root = scratchDirectory();
    run('python3', ['-c', PYTHON_EXTRACT, path, root]);
    // Python does not set the times of symlinks.
    const zero = ['--mtime=zero'];
    assert.equal(build(['--from', `tar:${path}`, ...zero]), build(['--rootfs', root, ...zero]));
  });

  for (const [title, command] of [
    ['gzip', ['gzip', '-c']],
    ['zstd', ['zstd', '-qc']],
  ] as const) {
    test(`compressed by ${title}, from a file and from a pipe`, needs('zstd'), () => {
      const expected = build(['--from', `tar:${path}`]);
      const [program, option] = command;
      const compressed = `${path}.${title}`;
      run('sh', ['-c', `${program} ${option} "$1" > "$2"`, 'sh', path, compressed]);
      assert.equal(build(['--from', `tar:${compressed}`]), expected, 'file');
      assert.equal(build(['--from', 'tar:-'], readFileSync(compressed)), expected, 'pipe');
    });
  }

  test('through a pipe, and by the name of a pipe', () => {
    const expected = build(['--from', `tar:${path}`]);
    assert.equal(build(['--from', 'tar:-'], readFileSync(path)), expected, 'standard input');
    const destination = `oci:${scratchDirectory()}/image`;
    const command = `cat "$1" | ${process.execPath} ${ostrataProgram} build --json --mtime=keep \\
      --prune=/sysroot/ --from tar:/dev/stdin ${destination}`;
    assert.equal(digestOf(run('sh', ['-c', command, 'sh', path])), expected, '/dev/stdin');
  });
});

test(
  'what podman exports of an image is built into that image',
  needs('podman', 'root', 'skopeo'),
  () => {
    const scratch = scratchDirectory();
    const [storage, runroot] = [join(scratch, 'storage'), join(scratch, 'run')];
    const podman = `podman --root ${storage} --runroot ${runroot} --storage-driver=vfs`;
    const stored = `containers-storage:[vfs@${storage}+${runroot}]localhost/os:x`;
    const options = ['build', '--json', '--mtime=zero', '--prune=/sysroot/', '--compression=none'];
    const config = ['--config-str', '{"Cmd":["/usr/tool"]}'];
    const expected = ostrata([...options, ...config, '--rootfs', makeTree(), stored]);

    const container = run('sh', [
      '-c',
      `${podman} --runtime runc create --network=none localhost/os:x`,
    ]);
    const destination = `oci:${scratch}/image`;
    const built = run('sh', [
      '-c',
      `${podman} export ${container.trim()} | "$@"`,
      'sh',
      process.execPath,
      ostrataProgram,
      ...options,
      ...config,
      '--from=tar:-',
      destination,
    ]);
    run('sh', ['-c', `${podman} rmi --all --force`]);
    assert.equal(digestOf(built), digestOf(expected));
  },
);

suite('a tar by itself', needs('tar'), () => {
  const path = pack(makeTree());
  const options = { stdin: process.stdin, signal: new AbortController().signal };

  test('is read where it is, unless it is compressed', async () => {
    const compressed = `${path}.gz`;
    writeFileSync(compressed, gzipSync(readFileSync(path)));
    for (const [file, mediaType] of [
      [path, 'application/vnd.oci.image.layer.v1.tar'],
      [compressed, 'application/vnd.oci.image.layer.v1.tar+gzip'],
    ] as const) {
      const source = await openTar(file, options);
      const [layer = assert.fail()] = source.layers;
      assert.equal(source.file(layer), file);
      assert.equal(layer.blob.mediaType, mediaType);
    }
  });

  test('takes its config from --config', async () => {
    const config = JSON.stringify({ config: { Cmd: ['/usr/tool'] }, architecture: 'riscv64' });
    const layout = `${scratchDirectory()}/image`;
    ostrata(['build', '--from', `tar:${path}`, '--config-str', config, `oci:${layout}`]);
    const image = await openImage(`oci:${layout}`);
    const { architecture, config: written } = JSON.parse(`${Buffer.from(await image.config())}`);
    assert.deepEqual([architecture, written.Cmd], ['riscv64', ['/usr/tool']]);
  });

  test('is refused where it is no root file system', () => {
    const whole = readFileSync(path);
    const file = (name: string, bytes: Uint8Array | string) => {
      const target = join(scratchDirectory(), name);
      writeFileSync(target, bytes);
      return `tar:${target}`;
    };
    /** A tar of a folder with these files. */
    const archive = (...names: readonly string[]) => {
      const root = scratchDirectory();
      mkdirSync(join(root, 'blobs'));
      for (const name of names) {
        writeFileSync(join(root, name), '{}');
      }
      return `tar:${pack(root)}`;
    };
    const cases: readonly (readonly [from: string, message: RegExp])[] = [
      [file('empty.tar', ''), /empty\.tar: is empty; expected a tar of a root file system/],
      [file('a.tar.xz', Buffer.from('fd377a585a0000', 'hex')), /by xz; .*`xz -dc`/],
      [file('a.tar.bz2', 'BZh91AY&SY'), /is compressed by bzip2; .*`bzip2 -dc`/],
      [file('cut.tar', whole.subarray(0, -10240)), /tar archive (is cut off behind|ends within)/],
      [file('text.tar', 'a text\n'.repeat(200)), /text\.tar: tar checksum is not a number/],
      [`tar:${scratchDirectory()}`, /is a folder; --rootfs takes/],
      [`tar:${scratchDirectory()}/missing`, /missing: .*no such file/],
      [archive('oci-layout', 'index.json'), /holds an image, .*oci-archive:\/.*root\.tar$/m],
      [archive('manifest.json'), /holds an image, .*docker-archive:\/.*root\.tar$/m],
    ];
    for (const [from, message] of cases) {
      const { status, stderr } = tryOstrata(['build', '--from', from, `oci:${path}.image`]);
      assert.match(stderr, message);
      assert.equal(status, 1, stderr);
    }
  });

  test('that lost its end is refused, although all of its entries are whole', () => {
    const whole = readFileSync(path);
    let end = whole.length;
    while (whole.subarray(end - 512, end).every((byte) => byte === 0)) {
      end -= 512;
    }
    const { status, stderr } = tryOstrata(
      ['build', '--from', 'tar:-', `oci:${scratchDirectory()}/image`],
      { input: whole.subarray(0, end) },
    );
    assert.match(stderr, /tar archive is cut off behind entry .*no two blocks of zeros end it/);
    assert.equal(status, 1);
  });

  test('in a pipe whose writer has stopped does not keep an interrupted build', () => {
    const scratch = scratchDirectory();
    mkdirSync(join(scratch, 'spool'));
    const script = `
      mkfifo pipe
      (head -c 4096 "$1"; exec sleep 30) > pipe & writer=$!
      "$2" "$3" build --from tar:pipe --spool spool oci:out & build=$!
      while kill -0 $build && [ -z "$(ls -A spool)" ]; do sleep 0.1; done
      kill -TERM $build
      wait $build
      echo "exit code $?"
      kill $writer && echo "the writer was still there"
      ls -A spool`;
    const args = ['-c', script, 'sh', path, process.execPath, ostrataProgram];
    const { stdout } = tryRun('sh', args, { cwd: scratch });
    assert.equal(stdout, 'exit code 143\nthe writer was still there\n');
  });

  test('and credentials cannot both come from standard input', () => {
    const { status, stderr } = tryOstrata(
      ['build', '--from', 'tar:-', '--creds=-', 'registry:localhost:1/a/b'],
      { input: 'user:password' },
    );
    assert.match(stderr, /--from tar:- and --creds=- both read standard input/);
    assert.equal(status, 2);
  });
});
