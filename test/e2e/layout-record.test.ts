/**
 * `ostrata layout record`: what it reads of registries, repositories and folders; and the example
 * of src/layout/README.md, from three tags to a number of layers; and recipes that sweep layouts.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseAllDocuments } from 'yaml';
import { parseJson } from '../../src/bytes/json.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { makePipeline, writeRenamed } from '../support/pipeline.js';
import { repoRoot } from '../support/root.js';
import { ostrata, ostrataProgram, run, tryOstrata, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { readYaml } from '../support/workflow.js';

const RPMDBS = join(repoRoot, 'rpmdb-fixtures/series/rpmdb');
const README = join(repoRoot, 'src/layout/README.md');
const TAGS = ['stable-1', 'stable-2', 'stable-3'];
/** When the first image was made, in seconds since 1970; each next one is a week younger. */
const START = 1_696_118_400;
const WEEK = 7 * 24 * 3600;

const RECIPES = join(repoRoot, '.github/recipes');
/** The commit of an action, for steps that use none. */
const PINNED = `@${'0'.repeat(40)}`;
const texts = v.record(v.string(), v.string());
const workflowSchema = v.looseObject({
  env: texts,
  jobs: v.record(
    v.string(),
    v.looseObject({
      env: v.optional(texts),
      strategy: v.optional(v.object({ matrix: v.object({ shard: v.array(v.number()) }) })),
      steps: v.array(v.looseObject({ run: v.optional(v.string()), uses: v.optional(v.string()) })),
    }),
  ),
});
const containerSchema = v.looseObject({
  env: v.optional(v.array(v.object({ name: v.string(), value: v.string() }))),
  command: v.array(v.string()),
});
const jobSchema = v.looseObject({
  kind: v.literal('Job'),
  spec: v.looseObject({
    completions: v.optional(v.number()),
    template: v.object({ spec: v.looseObject({ containers: v.tuple([containerSchema]) }) }),
  }),
});

const scratch = scratchDirectory();
const pathOf = (name: string) => join(scratch, name);

const lineSchema = v.looseObject({
  build: v.string(),
  date: v.string(),
  id: v.string(),
  published: v.optional(v.array(v.unknown())),
  components: v.array(v.looseObject({ id: v.string(), directories: v.optional(v.unknown()) })),
});

/** The builds in a gzipped series, as zcat reads it. */
function buildsOf(path: string) {
  const lines = run('zcat', [path]).trim().split('\n');
  return lines.map((line) => parseJson(line, lineSchema));
}

/** Makes a small tree with the database of a build. */
function makeTree(build: number): string {
  const root = pathOf(`tree-${build}`);
  const database = join(root, 'usr/lib/sysimage/rpm');
  mkdirSync(database, { recursive: true });
  cpSync(join(RPMDBS, `${build}.sqlite`), join(database, 'rpmdb.sqlite'));
  mkdirSync(join(root, 'usr/bin'));
  writeFileSync(join(root, 'usr/bin/bash'), `bash ${build}`);
  writeFileSync(join(root, 'usr/bin/unowned'), 'unowned');
  return root;
}

const record = (...args: readonly string[]) => ostrata(['layout', 'record', ...args]);

