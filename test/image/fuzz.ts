/**
 * Changes images at random and holds all who read them to one verdict: `verify`, a pull, `ostree
 * fsck`, GNU tar and Python's tarfile. Each case must end soon in an image that all accept, or in
 * an error with a code after which the repository names nothing of the image.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { pullImage } from '../../src/client/pull.js';
import { OstrataError } from '../../src/errors.js';
import { verifyImage } from '../../src/image/verify.js';
import { silentLogger } from '../../src/log.js';
import { sha256Digest } from '../../src/oci/json.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openImage } from '../../src/transports/image-reference.js';
import { openCommitTree } from '../../src/tree/commit.js';
import { openImageTree } from '../../src/tree/image.js';
import type { Tree } from '../../src/tree/tree.js';
import { buildImage } from '../support/build-image.js';
import { dir } from '../support/build-repo.js';
import { type ForgedEntry, readEntries, readLayers } from '../support/forge-image.js';
import { filesBelow, importOptions, newRepo } from '../support/import-image.js';
import {
  countByGnuTar,
  listByPython,
  type PythonVerdict,
  writeTars,
} from '../support/judge-tar.js';
import { type BaseImage, type MutatedImage, mutateImage } from '../support/mutate-image.js';
import { pick, randomNumbers } from '../support/random-damage.js';
import { tryRun } from '../support/run.js';
import { needs } from '../support/tools.js';

/** What a bad image may end in. */
const ALLOWED_CODES = ['CORRUPT', 'LIMIT', 'UNSUPPORTED', 'NOT_FOUND'];
/**
 * What only `verify` refuses: a container would not have the files of the commit. A pull gives the
 * tree of the commit whatever paths the layers have, and does not even read layers that it reuses.
 */
const WRONG_PATH =
  /^(directory )?\/.* in the image(, not object \w+|( and not| more often than) in the commit)$/s;
/** Longer than any case takes on a loaded machine: an image has some 20 kB. */
const MAX_MILLISECONDS = 60_000;
/** Memory of the whole process with the workers of a pull. */
const MAX_RSS = 1 << 30;
/** Where refs of pulled images are. */
const IMAGE_REFS = 'refs/heads/ostree/container/image';
/** Cases whose archives are judged by one run of Python. */
const CASES_PER_BATCH = 100;

/** Cases that run at the same time: a pull waits for the start of its thread most of the time. */
const LANES = 4;

const isMissing = (tool: 'ostree' | 'tar' | 'python') => needs(tool).skip !== false;

export interface FuzzResult {
  readonly cases: number;
  readonly accepted: number;
  /** Images that were pulled, and that `verify` refused for their paths only. */
  readonly pulledOnly: number;
  readonly refused: number;
}

type Verdict = 'accepted' | 'pulled only' | 'refused';

/** What is left to judge of an image that was pulled. */
interface PulledImage extends MutatedImage {
  /** The name of the case, for messages. */
  readonly name: string;
}

/**
 * Runs `cases` cases, the first of which has the seed `seed` and the next one `seed + 1`. An
 * assertion fails with the seed of the case that breaks the promise.
 */
export async function fuzzImages(
  cases: number,
  seed: number,
  onProgress: (done: number) => void = () => {},
): Promise<FuzzResult> {
  const bases = await makeBases();
  const judged = new Set<string>();
  const verdicts: Verdict[] = [];
  for (let done = 0; done < cases; done += CASES_PER_BATCH) {
    const count = Math.min(CASES_PER_BATCH, cases - done);
    const batch = await readCases(bases, seed + done, count, verdicts);
    await judgeTars(batch, judged);

    const { rss } = process.memoryUsage();
    assert.ok(rss < MAX_RSS, `${count} cases from seed ${seed + done}: ${rss} bytes of memory`);
    onProgress(done + count);
  }
  const countOf = (wanted: Verdict) => verdicts.filter((each) => each === wanted).length;
  return {
    cases,
    accepted: countOf('accepted'),
    pulledOnly: countOf('pulled only'),
    refused: countOf('refused'),
  };
}

/**
 * Reads `count` images, some at the same time. Returns those that were pulled.
 * @param verdicts gets the verdict of each image
 */
