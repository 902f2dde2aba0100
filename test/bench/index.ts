// npm run bench [-- [OPTIONS] [--repo REPO REF [NEXTREF]]]: what encapsulating a commit costs, side by side with reference programs
// on the same bytes; then what pushes, pulls, laying out many components and reading package databases cost. Without --repo, of the
// sample in rpmdb-fixtures, which is small: times are mostly those of starting Node.
// MB are those of the layers that are written, or that a pull fetches.
//
//   --runs N       rounds; each runs every subject once, and medians are shown (1)
//   --only TEXT    subjects with TEXT in their name (repeatable); the uncompressed image always
//   --modes        from archive and bare-user repositories too: copies are made
//   --growth       trees of 10,000, 100,000 and 1,000,000 small files instead (takes minutes, 10 GB of disk)
//   --markdown     the table as Markdown
//   --json FILE    every run, for other programs
//
// A program that is missing is named, and what needs it skipped. TMPDIR says where some gigabytes of scratch go.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repoRoot } from '../support/root.js';
import { growthSubjects } from './growth.js';
import { layoutSubjects } from './layout.js';
import { blobBytes, type Measurement } from './measure.js';
import { pullSubjects } from './pull.js';
import { pushSubjects } from './push.js';
import { rpmdbSubjects } from './rpmdb.js';
import { modeSubjects, type Subject, subjects } from './subjects.js';
import { formatRows, rowOf } from './table.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true },
    modes: { type: 'boolean', default: false },
    growth: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
    json: { type: 'string' },
    repo: { type: 'string' },
  },
});
const sample = (build: string) => join(repoRoot, 'rpmdb-fixtures/sample', build);
const { repo = sample('old') } = values;
const [ref = 'sample/os', nextRef] = positionals;
const nextRepo = values.repo ?? sample('new');
const next =
  values.repo !== undefined && nextRef === undefined
    ? undefined
    : { repo: nextRepo, ref: nextRef ?? ref };
const scratch = mkdtempSync(join(tmpdir(), 'ostrata-bench-'));
try {
  const place = { repo, ref, next, scratch };
  const all = values.growth
    ? growthSubjects(scratch)
    : [
        ...subjects(place),
        ...(values.modes ? modeSubjects(place) : []),
        ...pushSubjects(place),
        ...pullSubjects(place),
        ...layoutSubjects(),
        ...rpmdbSubjects(scratch),
      ];
  const chosen = all.filter(
    ({ name }, i) => i === 0 || (values.only?.some((text) => name.includes(text)) ?? true),
  );
  const results = await runAll(chosen, Number(values.runs));
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}`;
  const bytesIn = values.growth ? undefined : blobBytes(join(scratch, 'none'));
  const size = bytesIn === undefined ? '' : `${ref}: ${(bytesIn / 1e6).toFixed(0)} MB of layers. `;
  console.log(`${size}${date}, ${machine}, medians of ${values.runs}\n`);
  console.log(
    formatRows(
      chosen.map((subject) => rowOf(subject, results)),
      values.markdown,
    ),
  );
  if (values.json !== undefined) {
    const runs = Object.fromEntries(results);
    writeFileSync(
      values.json,
      `${JSON.stringify({ date, machine, repo, ref, next, bytesIn, runs }, null, 2)}\n`,
    );
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The runs of each subject by its name; in turns, so that a change of the machine's speed meets all alike. */
async function runAll(
  chosen: readonly Subject[],
  rounds: number,
): Promise<Map<string, Measurement[]>> {
  const results = new Map<string, Measurement[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const { name, run } of chosen) {
      if (process.stderr.isTTY) {
        process.stderr.write(`\r\x1b[Kround ${round}: ${name}`);
      }
      results.set(name, [...(results.get(name) ?? []), await run()]);
    }
  }
  if (process.stderr.isTTY) {
    process.stderr.write('\r\x1b[K');
  }
  return results;
}
