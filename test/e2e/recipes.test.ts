// The recipes for pipelines: their commands run with the program, with a real registry, and with
// stubs for the programs that build and sign images.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import * as v from 'valibot';
import { parseAllDocuments } from 'yaml';
import { parseJson } from '../../src/bytes/json.js';
import { sha256Digest } from '../../src/oci/json.js';
import { parseConfig } from '../../src/oci/types.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type Registry, startRegistry } from '../support/docker-registry.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { underName } from '../support/other-name.js';
import {
  makePipeline,
  type Names,
  type Pipeline,
  writeProgram,
  writeRenamed,
} from '../support/pipeline.js';
import { repoRoot } from '../support/root.js';
import { ostrata, ostrataProgram, run } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { readYaml, runWorkflow, workflowSchema } from '../support/workflow.js';

const RECIPES = join(repoRoot, '.github/recipes');
const DIGEST = /^sha256:[0-9a-f]{64}$/;

function imageOf(text: string): string {
  const file = (name: string, content: string): ForgedEntry => {
    return { name, type: 'file', content: Buffer.from(content), mode: 0o644 };
  };
  return forgePlain([[file('usr/bin/changed', text), file('usr/share/kept/file', 'kept')]]).imgref;
}
const raw = imageOf('2');
const released = imageOf('1');

