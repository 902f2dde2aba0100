/**
 * npm run torture [-- KILLS SEED IMGREF]: pulls an image again and again and kills the pulls at
 * random moments. After each kill ostree must find no damage, no complete layer may be fetched
 * again, and a later pull must complete. Needs ostree.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repoRoot } from './support/root.js';
import { scratchDirectory } from './support/scratch.js';

const program = join(repoRoot, 'dist/src/cli/main.js');
/** Milliseconds in which the program starts and writes nothing yet. */
const START_MS = 150;

export interface TortureResult {
  readonly kills: number;
  readonly completed: number;
  /** The number of layers that a pull found complete after a killed one. */
  readonly resumed: number;
}

interface TortureOptions {
  readonly kills: number;
  readonly seed: number;
  /** The mode of the repositories that are pulled into. */
  readonly mode: string;
  readonly report: (line: string) => void;
  /** An image that each repository has before: the image is then pulled as its update. */
  readonly previous?: string | undefined;
}

/**
 * Kills pulls of the image at the ostree image reference `imgref`, at moments that depend on
 * `seed`. Throws at the first sign of a repository that a kill has damaged.
 */
export async function torture(imgref: string, options: TortureOptions): Promise<TortureResult> {
  const scratch = scratchDirectory();
  const random = generator(options.seed);
  const prepared = newRepo(scratch, options.mode);
  if (options.previous !== undefined) {
    await pull(prepared, options.previous);
  }
  const copyOfPrepared = () => {
    const repo = mkdtempSync(join(scratch, 'repo-'));
    // cpSync would lose extended attributes, where `bare-user` has owners and modes.
    spawnSync('cp', ['-a', '--reflink=auto', `${prepared}/.`, repo]);
    return repo;
  };
  const layersBefore = blobRefs(prepared);
  const { milliseconds } = await pull(copyOfPrepared(), imgref);
  options.report(`a pull takes ${milliseconds} ms`);

  let kills = 0;
  let completed = 0;
  let resumed = 0;
  while (kills < options.kills) {
    const repo = copyOfPrepared();
    for (;;) {
      const complete = blobRefs(repo) - layersBefore;
      const limit = kills < options.kills ? START_MS + random() * milliseconds : undefined;
      const layersPresent = await killedPull(repo, imgref, limit);
      ostree(repo, 'fsck', '--quiet');
      if (layersPresent !== undefined) {
        if (layersPresent < complete) {
          throw new Error(`${complete} layers were complete, but only ${layersPresent} were used`);
        }
        resumed += layersPresent;
        completed++;
        break;
      }
      kills++;
      const time = Math.round(limit ?? 0);
      options.report(
        `kill ${kills}: after ${time} ms, ${blobRefs(repo) - layersBefore} layers are complete`,
      );
    }
    assertNothingStaged(repo);
    rmSync(repo, { recursive: true });
  }
  return { kills, completed, resumed };
}

/** Returns the layers that were present, or undefined if the pull was killed. */
async function killedPull(
  repo: string,
  imgref: string,
  limit: number | undefined,
): Promise<number | undefined> {
  const { result, signal } = await pull(repo, imgref, limit);
  if (result === undefined && signal !== 'SIGKILL') {
    throw new Error(`the pull ended with ${signal}`);
  }
  return result?.layersPresent;
}

function assertNothingStaged(repo: string): void {
  const staged = readdirSync(join(repo, 'tmp')).filter((name) => name.startsWith('ostrata-'));
  if (staged.length > 0) {
    throw new Error(`${staged} left in ${repo}/tmp`);
  }
  if (readdirSync(join(repo, 'state')).length > 0) {
    throw new Error(`a partial commit is left in ${repo}`);
  }
}

function newRepo(scratch: string, mode: string): string {
  const repo = mkdtempSync(join(scratch, 'repo-'));
  ostree(repo, 'init', `--mode=${mode}`);
  mkdirSync(join(repo, 'state'), { recursive: true });
  return repo;
}

function ostree(repo: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('ostree', [`--repo=${repo}`, ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) {
    throw new Error(`ostree ${args.join(' ')}: ${stderr}`);
  }
  return stdout;
}

const blobRefs = (repo: string) =>
  ostree(repo, 'refs')
    .split('\n')
    .filter((ref) => ref.includes('/blob/')).length;

interface Run {
  readonly result: { readonly layersPresent: number } | undefined;
  readonly signal: string;
  readonly milliseconds: number;
}

/** Runs a pull to its end, or kills it after `limit` milliseconds. */
function pull(repo: string, imgref: string, limit?: number): Promise<Run> {
  const start = performance.now();
  const child = spawn(process.execPath, [
    program,
    'container',
    'image',
    'pull',
    '--json',
    repo,
    imgref,
  ]);
  const timer = limit === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), limit);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const milliseconds = Math.round(performance.now() - start);
      if (code === 0) {
        const result = JSON.parse(stdout.trim().split('\n').at(-1) as string);
        resolve({ result, signal: '', milliseconds });
      } else if (signal !== null) {
        resolve({ result: undefined, signal, milliseconds });
      } else {
        reject(new Error(`the pull failed: ${stderr}`));
      }
    });
  });
}

/** Returns a generator of numbers in [0, 1) by mulberry32, which are the same for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Encapsulates the sample, which is pulled if no image is given. */
function sampleImage(): string {
  const imgref = `oci:${scratchDirectory()}/image:sample`;
  const repo = join(repoRoot, 'rpmdb-fixtures/sample/old');
  const args = [
    program,
    'container-encapsulate',
    '--quiet',
    `--repo=${repo}`,
    '--max-layers=16',
    'sample/os',
    imgref,
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(stderr);
  }
  return imgref;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [kills = '100', seed = '1', image] = process.argv.slice(2);
  const imgref = image ?? `ostree-unverified-image:${sampleImage()}`;
  const options = {
    kills: Number(kills),
    seed: Number(seed),
    mode: 'bare-user',
    report: console.log,
  };
  console.log(`seed ${seed}, ${imgref}`);
  const result = await torture(imgref, options);
  const { completed, resumed } = result;
  console.log(
    `${result.kills} kills, ${completed} pulls completed, ${resumed} layers not fetched again`,
  );
}
