/** Runs programs and measures their time and memory. */
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

export interface Measurement {
  readonly seconds: number;
  /** Processor seconds (user and system) of the program and its children, if measured. */
  readonly cpu?: number | undefined;
  /** Memory in bytes of the largest process, if measured. */
  readonly peak?: number | undefined;
  readonly bytesOut?: number | undefined;
}

/** A module that prints the peak memory when Node ends; worker threads count into it. */
const REPORT_PEAK =
  'data:text/javascript,process.on("exit",' +
  '()=>console.error("peak KiB:",process.resourceUsage().maxRSS))';
/** A script whose `times` prints a line for the shell, then one for its children. */
const TIMED = '"$@"; status=$?; times >&2; exit $status';
const TIMES_LINE = /^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/gm;

/** Runs a program, which must succeed; `bytesOut` reads a number of bytes from its output. */
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
    peak: peak === undefined ? undefined : Number(peak) * 1024,
    bytesOut: bytes,
  };
}

/** Measures a run of Node. */
export function measureNode(
  args: readonly string[],
  bytesOut?: (stdout: string) => number | undefined,
): Measurement {
  return measure([process.execPath, '--import', REPORT_PEAK, ...args], bytesOut);
}

/** Measures a shell script with the arguments `$1`, `$2`, ...; it may print a number of bytes. */
export function measureShell(script: string, ...args: readonly string[]): Measurement {
  return measure(['sh', '-c', script, 'sh', ...args], (stdout) =>
    stdout.trim() === '' ? undefined : Number(stdout),
  );
}

/** Returns the total size of all blobs in an OCI image layout. */
export function blobBytes(layout: string): number {
  const directory = join(layout, 'blobs/sha256');
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
}

/** Returns the middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
