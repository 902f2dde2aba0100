// node dist/test/bench/rpmdb.js [DATABASE...]: what a dump of a package database costs, beside `rpm -qa` with the same fields.
// Without arguments, databases of 767 packages and of 100 MB are made of the headers of the sample in rpmdb-fixtures.
import { spawn } from 'node:child_process';
import {
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import initSqlJs from 'sql.js';
import { openTreeRpmdb } from '../../plugins/rpm/rpmdb/index.js';
import { openRepo } from '../../src/ostree/repo.js';
import { lookupCommit } from '../../src/tree/commit-lookup.js';
import { repoRoot } from '../root.js';

const MIB = 2 ** 20;
const RUNS = 3;
/** Often enough for the peak of the shortest run. */
const POLL_MS = 5;
const program = join(repoRoot, 'dist/src/cli/main.js');
const FIELDS =
  '%{NEVRA}\\t%{SOURCERPM}\\t%{LONGSIZE}\\t%{BUILDTIME}\\t[%{CHANGELOGTIME},]\\n' +
  '[%{FILENAMES}\\t%{LONGFILESIZES}\\t%{FILEMODES}\\t%{FILEDIGESTS}\\t%{FILEFLAGS}\\t%{FILEUSERNAME}\\t%{FILEGROUPNAME}\\t' +
  '%{FILELINKTOS}\\t%{FILESTATES}\\n]';

/** The best of some runs. */
export interface RpmdbRow {
  readonly name: string;
  readonly seconds: number;
  /** Bytes. */
  readonly database: number;
  /** Bytes; undefined where the system does not tell. */
  readonly peak: number | undefined;
}

/** Rows for each database, ours and rpm's in turn. Everything made is below `scratch`. */
export async function rpmdbRows(scratch: string, given: readonly string[] = []): Promise<RpmdbRow[]> {
  const databases = given.length > 0 ? given : await madeDatabases(scratch);
  const rows: RpmdbRow[] = [];
  for (const [i, path] of databases.entries()) {
    const folder = join(scratch, `copy-${i}`);
    mkdirSync(folder);
    copyFileSync(path, join(folder, 'rpmdb.sqlite'));
    const database = statSync(path).size;
    const what = `${(database / MIB).toFixed(0)} MiB`;
    const ours = [process.execPath, program, 'rpmdb', 'list', '--dbpath', folder, '--qf', FIELDS];
    const theirs = ['rpm', '--dbpath', folder, '-qa', '--qf', FIELDS];
    rows.push({ name: `ostrata rpmdb, ${what}`, database, ...(await best(ours, scratch)) });
    rows.push({ name: `rpm -qa, ${what}`, database, ...(await best(theirs, scratch)) });
  }
  return rows;
}

async function best(command: readonly string[], scratch: string): Promise<Pick<RpmdbRow, 'seconds' | 'peak'>> {
  const runs = [];
  for (let i = 0; i < RUNS; i++) runs.push(await measured(command, join(scratch, 'output')));
  const seconds = Math.min(...runs.map((run) => run.seconds));
  const peak = Math.max(...runs.map((run) => run.peak ?? 0)) || undefined;
  return { seconds, peak };
}

async function measured(
  [program = '', ...args]: readonly string[],
  output: string,
): Promise<Pick<RpmdbRow, 'seconds' | 'peak'>> {
  const start = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let peak: number | undefined;
  const poll = setInterval(() => {
    peak = peakOf(child.pid) ?? peak;
  }, POLL_MS);
  const [status] = await Promise.all([
    new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve)),
    pipeline(child.stdout, createWriteStream(output)),
  ]);
  clearInterval(poll);
  if (status !== 0) throw new Error(`${program}: exit code ${status}`);
  return { seconds: (performance.now() - start) / 1000, peak };
}

function peakOf(pid: number | undefined): number | undefined {
  const path = `/proc/${pid}/status`;
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1]) * 1024 || undefined;
  } catch {
    return undefined; // it has ended
  }
}

/** Databases of as many packages as a large desktop has, and of 100 MB. */
async function madeDatabases(scratch: string): Promise<string[]> {
  const repo = openRepo(join(repoRoot, 'rpmdb-fixtures/sample/old'));
  const tree = lookupCommit(repo, repo.resolve('sample/os'));
  const opened = await openTreeRpmdb(tree);
  const bytes = await tree.bytes(opened.location.database);
  const headers = Array.from(opened.packages(), ({ header }) => header.bytes());
  const perRound = headers.reduce((sum, header) => sum + header.length, 0);
  const { Database } = await initSqlJs();
  return [767, Math.ceil((100e6 * headers.length) / perRound)].map((packages) => {
    const db = new Database(bytes);
    const insert = db.prepare('INSERT INTO Packages(blob) VALUES (?)');
    db.run('DELETE FROM Packages');
    for (let i = 0; i < packages; i++) insert.run([headers[i % headers.length] as Uint8Array]);
    insert.free();
    const path = join(scratch, `made-${packages}.sqlite`);
    writeFileSync(path, db.export());
    db.close();
    return path;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const scratch = mkdtempSync(join(tmpdir(), 'ostrata-bench-'));
  try {
    const given = process.argv.slice(2);
    for (const path of given) if (!existsSync(path)) throw new Error(`${path} is not there`);
    console.log(`${'best of 3'.padEnd(28)}${'seconds'.padStart(9)}${'peak MiB'.padStart(10)}`);
    for (const { name, seconds, peak } of await rpmdbRows(scratch, given))
      console.log(
        `${name.padEnd(28)}${seconds.toFixed(2).padStart(9)}${(peak === undefined ? '-' : (peak / MIB).toFixed(0)).padStart(10)}`,
      );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
