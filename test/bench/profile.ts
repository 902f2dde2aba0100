// npm run profile [-- REPO REF [OPTION...]]: profiles one encapsulation without a cache and prints
// the functions that take the most time. The profiles, one of each thread, are in dist/profile, for
// any viewer of .cpuprofile files such as the developer tools of Chrome.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { repoRoot } from '../support/root.js';

/** The number of functions that are listed for each thread. */
const LISTED = 25;
const directory = join(repoRoot, 'dist/profile');

/** https://chromedevtools.github.io/devtools-protocol/tot/Profiler/#type-Profile */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[];
}

/** Milliseconds spent in each function itself, the most expensive first. */
function selfTimes({
  nodes,
  samples,
  timeDeltas,
}: CpuProfile): [name: string, milliseconds: number][] {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'}  ${basename(url)}${url === '' ? '' : `:${lineNumber + 1}`}`,
    ]),
  );
  const times = new Map<string, number>();
  for (const [i, sample] of samples.entries()) {
    const name = names.get(sample) as string;
    times.set(name, (times.get(name) ?? 0) + (timeDeltas[i] as number) / 1000);
  }
  return [...times].sort(([, a], [, b]) => b - a);
}

const [repo = join(repoRoot, 'rpmdb-fixtures/sample/old'), ref = 'sample/os', ...options] =
  process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'ostrata-profile-'));
try {
  rmSync(directory, { recursive: true, force: true });
  const program = join(repoRoot, 'dist/src/cli/main.js');
  const call = [
    'container-encapsulate',
    `--repo=${repo}`,
    '-q',
    '--no-cache',
    ...options,
    ref,
    `oci:${scratch}/image`,
  ];
  const profiling = ['--cpu-prof', `--cpu-prof-dir=${directory}`];
  const { status } = spawnSync(process.execPath, [...profiling, program, ...call], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) {
    process.exit(1);
  }
} finally {
  rmSync(scratch, { recursive: true });
}
for (const file of readdirSync(directory).sort()) {
  console.log(`\ndist/profile/${file}`);
  const times = selfTimes(JSON.parse(readFileSync(join(directory, file), 'utf8')) as CpuProfile);
  for (const [name, milliseconds] of times.slice(0, LISTED)) {
    console.log(`${milliseconds.toFixed(0).padStart(8)} ms  ${name}`);
  }
}
