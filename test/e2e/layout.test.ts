/**
 * `ostrata layout` on a series of real rpmdbs; its predictions, compared with images that are
 * built.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import { RepoBuilder, type TreeSpec } from '../support/build-repo.js';
import { encapsulate, type Image, readLayer } from '../support/read-image.js';
import { repoRoot } from '../support/root.js';
import { ostrata, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

const series = join(repoRoot, 'rpmdb-fixtures/series/rpmdb');

suite('ostrata layout', () => {
  let scratch: string;
  before(() => {
    scratch = scratchDirectory();
  });

  const simulate = (...args: string[]) =>
    JSON.parse(ostrata(['layout', 'simulate', ...args, '--json', '--quiet'])).results as Record<
      string,
      number
    >[];

  test('simulate reads a folder of RPM databases', () => {
    const [few, enough, single] = [
      ...simulate(series, '--max-layers=5,17'),
      ...simulate(series, '--strategy=single'),
    ] as [Record<string, number>, Record<string, number>, Record<string, number>];
    assert.equal(few.updates, 4);
    // Each package has a subpackage NAME-libs of 0.1 MB. The kernel is in all updates, vim in
    // three, systemd in two, and glibc, bash and firmware in one.
    assert.equal(few.boundBytes, (4 * 90.1 + 3 * 2.1 + 2 * 20.1 + 30.1 + 7.1 + 150.1) * 1e6);
    assert.equal(enough.ratio, 1);
    assert.ok((few.ratio as number) > 1 && (few.ratio as number) < (single.ratio as number));
  });

  test('--html writes charts without external resources and without NaN', () => {
    for (const builds of [5, 2, 1]) {
      const folder = join(scratch, `series-${builds}`);
      mkdirSync(folder);
      for (const build of ['1', '2', '3', '4', '5'].slice(0, builds)) {
        copyFileSync(join(series, `${build}.sqlite`), join(folder, `${build}.sqlite`));
      }
      simulate(
        folder,
        '--max-layers=5',
        '--strategy=expected-download,single',
        `--html=${folder}.html`,
      );
      const html = readFileSync(`${folder}.html`, 'utf8');
      const drawings = [...html.matchAll(/role="img" aria-label="([^":;]*)/g)];
      const [last] = drawings.slice(-1);
      assert.match(last?.[1] ?? '', /^The 4 layers of the last build by size/);
      assert.equal(drawings.length, builds > 1 ? 3 : 1);
      assert.doesNotMatch(html, /NaN|Infinity|undefined|<script|https?:|(src|href)=/);
    }
  });

  test('plan and explain read a single RPM database', () => {
    const source = join(series, '1.sqlite');
    assert.match(
      ostrata(['layout', 'plan', source, '--max-layers=5']),
      /\n4 layers for 16 components, 309 MB; the image has one more, for the commit\n$/,
    );
    const text = ostrata([
      'layout',
      'explain',
      source,
      '--component=firmware.noarch',
      '--max-layers=5',
    ]);
    assert.match(
      text,
      /^firmware\.noarch: 150 MB, source package firmware\n {2}layer +\d of 4: 150 MB in 2 components\n/,
    );
  });

  test('explain of an image shows the layers that it has', () => {
    const image = `oci:${join(scratch, 'image')}`;
    const call = [
      'container-encapsulate',
      `--repo=${join(repoRoot, 'rpmdb-fixtures/sample/new')}`,
      '--max-layers=9',
    ];
    const { layers } = JSON.parse(ostrata([...call, '--quiet', '--json', 'sample/os', image])) as {
      layers: { components: string[] }[];
    };
    const at = layers.findIndex(({ components }) => components.includes('tzdata.noarch'));
    const text = ostrata(['layout', 'explain', image, '--component', 'tzdata', 'dir:/etc']);
    assert.match(text, new RegExp(`^tzdata\\.noarch: .*\n +layer +${at} of 8: `));
    assert.match(text, /\ndir:\/etc: /);
    assert.doesNotMatch(text, /\d of \d+ recorded update/);
  });

  /** Encapsulates each build after the previous one; clients fetch what `simulate` predicts. */
  function comparePrediction(
    name: string,
    builds: readonly { repo: string; ref: string }[],
    maxLayers: number,
    ...layoutOptions: readonly string[]
  ) {
    const directory = join(scratch, name);
    const images: Image[] = [];
    for (const [i, { repo, ref }] of builds.entries()) {
      const previous = images.slice(-1).map(({ reference }) => `--previous-build=${reference}`);
      const limit = `--max-layers=${maxLayers}`;
      const args = [limit, '--compression=none', ...layoutOptions, ...previous];
      images.push(
        encapsulate(repo, ref, directory, args, { tag: `${i}`, isVerified: false }).image,
      );
    }
    let fetched = 0;
    for (const [i, image] of images.entries()) {
      const before = new Set(images[i - 1]?.manifest.layers.map(({ digest }) => digest));
      for (const layer of i === 0
        ? []
        : image.manifest.layers.slice(1).filter(({ digest }) => !before.has(digest))) {
        fetched += contentOfTar(readLayer(image, layer));
      }
    }
    const components = join(directory, 'components');
    mkdirSync(components);
    for (const [i, { reference }] of images.entries()) {
      const file = join(components, `${i}.json`);
      ostrata(['layout', 'plan', reference, `--write-components=${file}`]);
    }
    const [predicted] = simulate(components, `--max-layers=${maxLayers}`, ...layoutOptions);
    assert.equal(predicted?.updates, builds.length - 1);
    assert.ok(fetched > 0);
    assert.equal(fetched, predicted?.bytes);
    return predicted;
  }

  test('simulate predicts the bytes of updates of packages', () => {
    const builds = ['old', 'new', 'old', 'new'].map((name) => ({
      repo: join(repoRoot, 'rpmdb-fixtures/sample', name),
      ref: 'sample/os',
    }));
    comparePrediction('sample', builds, 12);
  });

  test(
    'predicts what updates of these packages cost that nobody published',
    needs('ostree'),
    () => {
      const repo = join(scratch, 'sample-repo');
      const ostree = (...args: string[]) => run('ostree', [`--repo=${repo}`, ...args]).trim();
      ostree('init', '--mode=archive');
      ostree('pull-local', join(repoRoot, 'rpmdb-fixtures/sample/old'), 'sample/os');
      const updates: Readonly<Record<string, string>>[] = [
        { 'usr/bin/bash': 'a fix' },
        { 'usr/bin/bash': 'grown '.repeat(1e6), 'usr/lib/x86_64-linux-gnu/libc.so.6': 'shrunk' },
        { 'usr/share/added/data': 'unowned '.repeat(1e5), 'usr/bin/gzip': 'another' },
      ];
      const builds = [{ repo, ref: ostree('rev-parse', 'sample/os') }];
      for (const [i, update] of updates.entries()) {
        const changed = join(scratch, `update-${i}`);
        for (const [path, content] of Object.entries(update)) {
          mkdirSync(dirname(join(changed, path)), { recursive: true });
          writeFileSync(join(changed, path), content);
        }
        const trees = [`--tree=ref=${builds.at(-1)?.ref}`, `--tree=dir=${changed}`];
        const owner = ['--owner-uid=0', '--owner-gid=0'];
        builds.push({
          repo,
          ref: ostree(
            'commit',
            '--orphan',
            ...owner,
            '--no-bindings',
            '--subject=update',
            ...trees,
          ),
        });
      }
      comparePrediction('updates', builds, 12);
    },
  );

  test('a plan for a commit is also a plan for its image', () => {
    const repo = join(repoRoot, 'rpmdb-fixtures/sample/new');
    const { image } = encapsulate(repo, 'sample/os', join(scratch, 'image'));
    const components = (...source: string[]) => {
      const file = join(scratch, 'components.json');
      ostrata(['layout', 'plan', '--quiet', `--write-components=${file}`, ...source]);
      const build = JSON.parse(readFileSync(file, 'utf8')) as {
        components: Record<string, unknown>[];
      };
      return build.components;
    };
    assert.deepEqual(components(image.reference), components(`--repo=${repo}`, 'sample/os'));
  });

  test('simulate predicts updates whose components grow, come, go, split and are renamed', () => {
    const repo = new RepoBuilder('bare-user-only', '', scratch);
    // The sizes of /usr/share/NAME/data, one for each build.
    const sizes = [
      { a: 1000, b: 50_000, c: 700, d: 20_000, e: 3000 },
      { a: 10_001, b: 50_000, c: 700, d: 20_000, e: 3000 },
      { a: 10_001, b: 30_000, b2: 20_000, c: 700, d: 20_000, new: 90_000 },
      { a: 1002, b: 30_000, b2: 20_000, c: 700, new: 90_001, renamed: 20_000 },
    ];
    const builds = sizes.map((build) => {
      const folders = Object.entries(build).map(([name, size]): [string, TreeSpec] => [
        name,
        new Map([['data', `${name} `.repeat(size).slice(0, size)]]),
      ]);
      const ref = repo.commit(
        repo.tree(new Map([['usr', new Map([['share', new Map(folders)]])]])),
      );
      return { repo: repo.path, ref };
    });
    comparePrediction('synthetic', builds, 4);
  });

  test('simulate predicts updates of a component that is split by directory', () => {
    const repo = new RepoBuilder('bare-user-only', '', scratch);
    const folder = (name: string, size: number): [string, TreeSpec] => [
      name,
      new Map([['data', `${name} `.repeat(size).slice(0, size)]]),
    ];
    const small = Array.from({ length: 80 }, (_, i) => folder(`small${i + 10}`, 1000 + 10 * i));
    const vendors = ['amdgpu', 'brcm', 'intel', 'mrvl', 'qed', 'radeon'];
    // In each update other vendors change; one is new in the last.
    const builds = [[], ['amdgpu'], ['amdgpu', 'qed'], ['intel', 'ath10k']].map((changed, i) => {
      const names = i === 3 ? ['amdgpu', 'ath10k', ...vendors.slice(1)] : vendors;
      const firmware = names.map((name, k) =>
        folder(name, 30_000 + 1000 * k + (changed.includes(name) ? i : 0)),
      );
      const usr: TreeSpec = new Map([
        ['lib', new Map([['firmware', new Map(firmware)]])],
        ['share', new Map(small)],
      ]);
      return { repo: repo.path, ref: repo.commit(repo.tree(new Map([['usr', usr]]))) };
    });
    const split = comparePrediction('split', builds, 50);
    const whole = comparePrediction('whole', builds, 50, '--no-split');
    assert.ok(Number(split?.partBoundBytes) < Number(split?.boundBytes));
    assert.ok(Number(split?.bytes) < Number(whole?.bytes));
  });
});

const BLOCK = 512;
/** The directories and the `config` of the repository, which are in every layer. */
const SKELETON = { entries: 269, bytes: 269 * BLOCK + BLOCK };

/**
 * Returns the bytes of content objects in a layer, from the headers of its tar alone. The rest is
 * the skeleton, the end of the archive and, for each object, its xattrs, paths and parent
 * directories: a header and at most one block of xattrs, long names or padding. For small files
 * that is more than their content.
 */
function contentOfTar(tar: Buffer): number {
  let content = 0;
  let entries = 0;
  let position = 0;
  for (; tar[position] !== 0; entries++) {
    const name = tar.toString('latin1', position, position + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(tar.toString('latin1', position + 124, position + 135), 8);
    if (/objects\/..\/[0-9a-f]{62}\.file$/.test(name)) {
      content += size;
    }
    position += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  assert.equal(tar.length, position + 2 * BLOCK);
  const overhead = tar.length - content;
  assert.ok(
    overhead <= SKELETON.bytes + 2 * BLOCK + (entries - SKELETON.entries) * 2 * BLOCK,
    `${overhead}`,
  );
  return content;
}
