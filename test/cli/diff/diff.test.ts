/** What `ostrata diff` reads, and how it prints the result. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import { compareListed, type ListedPackage } from '../../../src/cli/diff/packages.js';
import { buildDatabase, type PackageSpec } from '../../support/build-database.js';
import { breakFiles, breakHeader, fixtureOf, packagesOf } from '../../support/damage-database.js';
import { type ForgedEntry, forgePlain } from '../../support/forge-image.js';
import { repoRoot } from '../../support/root.js';
import { ostrata, tryOstrata } from '../../support/run.js';
import { scratchDirectory } from '../../support/scratch.js';

const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample');

const entry = (name: string, content: string | Uint8Array): ForgedEntry => ({
  ...{ name, type: 'file', mode: 0o644, content: Buffer.from(content) },
});

const dpkgStatus = (packages: Readonly<Record<string, string>>) =>
  Object.entries(packages)
    .map(([name, version]) => `Package: ${name}\nVersion: ${version}\nArchitecture: amd64\n`)
    .join('\n');

function diff(...args: readonly string[]) {
  return JSON.parse(ostrata(['diff', '--json', ...args]));
}

/** Puts files into a new folder. */
function folder(files: Readonly<Record<string, string | Uint8Array>>): string {
  const root = scratchDirectory();
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  return root;
}

/** Removes the blobs of an image layout that are none of `kept`. */
function removeOtherBlobs(layout: string, kept: readonly string[]): void {
  const blobs = join(layout, 'blobs/sha256');
  for (const name of readdirSync(blobs)) {
    if (!kept.includes(`sha256:${name}`)) {
      rmSync(join(blobs, name));
    }
  }
}

interface Content {
  readonly isNew: boolean;
  readonly components: readonly {
    readonly id: string;
    readonly name: string;
    readonly change?: string;
  }[];
}

/** Returns what is said of the packages `a` and `b`. */
function contentsOf(contents: readonly Content[]): readonly object[] {
  return contents.flatMap(({ isNew, components }) =>
    components
      .filter(({ name }) => ['a', 'b'].includes(name))
      .map(({ id, name, change }) => ({ id, name, isNew, change })),
  );
}

interface Inspected {
  readonly manifestDigest: string;
  readonly layers: readonly { readonly digest: string; readonly components: readonly string[] }[];
}

/** Removes all layers of an image but some. */
function keepLayers(
  imgref: string,
  isKept: (layer: Inspected['layers'][number], i: number) => boolean,
) {
  const { layers }: Inspected = JSON.parse(ostrata(['inspect', '--json', imgref]));
  const layout = imgref.replace(/^oci:/, '').replace(/:[^/]*$/, '');
  const removed = layers.filter((layer, i) => !isKept(layer, i)).map(({ digest }) => digest);
  const all = readdirSync(join(layout, 'blobs/sha256')).map((name) => `sha256:${name}`);
  removeOtherBlobs(
    layout,
    all.filter((digest) => !removed.includes(digest)),
  );
  return removed.length;
}

suite('of an image, diff reads only', () => {
  const packages = (version: string): readonly PackageSpec[] => [
    { name: 'a', arch: 'x86_64', version, files: ['/usr/bin/a'] },
    { name: 'b', arch: 'x86_64', files: ['/usr/bin/b'] },
  ];
  const rootOf = (version: string) =>
    folder({
      'usr/share/rpm/rpmdb.sqlite': buildDatabase(packages(version)),
      'usr/bin/a': `a ${version}`,
      'usr/bin/b': 'b',
    });

  for (const format of ['plain', 'ostree']) {
    test(`the layer that names the database, in an image of format ${format}`, () => {
      const images = ['1', '2'].map((version) => {
        const image = `oci:${scratchDirectory()}/image:x`;
        const options = [`--format=${format}`, `--rootfs=${rootOf(version)}`, '-q'];
        ostrata(['build', ...options, image]);
        const count = keepLayers(image, ({ components }) => components.includes('rpmdb'));
        assert.ok(count >= 2, `${count} layers are gone`);
        assert.match(ostrata(['rpmdb', 'list', '--image', image]), /^a-/m);
        return image;
      });
      const { packages: changes, layers, contents } = diff(...images);
      assert.deepEqual(changes.upgraded.map(({ from, to }: never) => [from, to]).length, 1);
      assert.equal(changes.unchanged, 1);
      assert.ok(
        layers.some(({ because }: { because: string[] }) => because.includes('a.x86_64 changed')),
      );
      assert.deepEqual(contentsOf(contents), [
        { ...{ id: 'a.x86_64', name: 'a', isNew: true, change: 'changed' } },
        { ...{ id: 'b.x86_64', name: 'b', isNew: false, change: undefined } },
      ]);
      const withFiles = tryOstrata(['diff', '--files', ...images]);
      assert.equal(withFiles.status, 1, 'reading all layers fails');
    });
  }

  test('the topmost layer that has the database, if no layer names its components', () => {
    const images = ['1', '1:0.5', '2'].map((version) => {
      const status = dpkgStatus({ tool: version, other: '1' });
      const { imgref } = forgePlain([
        [entry('usr/bin/tool', 'tool'), entry('var/lib/dpkg/status', dpkgStatus({ tool: '0' }))],
        [entry('var/lib/dpkg/status', status)],
        [entry('opt/app', 'app')],
      ]);
      keepLayers(imgref, (_, i) => i > 0);
      return imgref;
    });
    const [one = '', epoch = '', two = ''] = images;
    const [upgraded] = diff(one, two).packages.upgraded;
    assert.deepEqual([upgraded.from.evr, upgraded.to.evr], ['1', '2']);
    assert.equal(diff(epoch, two).packages.downgraded.length, 1, 'by the order of dpkg');
  });

  test('the database that is not hidden by a layer above it', () => {
    const base = [entry('lib/apk/db/installed', 'C:Q1x\nP:tool\nV:1-r0\nA:x86_64\n')];
    const { imgref: whole } = forgePlain([base]);
    const { imgref: hidden } = forgePlain([base, [entry('lib/apk/.wh.db', '')]]);
    assert.equal(diff(whole, whole).packages.unchanged, 1);
    assert.match(
      ostrata(['diff', whole, hidden]),
      /^packages +not compared: no package database in/m,
    );
  });
});