async function readCases(
  bases: readonly BaseImage[],
  seed: number,
  count: number,
  verdicts: Verdict[],
): Promise<readonly PulledImage[]> {
  const pulled: PulledImage[] = [];
  let next = seed;
  const readInTurn = async () => {
    while (next < seed + count) {
      const own = next++;
      const random = randomNumbers(own);
      const image = mutateImage(pick(bases, random), random);
      const name = `seed ${own}, changed ${image.change}`;
      const verdict = await soon(readEverywhere(image, name), name);
      verdicts.push(verdict);
      if (verdict !== 'refused') {
        pulled.push({ ...image, name });
      }
      rmSync(dirname(image.directory), { recursive: true });
    }
  };
  await Promise.all(Array.from({ length: LANES }, readInTurn));
  return pulled;
}

/** Images of each kind, taken apart. */
async function makeBases(): Promise<readonly BaseImage[]> {
  const tree = dir({
    etc: dir({ conf: 'configured' }),
    usr: dir({
      first: { content: 'first', xattrs: new Map([['user.a', Buffer.from('1')]]) },
      link: { target: 'first' },
      sub: dir({ other: 'x'.repeat(2000), setuid: { content: 'su', mode: 0o4755 } }),
    }),
    var: dir({}),
  });
  const derived: readonly ForgedEntry[] = [
    { name: 'usr', type: 'directory', mode: 0o755 },
    { name: 'usr/added', type: 'file', content: Buffer.from('added') },
    { name: 'usr/hard', type: 'link', linkname: 'usr/added' },
    { name: 'usr/soft', type: 'symlink', linkname: '../etc/conf' },
    { name: 'usr/.wh.first', type: 'file' },
    { name: 'etc/conf', type: 'file', content: Buffer.from('changed'), mode: 0o600, uid: 7 },
    { name: 'usr/sub/.wh..wh..opq', type: 'file' },
  ];
  const bases: BaseImage[] = [];
  for (const formatVersion of [1, 2] as const) {
    const { image } = await buildImage(tree, { formatVersion });
    const layers = await readLayers(image);
    const config = await image.config();
    const base = { layers, commitLayers: layers.length, config };
    bases.push(base, { ...base, layers: [...layers, derived] });
  }
  const lower: readonly ForgedEntry[] = [
    { name: 'usr/first', type: 'file', content: Buffer.from('first') },
    { name: 'usr/sub', type: 'directory', mode: 0o700, uid: 5 },
    { name: 'usr/sub/other', type: 'file', content: Buffer.alloc(2000, 'x') },
    { name: `usr/${'long/'.repeat(40)}name`, type: 'file' },
  ];
  const config = { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers' } };
  const plain = Buffer.from(JSON.stringify(config));
  bases.push({ layers: [lower, derived], commitLayers: 0, config: plain });
  return bases;
}

/** Fails, naming the case, if it takes too long. */
async function soon<T>(work: Promise<T>, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    const fail = () => reject(new Error(`${name}: not ended after ${MAX_MILLISECONDS} ms`));
    timer = setTimeout(fail, MAX_MILLISECONDS);
  });
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}

/** Verifies and pulls an image, which must agree but for {@link WRONG_PATH}. */
async function readEverywhere({ imgref }: MutatedImage, name: string): Promise<Verdict> {
  const repo = newRepo();
  const verified = await refusal(`${name}, verify`, async () => {
    await verifyImage(await openImage(imgref), silentLogger);
  });
  const pulled = await refusal(`${name}, pull`, async () => {
    const { mergeCommit } = await pullImage(importOptions(repo, imgref, 1));
    if (verified === undefined) {
      await compareTrees(imgref, openCommitTree(openRepo(repo), mergeCommit), name);
    }
  });
  checkRepo(repo, pulled === undefined, name);
  rmSync(repo, { recursive: true });

  if (pulled === undefined && verified !== undefined && WRONG_PATH.test(verified)) {
    return 'pulled only';
  }
  const both = `verify: ${verified ?? 'accepted'}\npull: ${pulled ?? 'accepted'}`;
  assert.equal(pulled === undefined, verified === undefined, `${name}:\n${both}`);
  return pulled === undefined ? 'accepted' : 'refused';
}

/** The files that were pulled are those that a container of the image has. */
async function compareTrees(imgref: string, merged: Tree, name: string): Promise<void> {
  const container = await openImageTree(await openImage(imgref), silentLogger);
  const labeled = pathsWithLabels(container);
  assert.deepEqual(filesOf(merged, labeled), filesOf(container, labeled), `${name}, tree`);
}

