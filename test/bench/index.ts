/**
 * npm run bench [-- [OPTIONS] [--repo REPO REF [NEXTREF]]]: measures encapsulating a commit, side
 * by side with reference programs on the same bytes, then pushing, pulling, planning layers and
 * reading package databases. README.md beside this file describes the options and the rows.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repoRoot } from '../support/root.js';
import { buildSubjects } from './build.js';
import { chooseSubjects } from './choose.js';
import { growthSubjects } from './growth.js';
import { layoutSubjects } from './layout.js';
import { blobBytes, type Measurement } from './measure.js';
import { pullSubjects } from './pull.js';
import { pushSubjects } from './push.js';
import { rechunkSubjects } from './rechunk.js';
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
        ...buildSubjects(place),
        ...rechunkSubjects(place),
        ...pushSubjects(place),
        ...pullSubjects(place),
        ...layoutSubjects(),
        ...rpmdbSubjects(scratch),
      ];
  const chosen = chooseSubjects(all, values.only);
  const results = await runAll(chosen, Number(values.runs));
  const date = new Date().toISOString().slice(0, 10);
  const processor = cpus()[0]?.model ?? 'unknown CPU';
  const machine = `${availableParallelism()} x ${processor}, Node ${process.version}`;
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

/**
 * Returns the runs of each subject by its name. Subjects take turns, so that a change of the
 * machine's speed affects all of them alike.
 */
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
