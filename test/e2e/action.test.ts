// The GitHub Action: its steps run by bash in an environment like that of a runner.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as v from 'valibot';
import { parseJson } from '../../src/bytes/json.js';
import { sha256Digest } from '../../src/oci/json.js';
import { type Descriptor, parseConfig } from '../../src/oci/types.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { ACTION, makePipeline, type Pipeline } from '../support/pipeline.js';
import { repoRoot } from '../support/root.js';
import { run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { actionSchema, readYaml, runAction, tryAction } from '../support/workflow.js';

const RELEASED = '#!/bin/sh\necho released\n';
const { version } = parseJson(
  readFileSync(join(repoRoot, 'package.json'), 'utf8'),
  v.object({ version: v.string() }),
);
const processor = process.arch === 'arm64' ? 'arm64' : 'x64';
const releaseName = `ostrata-${version}-linux-${processor}`;

/** Makes a runner whose version of the action has a release, which prints `released`. */
function makeReleased(checksum: string): Pipeline {
  const runner = makePipeline();
  writeFileSync(join(runner.programs, 'released'), RELEASED);
  writeFileSync(join(runner.actionPath, 'checksums.txt'), `${checksum}  ${releaseName}\n`);
  return runner;
}

const file = (name: string, text: string): ForgedEntry => {
  return { name, type: 'file', content: Buffer.from(text), mode: 0o644 };
};
const imageOf = (text: string) =>
  forgePlain([[file('usr/bin/changed', text), file('usr/share/kept/file', 'kept')]]).imgref;

test('shellcheck finds no fault in the scripts', needs('shellcheck'), () => {
  const scripts = readdirSync(join(repoRoot, ACTION)).filter((name) => name.endsWith('.sh'));
  assert.ok(scripts.length > 0);
  run('shellcheck', scripts, { cwd: join(repoRoot, ACTION) });
});

test('the page names every input and output', () => {
  const { inputs, outputs } = readYaml(join(repoRoot, ACTION, 'action.yml'), actionSchema);
  const page = readFileSync(join(repoRoot, '.github/recipes/README.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, name]) => name);
  assert.deepEqual(rows, [...Object.keys(inputs), ...Object.keys(outputs)]);
});

suite('a runner', needs('jq'), () => {
  test('builds an image twice, and says what an update downloads', async () => {
    const runner = makePipeline();
    const output = `oci:${scratchDirectory()}/image:latest`;
    const first = runAction(runner, { source: imageOf('1'), output });
    assert.match(first.log, /^compiled$/m);
    assert.match(first.summary, /Clients download all 2 layers: \d+ B\./);
    assert.equal(first.outputs.get('layers-changed'), '2');
    const before = await openImage(output);

    const labels = ' a=$(id)\n\nb="`;\n';
    const second = runAction(runner, { source: imageOf('2'), output, labels });
    const { manifest, manifestDigest, config } = await openImage(output);
    const set = parseConfig(await config()).config?.Labels ?? {};
    assert.deepEqual([set.a, set.b], ['$(id)', '"`;']);
    const sizes = (layers: readonly Descriptor[]) =>
      layers.reduce((sum, { size }) => sum + size, 0);
    const known = before.manifest.layers.map(({ digest }) => digest);
    const changed = manifest.layers.filter(({ digest }) => !known.includes(digest));
    assert.deepEqual(Object.fromEntries(second.outputs), {
      digest: manifestDigest,
      'layers-changed': '1',
      'bytes-changed': String(sizes(changed)),
    });
    const [size, total] = [sizes(changed), sizes(manifest.layers)];
    const index = manifest.layers.findIndex((layer) => changed.includes(layer));
    const lines = [
      `### \`${output}\``,
      '',
      `Digest: \`${manifestDigest}\``,
      '',
      `Clients of \`${output}\` download 1 of 2 layers: ${size} B of ${total} B.`,
      '',
      '| Layer | Size | Components |',
      '| ---: | ---: | --- |',
      `| ${index} | ${size} B | \`dir:/usr/bin\` |`,
      '',
    ];
    assert.equal(second.summary.slice(0, lines.join('\n').length), lines.join('\n'));
    assert.match(second.summary, /^- Warning: `[^`]* has no readable package database: [^`]*`$/m);
  });

  test('writes no image without push', () => {
    const runner = makePipeline();
    const output = `oci:${scratchDirectory()}/image:latest`;
    const { outputs, summary } = runAction(runner, { source: imageOf('1'), output, push: 'false' });
    assert.deepEqual(Object.fromEntries(outputs), {
      digest: '',
      'layers-changed': '2',
      'bytes-changed': '',
    });
    assert.match(summary, /^No image was written\.$/m);
    assert.ok(!existsSync(output.slice('oci:'.length)));
  });

  test('builds a folder with all options as root', () => {
    const runner = makePipeline();
    const tree = join(scratchDirectory(), 'a tree');
    mkdirSync(join(tree, 'usr/left out'), { recursive: true });
    writeFileSync(join(tree, 'usr/left out/file'), '');
    writeFileSync(join(tree, 'usr/file'), 'content');
    mkdirSync(join(runner.programs, '.docker'));
    writeFileSync(join(runner.programs, '.docker/config.json'), '{}');
    const delta = forgePlain([[file('usr/file', '')]]).imgref;
    const { summary, log } = runAction(runner, {
      source: tree,
      output: `oci:${scratchDirectory()}/an image:latest`,
      previous: `${imageOf('1')}\n${imageOf('2')}`,
      'max-layers': '51',
      profile: 'old-overlay',
      format: 'plain',
      compression: 'zstd',
      delta,
      options: '--prune=/usr/left out/\n--no-split',
      sudo: 'true',
    });
    assert.match(summary, /download 2 of 2 layers/);
    assert.doesNotMatch(summary, /left out/);
    assert.match(log, /--max-layers 51: old-overlay takes at most 50 layers/);
    const asRoot = readFileSync(join(runner.programs, 'as-root'), 'utf8');
    assert.match(asRoot, /^env PATH=.* --authfile=.*\.docker\/config\.json -- oci:/);
  });

  test('names text from the image so that it cannot become Markdown', () => {
    const filter = join(repoRoot, ACTION, 'summary.jq');
    const layer = { reused: false, base: false, size: 1, components: ['`|\n# a'] };
    const result = { reference: 'x', layers: [layer], size: 1, warnings: ['a\n`b'] };
    const summary = run('jq', ['-r', '-f', filter], { input: JSON.stringify(result) });
    assert.match(summary, /^\| 0 \| 1 B \| ` {3}# a` \|$/m);
    assert.match(summary, /^- Warning: `a {2}b`$/m);
  });

  test('sums the images of an index', () => {
    const run1 = { layers: [{}, {}], size: 5 };
    const run2 = { layers: [{}], size: 9, update: { layers: 1, size: 3 } };
    const filter = join(repoRoot, ACTION, 'outputs.jq');
    const input = JSON.stringify({ manifestDigest: 'sha256:1', images: [run1, run2] });
    const expected = 'digest=sha256:1\nlayers-changed=3\nbytes-changed=8\n';
    assert.equal(run('jq', ['-r', '-f', filter], { input }), expected);
  });

  const refused: readonly [string, Readonly<Record<string, string>>, RegExp][] = [
    ['an option without a dash', { options: 'oci:other' }, /::error.*begins with a dash/],
    ['an option that does not exist', { options: '--no-such' }, /unknown option '--no-such'/],
    ['a tag outside a registry', { tags: 'latest' }, /::error.*an output that begins with/],
    ['what is no tag', { tags: 'a:b' }, /::error.*not a tag: a:b/],
    ['what is neither true nor false', { push: 'yes' }, /::error.*push has to be true or false/],
    ['a program that does not run', { program: '/none' }, /::error.*cannot run \/none/],
  ];
  for (const [what, inputs, message] of refused) {
    test(`refuses ${what}`, () => {
      const output = `oci:${scratchDirectory()}/image:latest`;
      const { failure = '' } = tryAction(makePipeline(), {
        source: imageOf('1'),
        output,
        ...inputs,
      });
      assert.match(failure, message);
      assert.ok(!existsSync(output.slice('oci:'.length)));
    });
  }

  suite('with a release of the version', () => {
    test('runs the program of the release, for which it does not wait forever', () => {
      const runner = makeReleased(sha256Digest(Buffer.from(RELEASED)).slice('sha256:'.length));
      const { outcome } = tryAction(runner, { source: 'oci:a', output: 'oci:b' });
      assert.match(outcome.log, /^released$/m);
      const url = readFileSync(join(runner.programs, 'url'), 'utf8').trim();
      assert.equal(
        url,
        `https://github.com/owner/ostrata/releases/download/v${version}/${releaseName}`,
      );
      const options = readFileSync(join(runner.programs, 'curl-arguments'), 'utf8');
      assert.match(options, /--connect-timeout \d+ --speed-time \d+ --speed-limit \d+ /);
    });

    test('does not run a program with another checksum', () => {
      const { failure = '' } = tryAction(makeReleased('0'.repeat(64)), {
        source: 'oci:a',
        output: 'oci:b',
      });
      assert.match(failure, /::error.*does not have the SHA-256 0{64} of checksums\.txt/);
      assert.doesNotMatch(failure, /^released$/m);
    });
  });
});
