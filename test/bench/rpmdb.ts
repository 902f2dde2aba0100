/** Rows for dumps of package databases, beside `rpm -qa` with the same fields. */
import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import initSqlJs from 'sql.js';
import { openTreeRpmdb } from '../../plugins/rpm/rpmdb/index.js';
import { openRepo } from '../../src/ostree/repo.js';
import { lookupCommit } from '../../src/tree/commit-lookup.js';
import { repoRoot } from '../support/root.js';
import type { Measurement } from './measure.js';
import { has, type Subject } from './subjects.js';

/** Short enough to see the peak of the shortest run. */
const POLL_MS = 5;
const program = join(repoRoot, 'dist/src/cli/main.js');
const FIELDS =
  '%{NEVRA}\\t%{SOURCERPM}\\t%{LONGSIZE}\\t%{BUILDTIME}\\t[%{CHANGELOGTIME},]\\n' +
  '[%{FILENAMES}\\t%{LONGFILESIZES}\\t%{FILEMODES}\\t%{FILEDIGESTS}\\t%{FILEFLAGS}\\t' +
  '%{FILEUSERNAME}\\t%{FILEGROUPNAME}\\t' +
  '%{FILELINKTOS}\\t%{FILESTATES}\\n]';

/** Rows for a database of as many packages as a large desktop has, and for one of 100 MB. */
export function rpmdbSubjects(scratch: string): Subject[] {
  const sizes = { '767 packages': () => 767, '100 MB': packagesOf100Megabytes };
  return Object.entries(sizes).flatMap(([size, packages]) => {
    let folder: Promise<string> | undefined;
    const made = () => {
      folder ??= makeDatabase(join(scratch, `rpmdb ${size}`), packages);
      return folder;
    };
    return pair(size, made, scratch);
  });
}

/** The rows for the database in `folder`: rpm's, then ours. */
function pair(size: string, folder: () => Promise<string>, scratch: string): Subject[] {
  const output = join(scratch, 'output');
  const run = (command: readonly string[]) => async () =>
    measured(
      [
        ...command,
        '--dbpath',
        await folder(),
        ...(command[0] === 'rpm' ? ['-qa'] : []),
        '--qf',
        FIELDS,
      ],
      output,
    );
  const reference = `rpm -qa, ${size}`;
  const hasRpm = has('rpm');
  const ours: Subject = {
    name: `ostrata rpmdb list, ${size}`,
    ...(hasRpm && { reference }),
    run: run([process.execPath, program, 'rpmdb', 'list']),
  };
  return hasRpm ? [{ name: reference, run: run(['rpm']) }, ours] : [ours];
}

async function measured(
  [program = '', ...args]: readonly string[],
  output: string,
): Promise<Measurement> {
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
  if (status !== 0) {
    throw new Error(`${program}: exit code ${status}`);
  }
  return { seconds: (performance.now() - start) / 1000, ...(peak !== undefined && { peak }) };
}

function peakOf(pid: number | undefined): number | undefined {
  const path = `/proc/${pid}/status`;
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1]) * 1024 || undefined;
  } catch {
    return undefined; // it has ended
  }
}

/** Reads the package headers of the sample and the database that holds them. */
async function sampleHeaders() {
  const repo = openRepo(join(repoRoot, 'rpmdb-fixtures/sample/old'));
  const tree = lookupCommit(repo, repo.resolve('sample/os'));
  const opened = await openTreeRpmdb(tree);
  const bytes = await tree.bytes(opened.location.database);
  return { bytes, headers: Array.from(opened.packages(), ({ header }) => header.bytes()) };
}

type Headers = readonly Uint8Array[];
const packagesOf100Megabytes = (headers: Headers) =>
  Math.ceil((100e6 * headers.length) / headers.reduce((sum, header) => sum + header.length, 0));

/** Makes a database in `folder` that repeats the headers of the sample. */
async function makeDatabase(
  folder: string,
  packages: (headers: Headers) => number,
): Promise<string> {
  const { bytes, headers } = await sampleHeaders();
  const { Database } = await initSqlJs();
  const db = new Database(bytes);
  const insert = db.prepare('INSERT INTO Packages(blob) VALUES (?)');
  db.run('DELETE FROM Packages');
  for (let i = 0; i < packages(headers); i++) {
    insert.run([headers[i % headers.length] as Uint8Array]);
  }
  insert.free();
  mkdirSync(folder);
  writeFileSync(join(folder, 'rpmdb.sqlite'), db.export());
  db.close();
  return folder;
}