test('diff --files names the layer of each file, and --html lists it there', () => {
  const images = ['1', '2'].map((version) =>
    forgePlain([
      [entry('usr/bin/same', 'same')],
      [entry('usr/bin/tool', version), entry(`etc/only-${version}`, version)],
    ]),
  );
  const page = join(scratchDirectory(), 'page.html');
  const { files, layers } = diff('--files', `--html=${page}`, ...images.map((each) => each.imgref));
  assert.deepEqual(
    files
      .filter(({ isDirectory }: { isDirectory: boolean }) => !isDirectory)
      .map(({ path, layer }: { path: string; layer: number }) => `${path} ${layer}`)
      .sort(),
    ['/etc/only-1 1', '/etc/only-2 1', '/usr/bin/tool 1'],
  );
  assert.deepEqual(
    layers.map(({ index }: { index: number }) => index),
    [1],
  );
  const html = readFileSync(page, 'utf8');
  assert.match(html, /<summary>3 files<.*\/usr\/bin\/tool: content, 1 B<.*\/etc\/only-1 removed</);
});

suite('diff compares', () => {
  test('commits, which REPO:REF or --repo names, folders and databases with each other', () => {
    const commits = diff(`${SAMPLE}/old:sample/os`, `${SAMPLE}/new:sample/os`);
    const byOption = diff('--repo', `${SAMPLE}/new`, `${SAMPLE}/old:sample/os`, 'sample/os');
    assert.deepEqual(byOption.packages, commits.packages);
    assert.ok(commits.packages.upgraded.length > 0);
    assert.ok(commits.files.length > 0);

    const database = buildDatabase([{ name: 'a', arch: 'x86_64', version: '2' }]);
    const root = folder({ 'usr/share/rpm/rpmdb.sqlite': database, 'usr/a': 'a' });
    const file = join(root, 'usr/share/rpm/rpmdb.sqlite');
    for (const [old, next] of [
      [root, file],
      [file, root],
      [file, dirname(file)],
    ] as const) {
      const report = diff(old, next);
      assert.deepEqual([report.packages.unchanged, report.files], [1, undefined], `${old} ${next}`);
    }
  });

  test('packages of pacman, and of several databases at once', () => {
    const desc = (version: string) =>
      `%NAME%\ntool\n\n%VERSION%\n${version}\n\n%ARCH%\nany\n\n%SIZE%\n5\n`;
    const rootOf = (version: string) =>
      folder({
        [`var/lib/pacman/local/tool-${version}/desc`]: desc(version),
        'var/lib/dpkg/status': dpkgStatus({ other: version }),
      });
    const { upgraded } = diff(rootOf('1-1'), rootOf('2-1')).packages;
    const names = upgraded.map(({ to }: { to: { nevra: string } }) => to.nevra);
    assert.deepEqual(names, ['other-2-1.amd64', 'tool-2-1.any']);
  });

  test('changelogs, if that is asked for', () => {
    const [old, next] = [`${SAMPLE}/old:sample/os`, `${SAMPLE}/new:sample/os`] as const;
    const expected = ostrata([
      'rpmdb',
      'diff',
      '--changelog',
      '--json',
      '--repo',
      `${SAMPLE}/new`,
      ...['sample/os', 'sample/os'],
    ]);
    assert.ok(expected.length > 0);
    const { upgraded } = diff('--changelog', old, next).packages;
    assert.ok(upgraded.some(({ changelog }: { changelog: unknown[] }) => changelog.length > 0));
    assert.match(ostrata(['diff', '--changelog', old, next]), /^ {2}\* /m);
  });
});

