// npm run bench [-- REPO REF]: what encapsulating one commit costs, one run each, against `tar | gzip -6` of the same bytes on
// the same machine. Without arguments the sample in rpmdb-fixtures, which is too small for more than a first look.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from '../root.js';

const MIB = 2 ** 20;
const program = join(repoRoot, 'dist/src/cli/main.js');
/** Loaded into the measured process: its worker threads count into its peak. */
const REPORT_PEAK =
  'data:text/javascript,process.on("exit",()=>console.error("peak KiB:",process.resourceUsage().maxRSS))';

interface Measurement {
  readonly seconds: number;
  readonly bytesOut: number;
  /** Bytes; undefined where it was not measured. */
  readonly peak?: number;
}

function measure(command: string, args: readonly string[]): { seconds: number; stdout: string; stderr: string } {
  const start = performance.now();
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: exit code ${status}\n${stderr}`);
  return { seconds, stdout, stderr };
}

function blobBytes(layout: string): number {
  const directory = join(layout, 'blobs/sha256');
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function encapsulate(repo: string, ref: string, layout: string, ...options: readonly string[]): Measurement {
  const call = ['container-encapsulate', `--repo=${repo}`, '--quiet', ...options, ref, `oci:${layout}:bench`];
  const { seconds, stderr } = measure(process.execPath, ['--import', REPORT_PEAK, program, ...call]);
  const peak = Number(/peak KiB: (\d+)/.exec(stderr)?.[1]) * 1024;
  return { seconds, bytesOut: blobBytes(layout), peak };
}

function tarGzip(layout: string): Measurement {
  const { seconds, stdout } = measure('sh', ['-c', 'tar -c -C "$1" blobs | gzip -6 | wc -c', 'sh', layout]);
  return { seconds, bytesOut: Number(stdout) };
}

const [repo = join(repoRoot, 'rpmdb-fixtures/sample/old'), ref = 'sample/os'] = process.argv.slice(2);
const scratch = mkdtempSync(join(tmpdir(), 'ostrata-bench-'));
try {
  const plain = join(scratch, 'none');
  const previous = `--previous-build=oci:${join(scratch, 'gzip')}:bench`;
  // The uncompressed image comes first: it warms the page cache, and its layers are the bytes that are compressed below.
  const rows: [string, Measurement][] = [
    ['ostrata, --compression=none', encapsulate(repo, ref, plain, '--compression=none')],
    ['ostrata, gzip', encapsulate(repo, ref, join(scratch, 'gzip'))],
    ['ostrata, gzip, --jobs=1', encapsulate(repo, ref, join(scratch, 'one-job'), '--jobs=1')],
    ['ostrata, rebuilt, nothing changed', encapsulate(repo, ref, join(scratch, 'again'), previous)],
    ['tar | gzip -6', tarGzip(plain)],
  ];
  const bytesIn = blobBytes(plain);
  console.log(`${ref} of ${repo}: ${(bytesIn / MIB).toFixed(1)} MiB of layers`);
  console.log(`Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown CPU'}\n`);
  console.log(
    `${''.padEnd(36)}${'seconds'.padStart(9)}${'MiB/s'.padStart(9)}${'MiB out'.padStart(9)}${'peak MiB'.padStart(10)}`,
  );
  for (const [name, { seconds, bytesOut, peak }] of rows) {
    const speed = (bytesIn / MIB / seconds).toFixed(1);
    const memory = peak === undefined ? '-' : (peak / MIB).toFixed(0);
    console.log(
      `${name.padEnd(36)}${seconds.toFixed(2).padStart(9)}${speed.padStart(9)}${(bytesOut / MIB).toFixed(1).padStart(9)}${memory.padStart(10)}`,
    );
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