test('every recipe is on the page and in this test', () => {
  const page = readFileSync(join(RECIPES, 'README.md'), 'utf8');
  const names = readdirSync(RECIPES).filter((name) => name !== 'README.md');
  assert.deepEqual(
    [...page.matchAll(/^\| \[`([^`]+)`\]/gm)].map(([, name]) => name).sort(),
    names.sort(),
  );
  // image.test.ts runs the splitter.
  const others = [
    'coreos.Containerfile',
    'fleet.yml',
    'gitlab.yml',
    'kubernetes.yml',
    'splitter.Containerfile',
    'tekton.yml',
    // Their test is layout-record.test.ts.
    'layout-sweep-job.yml',
    'layout-sweep.yml',
  ];
  assert.deepEqual([...workflows.map(([name]) => name), ...others].sort(), names.sort());
});

/** The workflows for GitHub, the name of the image that they make, and its tags. */
const workflows: readonly [file: string, image: string, tags: readonly string[]][] = [
  ['aurora.yml', 'aurora', ['staging', 'stable']],
  ['bazzite.yml', 'bazzite', ['testing']],
  ['blue-build.yml', 'my-image', ['latest']],
  ['bluefin.yml', 'bluefin', ['stable', 'stable-daily', 'latest']],
  ['image-template.yml', 'my-image', ['latest']],
];

suite('recipes', needs('docker-registry', 'jq', 'skopeo'), () => {
  let registry: Registry;
  let pipeline: Pipeline;
  let names: Names;
  const at = (image: string) => `registry:${registry.host}/owner/${image}`;

  before(async () => {
    registry = await startRegistry(join(scratchDirectory(), 'registry'));
    names = [
      ['containers-storage:.*', raw],
      ['registry:(ghcr.io|registry.example.com)/', `registry:${registry.host}/`],
    ];
    pipeline = makePipeline(names);
    const path = (name: string) => join(pipeline.programs, name);
    for (const name of ['podman', 'buildah', 'just', 'cosign', 'dnf']) {
      // A password has a reader, so that no signal ends the program that writes it.
      const reads = 'case "$*" in *--password-stdin*) cat > /dev/null ;; esac';
      writeProgram(path(name), [reads, `echo ${name} "$@"`]);
    }
    const skopeo = run('sh', ['-c', 'command -v skopeo']).trim();
    const here = `docker://${registry.host}/`;
    // The registry has no TLS.
    writeRenamed(
      path('skopeo'),
      ['sh', '-c', `exec ${skopeo} --tls-verify=false "$@"`, skopeo],
      [['docker://(ghcr.io|registry.example.com)/', here]],
    );
    writeRenamed(path('ostrata'), [process.execPath, ostrataProgram], names);
    ostrata(['build', `--from=${released}`, at('aurora:stable')]);
    ostrata(['build', `--from=${released}`, '--format=ostree', at('bazzite:stable')]);
    ostrata(['build', `--from=${raw}`, at('my-image:raw')]);
  });
  after(() => registry.stop());

  const values = new Map([
    ['github.event_name', 'schedule'],
    ['github.actor', 'me'],
    ['github.event.number', ''],
    ['github.sha', 'f00d'],
    ['github.token', 'token'],
    ['secrets.GITHUB_TOKEN', 'token'],
    ['secrets.SIGNING_SECRET', 'key'],
  ]);
  for (const [file, image, tags] of workflows) {
    test(`${file} pushes an image and signs what it pushed`, async () => {
      const { log, summary, outputs } = runWorkflow(pipeline, join(RECIPES, file), values);
      const digest = outputs.get('steps.rechunk.outputs.digest') ?? '';
      assert.match(digest, DIGEST);
      assert.match(summary, /^Clients .*download/m);
      assert.match(log, new RegExp(`^cosign sign .* ghcr\\.io/owner/${image}@${digest}$`, 'm'));
      for (const tag of tags) {
        const { manifestDigest } = await openImage(at(`${image}:${tag}`));
        assert.equal(manifestDigest, digest, tag);
      }
    });
  }

  for (const [file] of workflows.filter(([name]) => name !== 'blue-build.yml')) {
    test(`${file} pushes and signs nothing for a pull request`, () => {
      const event = new Map([...values, ['github.event_name', 'pull_request']]);
      const { log, summary, outputs } = runWorkflow(pipeline, join(RECIPES, file), event);
      assert.equal(outputs.get('steps.rechunk.outputs.digest'), '');
      assert.match(summary, /^No image was written\.\n\nClients .*download/m);
      assert.doesNotMatch(log, /^cosign/m);
    });
  }

  /** Pushes images of which each has a file of its own and one that all have. */
  function pushFleet(images: readonly string[]): void {
    for (const [i, image] of images.entries()) {
      ostrata(['build', `--from=${imageOf(`own ${i}`)}`, at(`${image}:raw`)]);
    }
  }

  /** Empties the shared cache, and returns how many layers were in it. */
  function emptyCache(): number {
    const args = ['cache', 'prune', '--older-than=0h', '--json', at('layer-cache')];
    const schema = v.object({ layers: v.array(v.unknown()) });
    return parseJson(ostrata(args), schema).layers.length;
  }

  test('fleet.yml pushes images that share layers', async () => {
    const { strategy } = readYaml(join(RECIPES, 'fleet.yml'), workflowSchema).jobs.build;
    const images = strategy?.matrix.image ?? [];
    pushFleet(images);
    for (const image of images) {
      const event = new Map([...values, ['matrix.image', image]]);
      const { log, outputs } = runWorkflow(pipeline, join(RECIPES, 'fleet.yml'), event);
      const digest = outputs.get('steps.rechunk.outputs.digest') ?? '';
      assert.match(digest, DIGEST);
      assert.match(log, new RegExp(`^cosign sign .* ghcr\\.io/owner/${image}@${digest}$`, 'm'));
      assert.equal((await openImage(at(`${image}:latest`))).manifestDigest, digest);
    }
    assert.equal(emptyCache(), images.length + 1);
  });

  test('kubernetes.yml splits one image of the list in each pod', async () => {
    const text = readFileSync(join(RECIPES, 'kubernetes.yml'), 'utf8');
    const [list, job] = parseAllDocuments(text).map((each): unknown => each.toJS());
    const { images } = v.parse(v.object({ data: v.object({ images: v.string() }) }), list).data;
    const names = images.trim().split('\n');
    pushFleet(names.map((name) => name.slice(name.lastIndexOf('/') + 1)));

    const container = v.object({
      command: v.array(v.string()),
      env: v.array(v.object({ name: v.string(), value: v.string() })),
    });
    const pod = v.object({ spec: v.object({ containers: v.tuple([container]) }) });
    const spec = v.object({
      completionMode: v.literal('Indexed'),
      completions: v.literal(names.length),
      template: pod,
    });
    const parsed = v.parse(v.object({ kind: v.literal('Job'), spec }), job).spec;
    const [{ command, env }] = parsed.template.spec.containers;
    const volumes = scratchDirectory();
    writeFileSync(join(volumes, 'images'), images);
    writeFileSync(join(volumes, 'secret'), 'a secret that the pods share');
    writeFileSync(join(volumes, 'login'), '{}');
    const mounted = new Map([
      ['/fleet', volumes],
      ['/cache/secret', join(volumes, 'secret')],
      ['/login/.dockerconfigjson', join(volumes, 'login')],
    ]);
    const variables = env.map(({ name, value }) => [name, mounted.get(value) ?? value] as const);
    const [shell = '', ...args] = command;
    for (const [index, name] of names.entries()) {
      const own = { JOB_COMPLETION_INDEX: `${index}`, ...Object.fromEntries(variables) };
      run(shell, args, { env: { ...pipeline.env, ...own } });
      const image = name.slice(name.lastIndexOf('/') + 1);
      assert.equal((await openImage(at(`${image}:latest`))).manifest.layers.length, 2);
    }
    assert.equal(emptyCache(), names.length + 1);
  });

  const stepSchema = v.object({
    name: v.string(),
    env: v.array(v.object({ name: v.string(), value: v.string() })),
    script: v.string(),
  });
  const taskSchema = v.object({
    kind: v.literal('Task'),
    spec: v.object({
      params: v.array(v.object({ name: v.string(), default: v.optional(v.string()) })),
      results: v.array(v.object({ name: v.string() })),
      stepTemplate: v.pick(stepSchema, ['env']),
      steps: v.array(stepSchema),
    }),
  });

  /** Runs the task with parameters in a workspace; returns its results. */
  function runTask(params: Readonly<Record<string, string>>, cwd: string): Map<string, string> {
    const { spec } = readYaml(join(RECIPES, 'tekton.yml'), taskSchema);
    const folder = scratchDirectory();
    const replaced = new Map(
      spec.results.map(({ name }) => {
        return [`$(results.${name}.path)`, join(folder, name)];
      }),
    );
    for (const { name, default: value } of spec.params) {
      replaced.set(`$(params.${name})`, params[name] ?? value ?? '');
    }
    for (const { name, env, script } of spec.steps) {
      assert.doesNotMatch(script, /\$\((params|results|workspaces)\./);
      const variables = [...spec.stepTemplate.env, ...env].map((variable) => {
        return [variable.name, replaced.get(variable.value) ?? assert.fail(variable.value)];
      });
      const file = join(folder, `${name}.sh`);
      writeProgram(file, [script]);
      run(file, [], { cwd, env: { ...pipeline.env, ...Object.fromEntries(variables) } });
    }
    const results = spec.results.map(({ name }) => {
      return [name, readFileSync(join(folder, name), 'utf8')] as const;
    });
    return new Map(results);
  }

  test('tekton.yml pushes an image and has results', async () => {
    const cwd = scratchDirectory();
    run('skopeo', ['copy', raw, `oci-archive:${cwd}/raw.ociarchive`]);
    ostrata(['build', `--from=${released}`, `oci-archive:${cwd}/previous.ociarchive`]);
    const IMAGE = 'registry.example.com/owner/task:1';
    const params = { IMAGE, OSTRATA_IMAGE: 'none' };
    const first = runTask(params, cwd);
    assert.equal(first.get('LAYERS_CHANGED'), '2');

    const results = runTask({ ...params, PREVIOUS: 'oci-archive:previous.ociarchive' }, cwd);
    const { manifestDigest } = await openImage(at('task:1'));
    const bytes = results.get('BYTES_CHANGED') ?? '';
    assert.ok(Number(bytes) > 0 && Number(bytes) < Number(first.get('BYTES_CHANGED')), bytes);
    assert.deepEqual(Object.fromEntries(results), {
      IMAGE_DIGEST: manifestDigest,
      IMAGE_URL: IMAGE,
      IMAGE_REF: `${IMAGE}@${manifestDigest}`,
      LAYERS_CHANGED: '1',
      BYTES_CHANGED: bytes,
    });
  });

  test('gitlab.yml pushes an image and tells later jobs its digest', async () => {
    const lines = v.array(v.string());
    const schema = v.object({
      rechunk: v.object({
        variables: v.record(v.string(), v.string()),
        before_script: lines,
        script: lines,
        artifacts: v.object({ reports: v.object({ dotenv: v.literal('digest.env') }) }),
      }),
    });
    const { rechunk } = readYaml(join(RECIPES, 'gitlab.yml'), schema);
    const program = readFileSync(join(pipeline.programs, 'ostrata'));
    writeFileSync(join(pipeline.programs, 'released'), program);
    const env = {
      ...pipeline.env,
      ...rechunk.variables,
      IMAGE: rechunk.variables.IMAGE?.replace('$CI_REGISTRY_IMAGE', 'ghcr.io/owner') ?? '',
      CI_REGISTRY: 'ghcr.io',
      CI_REGISTRY_USER: 'me',
      CI_REGISTRY_PASSWORD: 'token',
      OSTRATA_URL: 'https://example.com/ostrata',
      OSTRATA_SHA256: sha256Digest(program).slice('sha256:'.length),
    };
    const cwd = scratchDirectory();
    const script = [...rechunk.before_script, ...rechunk.script].join('\n');
    run('bash', ['-eo', 'pipefail', '-c', script], { cwd, env });
    const { manifestDigest } = await openImage(at('os:latest'));
    assert.equal(readFileSync(join(cwd, 'digest.env'), 'utf8'), `DIGEST=${manifestDigest}\n`);
  });
});

test('coreos.Containerfile builds an archive that the next stage begins with', async () => {
  const text = readFileSync(join(RECIPES, 'coreos.Containerfile'), 'utf8');
  const instructions = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, '')
    .split('\n');
  const line = instructions.find((each) => each.includes('chunkah build')) ?? assert.fail();
  assert.ok(instructions.includes('FROM oci-archive:./out.ociarchive'));

  const scratch = scratchDirectory();
  mkdirSync(join(scratch, 'src'));
  mkdirSync(join(scratch, 'rootfs/usr/bin'), { recursive: true });
  mkdirSync(join(scratch, 'rootfs/sysroot/left-out'), { recursive: true });
  writeFileSync(join(scratch, 'rootfs/usr/bin/changed'), '2');
  writeFileSync(join(scratch, 'inputhash'), 'f00d');
  const command = line
    .replace(/^RUN (--mount=\S+ *)*/, '')
    .replaceAll('/target-rootfs', join(scratch, 'rootfs'))
    .replaceAll('/run/inputhash', join(scratch, 'inputhash'))
    .replaceAll('/run/src', join(scratch, 'src'));
  const { runLine } = underName('chunkah');
  for (const previous of ['', released]) {
    runLine(command, { PREVIOUS_BUILD: previous });
    const image = await openImage(`oci-archive:${scratch}/src/out.ociarchive`);
    const { config } = parseConfig(await image.config());
    assert.equal(config?.Labels?.['com.coreos.inputhash'], 'f00d');
  }
});