test('damaged packages are left out of diff, and make it fail after all others', async () => {
  const fixture = fixtureOf('bullseye-bdb');
  const [first, , , , second] = await packagesOf(fixture);
  assert.ok(first && second);
  const { database } = fixture.read();
  const damaged = breakFiles(breakHeader(database, first), second);
  const old = folder({ 'usr/share/rpm/Packages': damaged });
  const next = folder({
    'usr/share/rpm/rpmdb.sqlite': buildDatabase([{ name: 'fresh', arch: 'x86_64' }]),
  });
  const { status, stdout, stderr } = tryOstrata(['diff', '--json', old, next]);
  assert.equal(status, 1);
  assert.match(stderr, /the package database is damaged in 2 places/);
  const { packages, error } = JSON.parse(stdout);
  assert.equal(error.code, 'CORRUPT');
  assert.equal(packages.added.length, 1);
  const removed = packages.removed.map(({ nevra }: { nevra: string }) => nevra);
  assert.ok(removed.includes(second.nevra) && !removed.includes(first.nevra));
});

suite('the Markdown of diff', () => {
  let lines: readonly string[];
  before(() => {
    const packagesOf = (version: string) =>
      Array.from({ length: 3000 }, (_, i): [string, string] => [`package-${i}`, version]);
    const rootOf = (version: string) =>
      folder({ 'var/lib/dpkg/status': dpkgStatus(Object.fromEntries(packagesOf(version))) });
    lines = ostrata(['diff', '--markdown', rootOf('1'), rootOf('2')]).split('\n');
  });

  test('has one line for each package', () => {
    const rows = lines.filter((line) => line.startsWith('| package-7.amd64 '));
    assert.deepEqual(rows, ['| package-7.amd64 | upgraded | 1 | 2 |  |  |']);
  });

  test('stays below the limit of GitHub for summaries', () => {
    assert.ok(Buffer.byteLength(lines.join('\n')) < 1 << 20);
  });
});

suite('diff refuses', () => {
  const refused = (...args: readonly string[]) => {
    const { status, stderr, stdout } = tryOstrata(['diff', ...args]);
    assert.equal(stdout, '');
    return `${status} ${stderr.trim()}`;
  };

  test('what is no image, folder, commit or database', () => {
    assert.match(refused('/missing', '/'), /^1 error: \/missing: no such file or folder; an image/);
    const repo = `${SAMPLE}/old`;
    assert.match(refused(repo, repo), /^2 error: .* is an ostree repository: name a ref, .*:REF/);
  });

  test('to compare the files of a package database', () => {
    const file = join(folder({ 'rpmdb.sqlite': buildDatabase([]) }), 'rpmdb.sqlite');
    assert.match(
      refused('--files', file, file),
      /^2 error: --files: a package database has no files/,
    );
  });
});

test('versions are ordered as pacman and apk order them', () => {
  const listed = (kind: 'alpm' | 'apk', evr: string): ListedPackage => ({
    ...{ kind, evr, name: 'a', arch: 'x86_64', nevra: `a-${evr}.x86_64`, size: 0 },
  });
  const ascending = {
    alpm: ['1.0a-1', '1.0rc1-1', '1.0-1', '1.0-2', '1.0-10', '1.0.1-1', '2.0-1', '1:1.0-1'],
    apk: ['1.0_alpha1-r0', '1.0_rc1-r9', '1.0-r0', '1.0-r10', '1.0_p1-r0', '1.0.1-r0', '1.0.1a-r0'],
  };
  for (const kind of ['alpm', 'apk'] as const) {
    const packages = ascending[kind].map((evr) => listed(kind, evr));
    const sorted = packages.toReversed().sort(compareListed);
    assert.deepEqual(sorted, packages);
  }
});

test('directories that were added or removed are told from those that changed', () => {
  const tree = (directory: string, time: number) => {
    const root = folder({ 'usr/bin/tool': 'tool' });
    mkdirSync(join(root, directory));
    for (const path of ['usr/bin/tool', directory, 'usr/bin', 'usr', '.']) {
      utimesSync(join(root, path), 1000, 1000);
    }
    utimesSync(join(root, 'usr'), 1000, time);
    return root;
  };
  const filesLine = (old: string, next: string) =>
    /^files {2,}(.*)$/m.exec(ostrata(['diff', old, next]))?.[1];

  const one = tree('usr/one', 1000);
  const cause = 'directory /usr/two added; directory /usr/one removed';
  assert.equal(filesLine(one, tree('usr/two', 1000)), cause);
  assert.equal(filesLine(one, tree('usr/two', 2000)), `${cause}; the mtime of /usr changed`);
  assert.equal(filesLine(one, tree('usr/one', 2000)), 'only the mtime of /usr changed');

  const other = tree('usr/one', 2000);
  writeFileSync(join(other, 'usr/bin/tool'), 'TOOL');
  const counts = '1 changed, 0 added, 0 removed';
  assert.equal(filesLine(one, other), `${counts}; 1 directory differs`);
});
