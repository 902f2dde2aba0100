/** What builds, pushes and pulls tell while they work: programs by JSON, people on a terminal. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { newRepo } from '../support/import-image.js';
import { ostrataOnTerminal } from '../support/pseudo-terminal.js';
import { repoRoot } from '../support/root.js';
import { ostrata, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { SmallTerminal } from '../support/small-terminal.js';
import { needs } from '../support/tools.js';

const SAMPLE = join(repoRoot, 'rpmdb-fixtures/sample');
const scratch = scratchDirectory();
const build = ['container-encapsulate', `--repo=${SAMPLE}/new`, 'sample/os'];

const amounts = { done: v.number(), total: v.optional(v.number()) };
const partSchema = v.strictObject({ id: v.string(), name: v.string(), ...amounts });
const eventSchema = v.strictObject({
  event: v.picklist(['start', 'advance', 'end']),
  work: v.string(),
  unit: v.string(),
  ...amounts,
  part: v.optional(partSchema),
});
type Event = v.InferOutput<typeof eventSchema>;

/** Runs a command, and returns its result and the events of each piece of work. */
function eventsOf<T>(schema: v.GenericSchema<T>, args: readonly string[]) {
  const { status, stdout, stderr } = tryOstrata([...args, '--json', '--progress=json']);
  assert.equal(status, 0, stderr);
  const [result = ''] = stdout.trim().split('\n').slice(-1);
  const events = stderr.trim().split('\n');
  const byWork = new Map<string, Event[]>();
  for (const line of events) {
    const event = parseJson(line, eventSchema);
    const others = byWork.get(event.work) ?? [];
    byWork.set(event.work, [...others, event]);
  }
  return { result: parseJson(result, schema), byWork };
}

/** Asserts that a piece of work and all its parts end with all done, and returns the parts. */
function assertWhole(events: readonly Event[] = []): readonly { name: string; done: number }[] {
  assert.equal(events[0]?.event, 'start');
  const last = events.at(-1);
  assert.deepEqual([last?.event, last?.part, last?.done], ['end', undefined, last?.total]);
  const begun = new Set<string>();
  const ended = new Map<string, { name: string; done: number }>();
  for (const { event, part, done, total } of events) {
    assert.ok(done <= (total ?? Infinity));
    if (part === undefined) {
      continue;
    }
    const { id, name } = part;
    assert.equal(begun.has(id), event !== 'start', `${event} of ${name}`);
    begun.add(id);
    assert.equal(ended.has(id), false, `${event} of ${name} after its end`);
    if (event === 'end') {
      assert.equal(part.done, part.total);
      ended.set(id, { name, done: part.done });
    }
  }
  const parts = [...ended.values()];
  assert.equal(ended.size, begun.size);
  assert.equal(sumOf(parts), last?.total);
  return parts;
}

function sumOf(parts: readonly { readonly done: number }[]): number {
  return parts.reduce((sum, { done }) => sum + done, 0);
}

suite('progress as JSON adds up to what is reported', needs('docker-registry'), () => {
  let registry: Registry;
  const at = (tag: string) => `registry:${registry.host}/os:${tag}`;
  const buildSchema = v.object({
    size: v.number(),
    contentSize: v.number(),
    layers: v.array(v.object({ size: v.number() })),
  });

  before(async () => {
    registry = await startRegistry(join(scratch, 'registry'));
  });
  after(() => registry.stop());

  test('for a build, its push and a pull', () => {
    const { result, byWork } = eventsOf(buildSchema, [...build, at('new')]);
    assert.deepEqual(
      [...byWork.keys()],
      [
        'reading the tree',
        'reading packages',
        'planning layers',
        'looking for known layers',
        'writing layers',
        'uploading',
      ],
    );
    const written = assertWhole(byWork.get('writing layers'));
    assert.equal(sumOf(written), result.contentSize);
    assert.equal(written.length, result.layers.length);
    const uploaded = assertWhole(byWork.get('uploading'));
    const layers = uploaded.filter(({ name }) => name !== 'config');
    assert.equal(sumOf(layers), result.size);
    assert.equal(uploaded.length, layers.length + 1);

    const pullSchema = v.object({ bytesFetched: v.number() });
    const pull = ['container', 'image', 'pull', newRepo()];
    const imgref = `ostree-unverified-registry:${registry.host}/os:new`;
    const pulled = eventsOf(pullSchema, [...pull, '--tls-verify=false', imgref]);
    const fetched = assertWhole(pulled.byWork.get('fetching layers'));
    assert.equal(sumOf(fetched), pulled.result.bytesFetched);
    const names = (parts: readonly { name: string }[]) => parts.map(({ name }) => name).sort();
    assert.equal(fetched.length, written.length);
    assert.ok(names(fetched).includes('the ostree commit'), `${names(fetched)}`);
  });

  test('for a push of layers that the registry has', () => {
    const { byWork } = eventsOf(buildSchema, [...build, at('again')]);
    assert.deepEqual(assertWhole(byWork.get('uploading')), []);
  });
});

suite('on a terminal', needs('python'), () => {
  const from = `oci:${join(scratch, 'image')}:new`;
  /** A plugin whose content source waits until it is canceled. */
  const plugin = join(scratch, 'waits.mjs');
  before(() => {
    ostrata([...build, from]);
    writeFileSync(
      plugin,
      `const load = ({ signal }) => new Promise((_, reject) => {
        const timer = setInterval(() => {}, 1000);
        signal.addEventListener('abort', () => {
          clearInterval(timer);
          reject(signal.reason);
        });
      });
      const source = { name: 'x', priority: 1, detect: () => true, load };
      export default { name: 'x', apiVersion: '^1.0', contentSources: [source] };`,
    );
  });

  test('layers at work are shown, and only the report stays', () => {
    const args = [...build, `oci:${join(scratch, 'other')}`];
    const { status, output } = ostrataOnTerminal(args, 60);
    assert.equal(status, 0, output);
    assert.match(output, /\r\n {2}\S.* {2}\[[#-]{10}\] +\d+ %/, 'a lane');
    const terminal = new SmallTerminal();
    terminal.write(output);
    const [first = ''] = terminal.lines;
    assert.match(first, /^commit [0-9a-f]{64}$/);
    assert.doesNotMatch(terminal.lines.join('\n'), /(planning|writing) layers|reading /);
    assert.ok(terminal.isAtNewLine);
  });

  test('Ctrl-C ends a command that has something to clean up, and clears the lines', () => {
    const args = ['build', `--from=${from}`, `--plugin=${plugin}`, '--dry-run', 'oci:x'];
    const { status, output } = ostrataOnTerminal(args, 80, 'reading packages');
    assert.equal(status, 130, output);
    const terminal = new SmallTerminal();
    terminal.write(output);
    const [warning = '', ...others] = terminal.lines;
    assert.match(warning, /^warning: /);
    assert.deepEqual(others, ['interrupted', '']);
  });

  test('Ctrl-C that kills a command leaves the cursor below its lines', () => {
    const args = [...build, `--plugin=${plugin}`, '--dry-run', 'oci:x'];
    const { status, output } = ostrataOnTerminal(args, 80, 'reading packages');
    assert.equal(status, 130, output);
    const terminal = new SmallTerminal();
    terminal.write(output.replace('^C', ''));
    assert.deepEqual(terminal.lines, ['reading packages', '']);
    assert.ok(terminal.isAtNewLine);
  });
});
