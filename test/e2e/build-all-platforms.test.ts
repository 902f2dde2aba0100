/** `build --all-platforms`: an index of images is built again as an index of images. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { blobPath } from '../../src/oci/image-layout.js';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import { startRegistry } from '../support/docker-registry.js';
import { addIndex, type IndexEntry, readIndex } from '../support/index-layout.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

interface Report {
  readonly reference: string;
  readonly manifestDigest: string;
  readonly warnings: readonly string[];
  readonly images: readonly {
    readonly platform: string;
    readonly manifestDigest: string;
    readonly layers: readonly { readonly digest: string; readonly reused: boolean }[];
    readonly update?: { readonly layers: number };
  }[];
}

const PLATFORMS: readonly Readonly<Record<string, string>>[] = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64', variant: 'v8' },
];
const INDEX_ANNOTATIONS = { 'org.opencontainers.image.title': 'os' };

function buildAll(...args: readonly string[]): Report {
  return JSON.parse(ostrata(['build', '--all-platforms', '--json', ...args]));
}

const digests = ({ images }: Report) => images.map(({ manifestDigest }) => manifestDigest);

/** Writes an image for each platform; returns how an index lists them. */
function makeImages(layout: string, content: string): readonly IndexEntry[] {
  return PLATFORMS.map((platform) => {
    const { architecture = '' } = platform;
    const root = join(scratchDirectory(), 'root');
    for (const folder of ['usr/lib', 'usr/share', 'opt']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    writeFileSync(join(root, 'usr/lib/arch'), architecture.repeat(100_000));
    writeFileSync(join(root, 'usr/share/common'), Buffer.alloc(3_000_000, 'common'));
    writeFileSync(join(root, 'opt/content'), content.repeat(500_000));
    const tag = `${architecture}-${content}`;
    ostrata(['build', '--rootfs', root, '--arch', architecture, `oci:${layout}:${tag}`]);
    const entry = readIndex(layout).manifests.at(-1);
    assert.ok(entry);
    return { ...entry, platform };
  });
}

suite('an index that is built again', () => {
  let scratch: string;
  let layout: string;
  let images: readonly IndexEntry[];
  before(() => {
    scratch = scratchDirectory();
    layout = join(scratch, 'layout');
    images = makeImages(layout, 'a');
    addIndex(layout, 'in', images, INDEX_ANNOTATIONS);
    addIndex(layout, 'next', makeImages(layout, 'b'), INDEX_ANNOTATIONS);
  });

  test('is an index of the images that each platform gives by itself', () => {
    const target = join(scratch, 'out');
    const from = `--from=oci:${layout}:in`;
    const report = buildAll(from, `oci:${target}:x`);
    assert.deepEqual(
      report.images.map(({ platform }) => platform),
      ['linux/amd64', 'linux/arm64/v8'],
    );
    const alone = ['amd64', 'arm64'].map((architecture) => {
      const args = [from, '--json', `--platform=linux/${architecture}`];
      return JSON.parse(ostrata(['build', ...args, `oci:${scratch}/${architecture}`]));
    });
    assert.deepEqual(
      digests(report),
      alone.map(({ manifestDigest }) => manifestDigest),
    );

    const index = readIndex(target, 'x');
    assert.deepEqual(
      index.manifests.map(({ platform }) => platform),
      PLATFORMS,
    );
    assert.deepEqual(index.annotations, INDEX_ANNOTATIONS);
    assert.ok(existsSync(join(target, blobPath(report.manifestDigest))));
    for (const architecture of ['amd64', 'arm64']) {
      ostrata(['verify', `--platform=linux/${architecture}`, `oci:${target}:x`]);
    }
    const again = buildAll(from, '--jobs=1', `oci-archive:${scratch}/out.tar:x`);
    assert.equal(again.manifestDigest, report.manifestDigest, 'the same index every time');
    const ofArchive = buildAll(`--from=oci-archive:${scratch}/out.tar:x`, '--dry-run', 'oci:none');
    assert.equal(ofArchive.images.length, 2);
    assert.equal(ofArchive.manifestDigest, undefined);
  });

  test('follows for each platform the previous image for it', () => {
    const target = `oci:${join(scratch, 'updated')}:x`;
    buildAll(`--from=oci:${layout}:in`, '--previous-build=auto', target);
    const { images, warnings } = buildAll(
      `--from=oci:${layout}:next`,
      '--previous-build=auto',
      target,
    );
    assert.doesNotMatch(warnings.join(), /has no image/);
    for (const { update, layers } of images) {
      assert.equal(update?.layers, layers.filter(({ reused }) => !reused).length);
      assert.ok(layers.some(({ reused }) => reused));
      assert.ok(layers.some(({ reused }) => !reused));
    }
  });

  test('plans a platform anew that the previous index does not have', () => {
    addIndex(layout, 'only', images.slice(0, 1));
    const previous = `--previous-build=oci:${layout}:only`;
    const report = buildAll(`--from=oci:${layout}:in`, previous, `oci:${scratch}/grown`);
    const [amd64, arm64] = report.images.map(({ update }) => update !== undefined);
    assert.deepEqual([amd64, arm64], [true, false]);
    assert.match(report.warnings.join(), /only has no image for linux\/arm64\/v8/);
  });

  test('keeps the layers of the base for each platform', () => {
    const [base] = ['in'].map((tag) => `--base=oci:${layout}:${tag}`);
    const report = buildAll(`--from=oci:${layout}:in`, base ?? '', `oci:${scratch}/on-base`);
    const ofIndex = report.images.map(({ layers }) => layers.map(({ digest }) => digest));
    const ofBase = images.map(({ digest }) => layersOf(layout, digest));
    assert.deepEqual(ofIndex, ofBase);
  });

  test('loses its attestations and second images for a platform, with a warning', () => {
    const [first, second] = images;
    assert.ok(first && second);
    const attestation = {
      ...first,
      platform: { os: 'unknown', architecture: 'unknown' },
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    };
    addIndex(layout, 'buildkit', [first, attestation, first, second, attestation]);
    const report = buildAll(`--from=oci:${layout}:buildkit`, '--dry-run', 'oci:none');
    assert.deepEqual(
      report.images.map(({ platform }) => platform),
      ['linux/amd64', 'linux/arm64/v8'],
    );
    const warnings = report.warnings.join('\n');
    assert.match(warnings, /2 attestations about its images are left out/);
    assert.match(warnings, /is left out, a further image for linux\/amd64/);
  });

  test('leaves nothing where it would be if one platform fails', () => {
    const damaged = join(scratch, 'damaged');
    run('cp', ['-a', layout, damaged]);
    const [first = [], second = []] = images.map(({ digest }) => layersOf(damaged, digest));
    const [layer = ''] = second.filter((each) => !first.includes(each));
    rmSync(join(damaged, blobPath(layer)));
    const target = join(scratch, 'failed');
    mkdirSync(target);
    const spool = join(scratch, 'spool');
    mkdirSync(spool);
    for (const imgref of [`oci:${target}/layout`, `oci-archive:${target}/archive`]) {
      const args = ['--all-platforms', `--from=oci:${damaged}:in`, `--spool=${spool}`, imgref];
      const { status, stderr } = tryOstrata(['build', ...args]);
      assert.match(stderr, /error: linux\/arm64\/v8: reading oci:/);
      assert.equal(status, 1);
      assert.deepEqual(readdirSync(target), []);
      assert.deepEqual(readdirSync(spool), []);
    }
  });

  test('must be one, and goes where an index can be', () => {
    const image = `oci:${layout}:amd64-a`;
    const refusals: readonly (readonly [args: readonly string[], message: RegExp, code: number])[] =
      [
        [[`--from=${image}`, 'oci:nowhere'], /is one image and not an index of several/, 1],
        [
          [`--from=oci:${layout}:in`, 'dir:nowhere'],
          /dir:nowhere: .* several can be in registry:/,
          1,
        ],
        [['--from=dir:in', 'oci:nowhere'], /dir:in: .* several can be in registry:/, 1],
        [['--from=tar:-', 'oci:nowhere'], /--all-platforms needs --from IMGREF/, 2],
        [['--rootfs=/', 'oci:nowhere'], /--all-platforms needs --from IMGREF/, 2],
        [[`--from=${image}`, '--platform=linux/arm64', 'oci:nowhere'], /cannot be used with/, 2],
      ];
    for (const [args, message, code] of refusals) {
      const { status, stderr } = tryOstrata(['build', '--all-platforms', ...args], {
        cwd: scratch,
      });
      assert.match(stderr, message);
      assert.equal(status, code);
    }
    assert.equal(existsSync(join(scratch, 'nowhere')), false);
  });

  test('may not list anything but images with a platform', () => {
    const [first] = images;
    assert.ok(first);
    const entries: readonly (readonly [IndexEntry[], RegExp])[] = [
      [[{ ...first, platform: undefined }], /its entry sha256:.* is no image with a platform/],
      [[{ ...first, mediaType: 'text/plain' }], /\(text\/plain\) is no image with a platform/],
      [[], /the index has no image/],
    ];
    for (const [i, [list, message]] of entries.entries()) {
      addIndex(layout, `odd${i}`, list);
      const args = ['--all-platforms', `--from=oci:${layout}:odd${i}`, 'oci:none'];
      const { status, stderr } = tryOstrata(['build', ...args]);
      assert.match(stderr, message);
      assert.equal(status, 1);
    }
  });

  test(
    'goes from registry to registry, and skopeo copies it',
    needs('docker-registry', 'skopeo'),
    async (t) => {
      const registry = await startRegistry(join(scratch, 'registry'));
      t.after(() => registry.stop());
      const reference = (tag: string) => `docker://${registry.host}/os:${tag}`;
      const skopeo = (...args: readonly string[]) => run('skopeo', ['--insecure-policy', ...args]);
      const plainHttp = ['--src-tls-verify=false', '--dest-tls-verify=false'];
      skopeo('copy', '--all', ...plainHttp, `oci:${layout}:in`, reference('raw'));

      const args = [`--from=${reference('raw')}`, '--previous-build=auto', reference('latest')];
      const report = buildAll(...args);
      const raw = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', reference('latest')));
      assert.deepEqual(
        raw.manifests.map(({ digest, mediaType }: IndexEntry) => ({ digest, mediaType })),
        digests(report).map((digest) => ({ digest, mediaType: OCI_MANIFEST })),
      );
      assert.equal(buildAll(...args).manifestDigest, report.manifestDigest);
      const target = join(scratch, 'copied');
      skopeo('copy', '--all', ...plainHttp, reference('latest'), `oci:${target}:x`);
      assert.deepEqual(readIndex(target, 'x'), raw);
    },
  );

  test('gives podman the image of the platform that it asks for', needs('podman', 'root'), () => {
    const storage = join(scratch, 'storage');
    const folders = [
      '--root',
      storage,
      '--runroot',
      `${storage}-run`,
      '--tmpdir',
      `${storage}-tmp`,
    ];
    const options = [...folders, '--storage-driver=vfs'];
    const podman = (...args: readonly string[]) =>
      run('podman', [...options, ...args], { cwd: scratch }).trim();
    // podman makes a name of the path, in which capital letters are not allowed.
    const target = 'oci:pulled:x';
    buildAll(`--from=oci:${layout}:in`, target.replace(':', `:${scratch}/`));
    for (const architecture of ['amd64', 'arm64']) {
      const image = podman('pull', '--quiet', `--platform=linux/${architecture}`, target);
      assert.equal(podman('inspect', '--format={{.Architecture}}', image), architecture);
    }
    podman('rmi', '--all', '--force');
  });
});

function layersOf(layout: string, manifest: string): readonly string[] {
  const text = run('cat', [join(layout, blobPath(manifest))]);
  return JSON.parse(text).layers.map(({ digest }: IndexEntry) => digest);
}
