/**
 * `ostrata diff` says what was done to a system: pairs of which one thing differs, with `diff`,
 * `find` and `rpm` as judges.
 */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { canonicalJson, sha256Digest } from '../../src/oci/json.js';
import { writeLayout } from '../support/forge-image.js';
import { ostrata, run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { buildRpm, noise, put, type TestPackage } from '../support/world-packages.js';

const DB_PATH = '/usr/share/rpm';
const KB = 1000;

interface Report {
  readonly update?: { readonly layers: number; readonly size: number };
  readonly packages: {
    readonly [kind in 'added' | 'removed']: readonly { readonly nevra: string }[];
  } & {
    readonly [kind in 'upgraded' | 'downgraded' | 'renamed']: readonly {
      readonly from: { readonly nevra: string };
      readonly to: { readonly nevra: string };
      readonly changelog?: readonly { readonly time: number }[];
    }[];
  };
  readonly layers?: readonly { readonly because: readonly string[] }[];
  readonly settings?: readonly {
    readonly key: string;
    readonly old?: unknown;
    readonly new?: unknown;
  }[];
  readonly components?: readonly { readonly because: string }[];
  readonly files: readonly {
    readonly path: string;
    readonly change: string;
    readonly aspects: readonly string[];
    readonly layer?: number;
  }[];
}

const tool: TestPackage = {
  name: 'tool',
  version: '1',
  files: ['/usr/bin/tool', '/usr/share/tool'],
  changelog: [1_600_000_000],
  install: (root) => {
    put(root, 'usr/bin/tool', noise('tool', 40 * KB), 0o755);
    put(root, 'usr/share/tool/data', noise('data', 5 * KB));
  },
};
const firmware: TestPackage = {
  name: 'firmware',
  version: '1',
  arch: 'noarch',
  files: ['/usr/lib/firmware'],
  install: (root) => {
    for (let i = 0; i < 20; i++) {
      put(root, `usr/lib/firmware/f${i}`, noise(`f${i}`, 5 * KB));
    }
  },
};

/** The scratch folder, and an image and a root of which every pair begins. */
interface World {
  readonly scratch: string;
  readonly root: string;
  readonly image: string;
}

function rpm(root: string, ...args: readonly string[]): void {
  const options = ['--dbpath', DB_PATH, '--nodeps', '--noscripts'];
  run('rpm', ['--define', '_db_backend sqlite', '--root', root, ...options, ...args]);
}

function install(world: Pick<World, 'scratch'>, root: string, pkg: TestPackage): void {
  rpm(root, '-U', '--ignorearch', '--nosignature', buildRpm(pkg, world.scratch));
}

function makeWorld(): World {
  const scratch = scratchDirectory();
  const root = join(scratch, 'root');
  mkdirSync(join(root, DB_PATH), { recursive: true });
  install({ scratch }, root, tool);
  install({ scratch }, root, firmware);
  put(root, 'usr/lib/modules/6.1/vmlinuz', noise('vmlinuz', 9 * KB));
  put(root, 'usr/lib/modules/6.1/initramfs.img', noise('initramfs', 30 * KB));
  put(root, 'opt/app/bin', noise('app', 6 * KB));
  symlinkSync('usr/bin', join(root, 'bin'));
  const image = `oci:${scratch}/layout:old`;
  build(root, image);
  return { scratch, root, image };
}

function build(root: string, imgref: string, ...options: readonly string[]): void {
  const common = [`--rootfs=${root}`, '--mtime=keep', '--created=1700000000', '--quiet'];
  ostrata(['build', ...common, ...options, imgref]);
}

function diff(...args: readonly string[]): Report {
  return JSON.parse(ostrata(['diff', '--json', ...args]));
}

/** Copies the root and changes the copy; what `change` does not touch keeps all attributes. */
function changedRoot({ root }: World, change: (root: string) => void): string {
  const copy = join(scratchDirectory(), 'root');
  run('cp', ['-a', root, copy]);
  change(copy);
  return copy;
}

/** Returns what GNU tar makes of a folder. */
function tarOf(folder: string): Uint8Array {
  return Buffer.from(run('tar', ['-C', folder, '-c', '.']), 'latin1');
}

/** Writes an image of one layer for each folder, as builders of containers do. */
function layeredImage(...folders: readonly string[]): string {
  const tars = folders.map(tarOf);
  const rootfs = { type: 'layers', diff_ids: tars.map(sha256Digest) };
  const config = { architecture: 'amd64', os: 'linux', created: '2023-11-14T22:13:20Z', rootfs };
  return writeLayout(canonicalJson(config), tars).imgref;
}

/** Changes something in a folder, which keeps its time. */
function quietly(folder: string, change: () => void): void {
  const { atime, mtime } = statSync(folder);
  change();
  utimesSync(folder, atime, mtime);
}

/** Rewrites a file, which keeps its time. */
function rewrite(file: string, content: Uint8Array): void {
  quietly(file, () => writeFileSync(file, content));
}

/** The causes of all layers, without those of the package database. */
function causesOf({ layers = [] }: Report): readonly string[] {
  const causes = layers.flatMap(({ because }) => because);
  return causes.filter((cause) => !/ of rpmdb/.test(cause)).sort();
}

/** What `find` says of each path: type, mode, owner, time in whole seconds, target. */
function attributes(root: string): ReadonlyMap<string, string> {
  const format = '%P\\t%y %m %U:%G %Ts %l\\n';
  const lines = run('find', [root, '-printf', format]).trimEnd().split('\n');
  return new Map(lines.map((line) => [`/${line.split('\t')[0]}`, line.split('\t')[1] ?? '']));
}

/** Holds the reported files to what `diff -r` and `find` say of the two folders. */
function judgeFiles(report: Report, old: string, next: string): void {
  const output = tryRun('diff', ['-rq', '--no-dereference', old, next]).stdout;
  const differing = [...output.matchAll(/^Files (\S+) and \S+ differ$/gm)].map(([, path = '']) =>
    path.slice(old.length),
  );
  const contents = report.files.filter(({ aspects }) => aspects.includes('content'));
  assert.deepEqual(contents.map(({ path }) => path).sort(), differing.sort());

  const [before, after] = [attributes(old), attributes(next)];
  const expected: string[] = [];
  for (const [path, text] of after) {
    if (before.has(path) && (before.get(path) !== text || differing.includes(path))) {
      expected.push(`changed ${path}`);
    }
  }
  expected.push(...[...after.keys()].filter((path) => !before.has(path)).map((p) => `added ${p}`));
  expected.push(
    ...[...before.keys()].filter((path) => !after.has(path)).map((p) => `removed ${p}`),
  );
  const actual = report.files.map(({ change, path }) => `${change} ${path}`);
  assert.deepEqual(actual.sort(), expected.sort());
}

/** Holds the reported packages to what `rpm -qa` lists. */
function judgePackages({ packages }: Report, old: string, next: string): void {
  const listOf = (root: string) => {
    // rpm writes beside a database that it reads.
    const copy = join(scratchDirectory(), 'rpm');
    run('cp', ['-a', join(root, DB_PATH), copy]);
    return run('rpm', ['--dbpath', copy, '-qa', '--qf', '%{NEVRA}\\n']).trim().split('\n');
  };
  const [before, after] = [listOf(old), listOf(next)];
  const updates = [...packages.upgraded, ...packages.downgraded, ...packages.renamed];
  const gone = [...packages.removed, ...updates.map(({ from }) => from)];
  const fresh = [...packages.added, ...updates.map(({ to }) => to)];
  const namesOf = (list: readonly { readonly nevra: string }[]) =>
    list.map(({ nevra }) => nevra).sort();
  assert.deepEqual(namesOf(gone), before.filter((nevra) => !after.includes(nevra)).sort());
  assert.deepEqual(namesOf(fresh), after.filter((nevra) => !before.includes(nevra)).sort());
}

/** Compares the image of the world with that of a changed root, and both roots. */
function diffChanged(world: World, change: (root: string) => void): Report {
  return diffRoot(world, changedRoot(world, change));
}

function diffRoot(world: World, next: string): Report {
  const image = `oci:${scratchDirectory()}/layout`;
  build(next, image, `--previous-build=${world.image}`);
  const report = diff('--files', world.image, image);
  judgeFiles(report, world.root, next);
  judgePackages(report, world.root, next);
  return report;
}

/** Compares the roots as well, which must give the same. */
function diffChangedRoots(world: World, change: (root: string) => void): Report {
  const next = changedRoot(world, change);
  const report = diffRoot(world, next);
  const ofRoots = diff(world.root, next);
  // Only images have layers.
  assert.deepEqual(
    ofRoots.files,
    report.files.map(({ layer: _, ...file }) => file),
  );
  assert.deepEqual(ofRoots.packages, report.packages);
  assert.deepEqual(ofRoots.components, report.components);
  return report;
}

suite('ostrata diff names as cause', needs('rpm'), () => {
  let world: World;
  before(() => {
    world = makeWorld();
  });

  test('the time of a directory, in every layer that repeats it', () => {
    const report = diffChanged(world, (root) => utimesSync(join(root, 'usr/lib'), 1e9, 1e9));
    const causes = causesOf(report);
    assert.ok(causes.length > 1, 'several layers have files below the directory');
    assert.deepEqual([...new Set(causes)], ['only the mtime of /usr/lib changed']);
    const text = ostrata([
      'diff',
      world.root,
      changedRoot(world, (root) => utimesSync(join(root, 'usr/lib'), 1e9, 1e9)),
    ]);
    assert.match(text, /^files +only the mtime of \/usr\/lib changed$/m);
  });

  test('the times of files', () => {
    const report = diffChanged(world, (root) => {
      for (const name of ['f1', 'f2', 'f3']) {
        utimesSync(join(root, 'usr/lib/firmware', name), 1e9, 1e9);
      }
    });
    assert.deepEqual(causesOf(report), ['only the mtime of 3 of 20 files of firmware changed']);
  });

  test('the mode of a file', () => {
    const report = diffChanged(world, (root) => chmodSync(join(root, 'usr/bin/tool'), 0o700));
    assert.deepEqual(causesOf(report), ['only the mode of /usr/bin/tool changed']);
  });

  test('one file', () => {
    const report = diffChanged(world, (root) =>
      rewrite(join(root, 'usr/lib/firmware/f3'), noise('new', 7 * KB)),
    );
    assert.deepEqual(causesOf(report), ['/usr/lib/firmware/f3 of firmware changed (7.0 kB)']);
  });

  test('some files of a package, and how much of it they are', () => {
    const report = diffChanged(world, (root) => {
      for (const name of ['f3', 'f4', 'f5', 'f6']) {
        rewrite(join(root, 'usr/lib/firmware', name), noise(`new ${name}`, 5 * KB));
      }
    });
    const cause = '4 of 20 files of firmware changed: 20.0 of 100 kB';
    assert.deepEqual(causesOf(report), [cause]);
    assert.ok(report.components?.some(({ because }) => because === cause));
  });

  test('a package that was renamed', () => {
    const report = diffChangedRoots(world, (root) => {
      rpm(root, '-e', 'tool');
      install(world, root, { ...tool, name: 'gadget', version: '2' });
    });
    const [renamed] = report.packages.renamed;
    assert.deepEqual(
      [renamed?.from.nevra, renamed?.to.nevra],
      ['tool-1-1.x86_64', 'gadget-2-1.x86_64'],
    );
    assert.deepEqual([report.packages.added, report.packages.removed], [[], []]);
  });

  test('a package that was built again without a change of its files', () => {
    const report = diffChanged(world, (root) =>
      install(world, root, { ...tool, version: '1.1', changelog: [1_650_000_000, 1_600_000_000] }),
    );
    assert.deepEqual(
      report.packages.upgraded.map(({ to }) => to.nevra),
      ['tool-1.1-1.x86_64'],
    );
    const contents = report.files.filter(({ aspects }) => aspects.includes('content'));
    assert.ok(contents.length > 0);
    assert.ok(contents.every(({ path }) => path.startsWith(DB_PATH)));
    assert.ok(causesOf(report).includes('only the mtime of 2 of 2 files of tool changed'));
  });

  test('a kernel', () => {
    const report = diffChangedRoots(world, (root) => {
      renameSync(join(root, 'usr/lib/modules/6.1'), join(root, 'usr/lib/modules/6.2'));
      rewrite(join(root, 'usr/lib/modules/6.2/initramfs.img'), noise('other', 31 * KB));
    });
    assert.deepEqual(causesOf(report), [
      '1 of 1 file of initramfs added, 1 removed: 31.0 of 31.0 kB',
      '1 of 1 file of kernel added, 1 removed: 9.0 of 9.0 kB',
    ]);
  });

  test('a file that no package owns', () => {
    const report = diffChanged(world, (root) =>
      rewrite(join(root, 'opt/app/bin'), noise('other', 6 * KB)),
    );
    assert.deepEqual(causesOf(report), ['/opt/app/bin (no package) changed (6.0 kB)']);
  });

  test('a file that was removed', () => {
    const report = diffChanged(world, (root) => {
      const folder = join(root, 'usr/lib/firmware');
      quietly(folder, () => rmSync(join(folder, 'f7')));
    });
    assert.deepEqual(causesOf(report), ['/usr/lib/firmware/f7 of firmware removed']);
  });

  test('a package that was removed', () => {
    const report = diffChanged(world, (root) => rpm(root, '-e', 'firmware'));
    assert.deepEqual(
      report.packages.removed.map(({ nevra }) => nevra),
      ['firmware-1-1.noarch'],
    );
    assert.ok(
      report.components?.some(({ because }) => because === 'firmware removed: 20 files, 100 kB'),
    );
  });

  test('nothing, for an image that was built again', () => {
    const image = `oci:${scratchDirectory()}/layout`;
    build(world.root, image);
    const report = diff('--files', world.image, image);
    assert.deepEqual(
      [report.update?.layers, report.layers, report.settings, report.files],
      [0, [], [], []],
    );
    assert.match(
      ostrata(['diff', world.image, image]),
      /^download +nothing: the old image has all/m,
    );
  });

  test('settings only', () => {
    const image = `oci:${scratchDirectory()}/layout`;
    const config = join(world.scratch, 'config.json');
    writeFileSync(config, JSON.stringify([{ Config: { Cmd: ['/usr/bin/tool'] } }]));
    build(world.root, image, '--label=version=2', `--config=${config}`);
    const report = diff(world.image, image);
    assert.equal(report.update?.layers, 0);
    assert.deepEqual(report.settings, [
      { key: 'config.Cmd', new: ['/usr/bin/tool'] },
      { key: 'config.Labels.version', new: '2' },
    ]);
  });

  test('files that moved to other layers', () => {
    const image = `oci:${scratchDirectory()}/layout`;
    build(world.root, image, '--max-layers=2');
    const { layers = [], files } = diff('--files', world.image, image);
    assert.deepEqual(files, []);
    for (const { because } of layers) {
      assert.match(
        because.join('; '),
        /^(\d+ files? moved here from other layers \([^)]+\)|no file changed.*)$/,
      );
    }
    assert.ok(layers.some(({ because }) => /moved here/.test(because[0] ?? '')));
  });

  test('another tool, if the files are the same', () => {
    const report = diff('--files', world.image, layeredImage(world.root));
    assert.deepEqual(report.files, []);
    assert.equal(causesOf(report).length, 1);
    assert.match(causesOf(report)[0] ?? '', /^\d+ files moved here from other layers \(/);
  });

  test('a layer of the base image', () => {
    const above = join(scratchDirectory(), 'above');
    put(above, 'opt/site/page', noise('page', 4 * KB));
    const images = [
      world.root,
      changedRoot(world, (root) => {
        rewrite(join(root, 'usr/lib/firmware/f3'), noise('new', 5 * KB));
      }),
    ].map((root) => {
      const image = `oci:${scratchDirectory()}/layout`;
      const base = `--base=${layeredImage(root)}`;
      ostrata(['build', `--from=${layeredImage(root, above)}`, base, '--mtime=keep', '-q', image]);
      return image;
    });
    const report = diff('--files', ...images);
    const cause = '/usr/lib/firmware/f3 of firmware changed (5.0 kB)';
    assert.deepEqual(
      report.layers?.map(({ because }) => because),
      [['base image', cause].slice(1)],
    );
  });
});