/** The files whose label a pull drops, which changes their checksums. */
function pathsWithLabels({ files }: Tree): ReadonlySet<string> {
  const labeled = [...files].filter(({ xattrs }) => xattrs.has('security.selinux'));
  return new Set(labeled.map(({ path }) => path));
}

/**
 * The files and symlinks of a tree by path. Those outside `/usr` are left out because a commit has
 * its own places for them, and directories because they keep their metadata in a commit. The
 * content is a checksum that covers owner, mode and xattrs, or the size of a file with a label.
 */
function filesOf({ files }: Tree, labeled: ReadonlySet<string>): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>();
  for (const entry of files) {
    const isCompared = /^\/usr\/(?!etc\/)/.test(entry.path);
    if (isCompared && entry.type !== 'directory') {
      const { type, uid, gid } = entry;
      const checksum = labeled.has(entry.path) ? entry.size : entry.checksum;
      const content = entry.type === 'symlink' ? entry.target : checksum;
      found.set(entry.path, { type, uid, gid, content });
    }
  }
  return found;
}

/** Nothing is staged, only an accepted image has a ref, and ostree finds no damage. */
function checkRepo(repo: string, isAccepted: boolean, name: string): void {
  assert.deepEqual(filesBelow(join(repo, 'tmp')), [], `${name}: files in tmp`);
  const refs = filesBelow(join(repo, IMAGE_REFS));
  assert.equal(refs.length, Number(isAccepted), `${name}: refs of the image`);
  if (!isMissing('ostree')) {
    const { status, stderr } = tryRun('ostree', [`--repo=${repo}`, 'fsck', '--quiet']);
    assert.equal(status, 0, `${name}, ostree fsck: ${stderr}`);
  }
}

/** The message of the error that `read` ends in, which must have a code; undefined for none. */
async function refusal(name: string, read: () => Promise<void>): Promise<string | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    const isOurs = error instanceof OstrataError && ALLOWED_CODES.includes(error.code);
    assert.ok(isOurs, `${name}: ${(error as Error).stack}`);
    return error.message;
  }
}

/**
 * Every layer that was pulled must be read by others, who must find the same entries.
 * @param judged digests of layers that need not be judged again
 */
async function judgeTars(images: readonly PulledImage[], judged: Set<string>): Promise<void> {
  const all = images.flatMap(({ tars, name }) =>
    tars.map((tar, i) => ({ tar, digest: sha256Digest(tar), name: `${name}, layer ${i}` })),
  );
  const layers = all.filter(({ digest }) => !judged.has(digest) && judged.add(digest));
  const paths = writeTars(layers.map(({ tar }) => tar));
  const python = isMissing('python') ? [] : listByPython(paths);
  for (const [i, { tar, name }] of layers.entries()) {
    const entries = await readEntries([tar]);
    if (!isMissing('tar')) {
      const count = countByGnuTar(paths[i] ?? '');
      assert.deepEqual(count, entries.length, `${name}, GNU tar`);
    }
    const listed = python[i];
    if (listed !== undefined) {
      comparePython(entries, listed, name);
    }
  }
}

/**
 * Python adds the prefix field to every name; GNU tar, Go and we do so only if the magic is that of
 * ustar, because GNU headers keep other data there.
 */
function comparePython(entries: readonly ForgedEntry[], listed: PythonVerdict, name: string): void {
  assert.ok('length' in listed, `${name}, tarfile: ${JSON.stringify(listed)}`);
  const ours = entries.map(pythonEntry);
  const theirs = listed.map((entry, i) => {
    const known = ours[i]?.name ?? '';
    return entry.name.endsWith(`/${known}`) ? { ...entry, name: known } : entry;
  });
  const differing = ours.findIndex((entry, i) => !isDeepStrictEqual(entry, theirs[i]));
  assert.deepEqual(ours[differing], theirs[differing], `${name}, entry ${differing} of tarfile`);
  assert.equal(ours.length, theirs.length, `${name}, entries of tarfile`);
}

/** An entry as Python would list it; it leaves out all slashes at the end of a name. */
function pythonEntry(entry: ForgedEntry) {
  const { name, type, mode, uid, gid, size, linkname = '' } = entry;
  const trimmed = name.replace(/\/+$/, '');
  return { name: latin1(trimmed), type, mode, uid, gid, size, linkname: latin1(linkname) };
}

const latin1 = (text: string) => Buffer.from(text).toString('latin1');
