// npm run torture [-- KILLS SEED IMGREF]: pulls that are killed at random moments. After each the repository must be sound,
// what was complete must not be fetched again, and the next pull must be able to complete. Needs ostree.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repoRoot } from './support/root.js';

const program = join(repoRoot, 'dist/src/cli/main.js');
/** Until the program has started nothing is written. */
const START_MS = 150;

export interface TortureResult {
  readonly kills: number;
  readonly completed: number;
  /** Layers that a pull found complete from the one that was killed before. */
  readonly resumed: number;
}

/** Throws at the first sign of a repository that a kill has broken. @param imgref of an ostree image reference's form */
export async function torture(
  imgref: string,
  {
    kills,
    seed,
    mode,
    report,
  }: { kills: number; seed: number; mode: string; report: (line: string) => void },
): Promise<TortureResult> {
  const random = generator(seed);
  const scratch = mkdtempSync(join(tmpdir(), 'ostrata-torture-'));
  let killed = 0;
  let completed = 0;
  let resumed = 0;
  try {
    const whole = await pull(newRepo(scratch, mode), imgref);
    report(`a pull takes ${whole.milliseconds} ms`);
    while (killed < kills) {
      const repo = newRepo(scratch, mode);
      for (let done = false; !done; ) {
        const before = blobRefs(repo);
        // Short runs first, so that some are killed while the first layers land.
        const limit = killed < kills ? START_MS + random() * whole.milliseconds : undefined;
        const { result, signal } = await pull(repo, imgref, limit);
        ostree(repo, 'fsck', '--quiet');
        if (result === undefined) {
          if (signal !== 'SIGKILL') {
            throw new Error(`the pull ended with ${signal}`);
          }
          killed++;
          report(
            `kill ${killed}: after ${Math.round(limit as number)} ms, ${blobRefs(repo)} layers are complete`,
          );
          continue;
        }
        if (result.layersPresent < before) {
          throw new Error(`${before} layers were complete, ${result.layersPresent} used`);
        }
        resumed += result.layersPresent;
        completed++;
        done = true;
      }
      const left = readdirSync(join(repo, 'tmp')).filter((name) => name.startsWith('ostrata-'));
      if (left.length > 0) {
        throw new Error(`${left} left in ${repo}/tmp`);
      }
      if (readdirSync(join(repo, 'state')).length > 0) {
        throw new Error(`a partial commit is left in ${repo}`);
      }
      rmSync(repo, { recursive: true });
    }
    return { kills: killed, completed, resumed };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
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

/** Killed after `limit` milliseconds, if it has not ended before. */
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

/** mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Without an image given: the sample. */
function sampleImage(): string {
  const imgref = `oci:${mkdtempSync(join(tmpdir(), 'ostrata-torture-image-'))}/image:sample`;
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
  console.log(
    `${result.kills} kills, ${result.completed} pulls completed, ${result.resumed} layers not fetched again`,
  );
}
