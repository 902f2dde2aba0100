/** npm run demo: encapsulates the two builds of rpmdb-fixtures/sample, as a user would. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from './support/root.js';
import { scratchDirectory } from './support/scratch.js';

const DEMO_DIR = 'dist/demo';
const program = join(repoRoot, 'dist/src/cli/main.js');

/** An empty layer cache, because the demo shows a first build. */
const cache = scratchDirectory();

/** Prints a call and its output; ends the demo if the call fails. */
function ostrata(...args: string[]): void {
  console.log(`\n$ ostrata ${args.join(' ')}`);
  const env = { ...process.env, XDG_CACHE_HOME: cache };
  const { status, error } = spawnSync(process.execPath, [program, ...args], {
    cwd: repoRoot,
    env,
    stdio: 'inherit',
  });
  if (error) {
    throw error;
  }
  if (status !== 0) {
    console.error(`demo: ostrata ended with exit code ${status}`);
    process.exit(1);
  }
}

interface Descriptor {
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Reads the layers of an image as a client does: first the index, then the manifest. */
function layersOf(tag: string): readonly Descriptor[] {
  const read = (name: string) => JSON.parse(readFileSync(join(repoRoot, DEMO_DIR, name), 'utf8'));
  const { manifests } = read('index.json') as { manifests: Descriptor[] };
  const entry = manifests.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag,
  );
  if (!entry) {
    throw new Error(`${DEMO_DIR}/index.json has no tag ${tag}`);
  }
  return read(`blobs/${entry.digest.replace(':', '/')}`).layers;
}

const bytes = (layers: readonly Descriptor[]) => layers.reduce((sum, { size }) => sum + size, 0);

rmSync(join(repoRoot, DEMO_DIR), { recursive: true, force: true });
mkdirSync(join(repoRoot, DEMO_DIR), { recursive: true });

console.log('# A build of a small operating system becomes an image of at most 16 layers:');
const sample = 'rpmdb-fixtures/sample';
const limit = '--max-layers=16';
ostrata('container-encapsulate', `--repo=${sample}/old`, limit, 'sample/os', `oci:${DEMO_DIR}:old`);

console.log('\n# The next build has security fixes and a new kernel.');
console.log('# Layers without a changed package stay as they are:');
const previous = `--previous-build=oci:${DEMO_DIR}:old`;
ostrata(
  'container-encapsulate',
  `--repo=${sample}/new`,
  limit,
  previous,
  'sample/os',
  `oci:${DEMO_DIR}:new`,
);

console.log('\n# verify recomputes every digest, size and label:');
ostrata('verify', `oci:${DEMO_DIR}:new`);

console.log('\n# diff says how large the update is, and why; the page is for release notes:');
const page = '--html=dist/update.html';
ostrata('diff', page, `oci:${DEMO_DIR}:old`, `oci:${DEMO_DIR}:new`);

const old = new Set(layersOf('old').map(({ digest }) => digest));
const layers = layersOf('new');
const fetched = layers.filter(({ digest }) => !old.has(digest));
const percent = ((100 * bytes(fetched)) / bytes(layers)).toFixed(1);
console.log(
  `\nA client that has the old image downloads ${fetched.length} of ${layers.length} layers: ` +
    `${bytes(fetched)} of ${bytes(layers)} bytes (${percent} %).`,
);
console.log(
  `The images are in ${join(repoRoot, DEMO_DIR)}, tags old and new. ` +
    `Try: skopeo inspect oci:${DEMO_DIR}:new`,
);
