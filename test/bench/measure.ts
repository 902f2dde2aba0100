/** Runs programs and tells what they took. */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Measurement {
  readonly seconds: number;
  /** Processor seconds, user and system, of the program and all it started; undefined where they were not measured. */
  readonly cpu?: number;
  /** Bytes of the largest process; undefined where it was not measured. */
  readonly peak?: number;
  readonly bytesOut?: number;
}

/** Loaded into a measured Node and into its worker threads, which count into its peak; it ends last. */
const REPORT_PEAK =
  'data:text/javascript,process.on("exit",()=>console.error("peak KiB:",process.resourceUsage().maxRSS))';
/** `times` of a shell: its own line, then that of the processes that it waited for. */
const TIMED = '"$@"; status=$?; times >&2; exit $status';
const TIMES_LINE = /^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/gm;

/** Runs a program to its end, which must be a success; what it prints is for `bytesOut`. */
export function measure(
  command: readonly string[],
  bytesOut: (stdout: string) => number | undefined = () => undefined,
): Measurement {
  const start = performance.now();
  const { status, error, stdout, stderr } = spawnSync('sh', ['-c', TIMED, 'sh', ...command], {
    encoding: 'utf8',
  });
  const seconds = (performance.now() - start) / 1000;
  if (error) {
    throw error;
  }
  if (status !== 0) {
    throw new Error(`${command.join(' ')}: exit code ${status}\n${stderr}`);
  }
  const [, minutes, userSeconds, systemMinutes, systemSeconds] =
    [...stderr.matchAll(TIMES_LINE)].at(-1) ?? [];
  const cpu =
    60 * (Number(minutes) + Number(systemMinutes)) + Number(userSeconds) + Number(systemSeconds);
  const peak = [...stderr.matchAll(/^peak KiB: (\d+)$/gm)].at(-1)?.[1];
  const bytes = bytesOut(stdout);
  return {
    seconds,
    cpu,
    ...(peak !== undefined && { peak: Number(peak) * 1024 }),
    ...(bytes !== undefined && { bytesOut: bytes }),
  };
}

export function measureNode(
  args: readonly string[],
  bytesOut?: (stdout: string) => number | undefined,
): Measurement {
  return measure([process.execPath, '--import', REPORT_PEAK, ...args], bytesOut);
}

/** A shell script with `$1`, `$2`, ... */
export function measureShell(script: string, ...args: readonly string[]): Measurement {
  return measure(['sh', '-c', script, 'sh', ...args], (stdout) =>
    stdout.trim() === '' ? undefined : Number(stdout),
  );
}

export function blobBytes(layout: string): number {
  const directory = join(layout, 'blobs/sha256');
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