suite('layout record of a registry', needs('docker-registry'), () => {
  let registry: Registry;
  let repository: string;
  const blobFile = (digest: string) => {
    const hex = digest.slice('sha256:'.length);
    const blobs = pathOf('registry/data/docker/registry/v2/blobs/sha256');
    return join(blobs, hex.slice(0, 2), hex, 'data');
  };
  /** Records all stable tags, with some options, in a new file. */
  const recordTags = (name: string, ...options: readonly string[]) => {
    const path = pathOf(name);
    const text = record(repository, '--tags=stable-*', `--append=${path}`, ...options);
    return { path, text };
  };

  before(async () => {
    registry = await startRegistry(pathOf('registry'));
    repository = `docker://${registry.host}/me/os`;
    for (const [i, tag] of TAGS.entries()) {
      const previous = i === 0 ? [] : [`--previous-build=${repository}:${TAGS[i - 1]}`];
      const args = ['build', `--rootfs=${makeTree(i + 1)}`, ...previous, `${repository}:${tag}`];
      ostrata(args, { env: { SOURCE_DATE_EPOCH: String(START + i * WEEK) } });
    }
    ostrata(['build', `--from=${repository}:stable-3`, '--max-layers=2', `${repository}:testing`]);
  });
  after(() => registry.stop());

  test('does what the example says, from three tags to a number of layers', () => {
    const markdown = readFileSync(README, 'utf8');
    const blocks = [...markdown.matchAll(/^```console\n(.*?)^```$/gms)].map(
      ([, text = '']) => text,
    );
    const commands = blocks.join('').split(/^\$ /m).slice(1);
    assert.ok(commands.length >= 3, `${commands.length} commands`);
    const cwd = pathOf('example');
    mkdirSync(cwd);
    const example = 'docker://quay.io/me/os';
    for (const each of commands) {
      const [, command = '', expected = ''] = /^(.*?[^\\])\n(.*)$/s.exec(each) ?? [];
      const script = command.replaceAll(example, repository);
      const setup = `ostrata() { ${process.execPath} ${ostrataProgram} "$@"; }`;
      const output = run('sh', ['-c', `${setup}\n${script}`], { cwd });
      assert.equal(output.replaceAll(repository, example).trim(), expected.trim(), command);
    }
  });

  test('adds each image once, by date, and makes the same bytes in one run or in several', async () => {
    const { path } = recordTags('once.jsonl.gz', '--limit=1');
    recordTags('once.jsonl.gz', '--quiet');
    const { text } = recordTags('once.jsonl.gz');
    assert.match(text, /0 builds added to .*, which has 3 now\n$/);
    assert.deepEqual(readFileSync(path), readFileSync(recordTags('one-run.jsonl.gz').path));
    const builds = buildsOf(path);
    assert.deepEqual(
      builds.map(({ build }) => build),
      TAGS,
    );
    for (const [i, { id, date, published }] of builds.entries()) {
      const { manifest, manifestDigest } = await openImage(`${repository}:${TAGS[i]}`);
      assert.equal(id, manifestDigest);
      assert.equal(Date.parse(date), (START + i * WEEK) * 1000);
      assert.equal(published?.length, manifest.layers.length);
    }
  });

  test('counts an age from the newest image', () => {
    const ages = ['13d', '2w', '2023-10-02'].map((age, i) => {
      const { path } = recordTags(`age-${i}.jsonl.gz`, `--since=${age}`);
      return buildsOf(path).length;
    });
    assert.deepEqual(ages, [2, 3, 2]);
  });

  test('adds the images of other tags if one cannot be read', async () => {
    const { manifest } = await openImage(`${repository}:stable-2`);
    const config = blobFile(manifest.config.digest);
    const path = pathOf('broken.jsonl.gz');
    renameSync(config, `${config}.away`);
    try {
      const args = ['layout', 'record', repository, '--tags=stable-*', `--append=${path}`];
      const { status, stderr } = tryOstrata(args);
      assert.equal(status, 1);
      assert.match(stderr, /^error: reading docker:.*:stable-2: .*BLOB_UNKNOWN.*\n$/);
    } finally {
      renameSync(`${config}.away`, config);
    }
    assert.deepEqual(
      buildsOf(path).map(({ build }) => build),
      ['stable-1', 'stable-3'],
    );
  });

  test('writes nothing with --dry-run', () => {
    const { path, text } = recordTags('dry.jsonl.gz', '--dry-run');
    assert.match(text, /3 builds would be added to .*, which has 0\n$/);
    assert.equal(run('sh', ['-c', `ls ${path}* 2>/dev/null || true`]), '');
  });

  test('reads no layer but the one of the database, unless --files asks for all', async () => {
    const expected = readFileSync(recordTags('all.jsonl.gz').path);
    const whole = buildsOf(recordTags('files.jsonl.gz', '--files').path);
    const has = (id: string) =>
      whole.every(({ components }) => components.some((c) => c.id === id));
    assert.ok(has('rpmdb') && has('dir:/usr/bin'));

    let removed = 0;
    for (const tag of TAGS) {
      const { manifest } = await openImage(`${repository}:${tag}`);
      for (const { digest, annotations } of manifest.layers) {
        if (!annotations?.['ostree.components']?.includes('rpmdb')) {
          rmSync(blobFile(digest), { force: true });
          removed++;
        }
      }
    }
    assert.ok(removed > 0);
    assert.deepEqual(readFileSync(recordTags('some.jsonl.gz').path), expected);
  });

  suite('recipes that sweep layouts', () => {
    const cwd = pathOf('sweep');
    const report = (layouts: string) => {
      const args = ['layout', 'simulate', join(cwd, 'history.jsonl.gz'), ...layouts.split(' ')];
      return ostrata(args);
    };

    test('layout-sweep.yml reports in its summary what one process prints', () => {
      const pipeline = makePipeline();
      mkdirSync(cwd);
      const program = join(pipeline.programs, 'released');
      const names = [['docker://ghcr.io/owner/my-image', repository]] as const;
      writeRenamed(program, [process.execPath, ostrataProgram], names);
      const { env, jobs } = readYaml(join(RECIPES, 'layout-sweep.yml'), workflowSchema);
      const values = new Map([
        ['vars.OSTRATA_URL', 'https://example.com/ostrata'],
        ['vars.OSTRATA_SHA256', createHash('sha256').update(readFileSync(program)).digest('hex')],
      ]);
      const summary = pathOf('summary');
      for (const { strategy, steps, env: own = {} } of Object.values(jobs)) {
        const shards = strategy?.matrix.shard ?? [0];
        for (const shard of shards) {
          values.set('matrix.shard', String(shard));
          values.set('strategy.job-total', String(shards.length));
          const variables = Object.entries({ ...env, ...own }).map(([name, text]) => {
            const value = text.replace(
              /\$\{\{ (\S+) \}\}/g,
              (_, key) => values.get(key) ?? assert.fail(key),
            );
            return [name, value];
          });
          for (const { run: script = '', uses = PINNED } of steps) {
            assert.match(uses, /@[0-9a-f]{40}$/);
            run('bash', ['-eo', 'pipefail', '-c', script], {
              cwd,
              env: {
                ...pipeline.env,
                ...Object.fromEntries(variables),
                GITHUB_STEP_SUMMARY: summary,
              },
            });
          }
        }
      }
      const expected = report(env.LAYOUTS ?? '');
      assert.equal(readFileSync(summary, 'utf8'), `\`\`\`\n${expected}\`\`\`\n`);
      assert.ok(existsSync(join(cwd, 'report.html')));
    });

    test('layout-sweep-job.yml reports it, too, once all shards are done', () => {
      const text = readFileSync(join(RECIPES, 'layout-sweep-job.yml'), 'utf8');
      const [sweep, merge] = parseAllDocuments(text).map((each) => v.parse(jobSchema, each.toJS()));
      assert.ok(sweep && merge);
      const { programs } = makePipeline();
      writeRenamed(join(programs, 'ostrata'), [process.execPath, ostrataProgram], []);
      const folder = pathOf('cluster');
      mkdirSync(folder);
      cpSync(join(cwd, 'history.jsonl.gz'), join(folder, 'history.jsonl.gz'));
      const runPod = ({ spec }: v.InferOutput<typeof jobSchema>, index: number) => {
        const [container] = spec.template.spec.containers;
        const { command: [program = '', ...args] = [], env = [] } = container ?? assert.fail();
        const variables = env.map(({ name, value }) => [name, value]);
        const pod = { ...Object.fromEntries(variables), JOB_COMPLETION_INDEX: String(index) };
        const path = `${programs}:${process.env.PATH}`;
        return tryRun(program, args, { cwd: folder, env: { ...pod, PATH: path } });
      };

      const count = sweep.spec.completions ?? 0;
      const variables = sweep.spec.template.spec.containers[0]?.env ?? [];
      assert.equal(variables.find(({ name }) => name === 'SHARDS')?.value, String(count));
      for (let index = 0; index < count; index++) {
        assert.equal(runPod(sweep, index).status, 0);
        const { status, stderr } = runPod(merge, 0);
        assert.equal(status, index === count - 1 ? 0 : 2, stderr);
      }
      const layouts = variables.find(({ name }) => name === 'LAYOUTS')?.value ?? '';
      assert.equal(readFileSync(join(folder, 'report.txt'), 'utf8'), report(layouts));
    });
  });

  test('fails for tags that nothing has, and names the repository', () => {
    const args = ['layout', 'record', repository, '--tags=none-*', `--append=${pathOf('none')}`];
    const { status, stderr } = tryOstrata(args);
    assert.equal(status, 1);
    assert.match(stderr, /^error: docker:.*me\/os: none of its 4 tags is none-\*\n$/);
  });
});
