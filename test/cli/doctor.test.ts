// `ostrata doctor`: what is said of a machine where things work, and where they do not.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { repoRoot } from '../support/root.js';
import { ostrata, ostrataProgram, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';

const scratch = scratchDirectory();
const reportSchema = v.object({
  problems: v.number(),
  checks: v.array(
    v.object({
      name: v.string(),
      status: v.picklist(['ok', 'limited', 'problem']),
      finding: v.string(),
      nextStep: v.optional(v.string()),
    }),
  ),
});

type Env = Readonly<Record<string, string>>;

function diagnose(args: readonly string[], env: Env = {}) {
  const call = [ostrataProgram, 'doctor', '--json', ...args];
  const { status, stdout } = tryRun(process.execPath, call, { env });
  const { problems, checks } = parseJson(stdout, reportSchema);
  const found = (name: string) => {
    const check = checks.find((each) => each.name === name);
    assert.ok(check, name);
    return check;
  };
  return { status, problems, checks, found };
}

test('each check that is not ok has a next step, and problems are counted', () => {
  const { status, problems, checks } = diagnose([], { TMPDIR: join(scratch, 'missing') });
  assert.equal(status, 1);
  assert.equal(problems, checks.filter((check) => check.status === 'problem').length);
  for (const check of checks) {
    assert.equal(check.nextStep === undefined, check.status === 'ok', check.name);
  }
});

test('a folder for temporary files that cannot be written is a problem', () => {
  const file = join(scratch, 'file');
  writeFileSync(file, '', { mode: 0o644 });
  for (const TMPDIR of [join(scratch, 'missing'), file]) {
    const { finding, nextStep, status } = diagnose([], { TMPDIR }).found('temporary');
    assert.equal(status, 'problem');
    assert.ok(finding.startsWith(`${TMPDIR}: E`), finding);
    assert.match(nextStep ?? '', /TMPDIR/);
  }
});

test('programs that are not installed limit what works', () => {
  const { found } = diagnose([], { PATH: scratch });
  for (const name of ['skopeo', 'gpg', 'ostree']) {
    const { status, finding, nextStep } = found(name);
    assert.equal(status, 'limited');
    assert.match(finding, new RegExp(`needs the program ${name}, which is not installed`));
    assert.match(nextStep ?? '', /^install the package /);
  }
});

test('programs that fail or do not end limit what works', () => {
  const bin = join(scratch, 'bin');
  mkdirSync(bin);
  const script = (name: string, line: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  script('skopeo', 'echo skopeo version 1.2; exit 3');
  script('gpg', 'kill -SEGV $$');
  script('ostree', 'exec /bin/sleep 1000');

  const { found } = diagnose([], { PATH: bin });
  const expected = [
    ['skopeo', '`skopeo --version` ended with exit code 3'],
    ['gpg', '`gpg --version` was ended by a signal'],
    ['ostree', '`ostree --version` did not end within 5 s'],
  ] as const;
  for (const [name, text] of expected) {
    const { status, finding, nextStep } = found(name);
    assert.deepEqual([status, finding], ['limited', text]);
    assert.match(nextStep ?? '', new RegExp(`^run \`${name} --version\` to see why`));
  }
});

test('an image is read, or it is said why it cannot be', () => {
  const image = `oci:${join(scratch, 'image')}:tag`;
  const missing = diagnose([image]);
  assert.equal(missing.status, 1);
  assert.match(missing.found('image').finding, /does not exist/);

  const repo = join(repoRoot, 'rpmdb-fixtures/sample/new');
  ostrata(['container-encapsulate', `--repo=${repo}`, '--max-layers=4', 'sample/os', image]);
  assert.match(diagnose([image]).found('image').finding, /has the manifest sha256:/);
});

test('nothing is written, not even the folder of the cache', () => {
  const cache = join(scratch, 'cache');
  const { found } = diagnose([], { XDG_CACHE_HOME: cache });
  assert.match(found('cache').finding, /\/cache\/ostrata, /);
  assert.ok(!existsSync(cache));
});

test('the report has a line for each check and says how many problems there are', () => {
  const env = { TMPDIR: join(scratch, 'missing') };
  const { status, stdout } = tryRun(process.execPath, [ostrataProgram, 'doctor'], { env });
  assert.equal(status, 1);
  assert.match(stdout, /^ok {7}node {7}\d+\.\d+/m);
  assert.match(stdout, /^problem {2}temporary {2}\S+: ENOENT.*\n +-> let TMPDIR name/m);
  assert.match(stdout, /\n\n1 problem\n$/);
});
