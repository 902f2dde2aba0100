/**
 * Runs the steps of workflows and actions as a GitHub runner does, as far as the recipes need it:
 * an expression is a name, or `NAME != 'TEXT'`, and the actions of others are not run. https://docs.github.com/actions/reference/workflows-and-actions
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { parse } from 'yaml';
import { type RunResult, tryRun } from './run.js';
import { scratchDirectory } from './scratch.js';

const scalar = v.union([v.string(), v.number(), v.boolean()]);
const scalars = v.record(v.string(), scalar);
const stepSchema = v.strictObject({
  name: v.optional(v.string()),
  id: v.optional(v.string()),
  if: v.optional(v.string()),
  uses: v.optional(v.string()),
  with: v.optional(scalars),
  env: v.optional(scalars),
  shell: v.optional(v.literal('bash')),
  run: v.optional(v.string()),
});
export type Step = v.InferOutput<typeof stepSchema>;

const inputSchema = v.strictObject({
  description: v.string(),
  required: v.optional(v.boolean()),
  default: v.optional(v.string()),
});
export const actionSchema = v.strictObject({
  name: v.string(),
  description: v.string(),
  inputs: v.record(v.string(), inputSchema),
  outputs: v.record(v.string(), v.strictObject({ description: v.string(), value: v.string() })),
  runs: v.strictObject({ using: v.literal('composite'), steps: v.array(stepSchema) }),
});
export const workflowSchema = v.strictObject({
  name: v.string(),
  on: v.unknown(),
  permissions: v.unknown(),
  jobs: v.strictObject({
    build: v.strictObject({
      'runs-on': v.string(),
      strategy: v.optional(
        v.strictObject({
          'fail-fast': v.boolean(),
          matrix: v.record(v.string(), v.array(v.string())),
        }),
      ),
      permissions: v.unknown(),
      steps: v.array(stepSchema),
    }),
  }),
});

/** Reads a YAML file that fits a schema. */
export function readYaml<T extends v.GenericSchema>(file: string, schema: T): v.InferOutput<T> {
  return v.parse(schema, parse(readFileSync(file, 'utf8')));
}

type Values = ReadonlyMap<string, string>;

/** What the steps have written for people and for later steps. */
export interface Outcome {
  readonly outputs: ReadonlyMap<string, string>;
  readonly summary: string;
  readonly log: string;
}

export interface Runner {
  /** The environment of every step, which has a `PATH`. */
  readonly env: Readonly<Record<string, string>>;
  /** The folder of the action under test, for steps that use it. */
  readonly actionPath: string;
  readonly cwd: string;
}

/** Runs the action of {@link Runner} with inputs; fails if a step fails. */
export function runAction(runner: Runner, inputs: Readonly<Record<string, string>>): Outcome {
  const { outcome, failure } = tryAction(runner, inputs);
  assert.equal(failure, undefined);
  return outcome;
}

/** Runs the action of {@link Runner} with inputs; returns what the step that failed has printed. */
export function tryAction(
  runner: Runner,
  inputs: Readonly<Record<string, string>>,
): { outcome: Outcome; failure?: string } {
  const action = readYaml(join(runner.actionPath, 'action.yml'), actionSchema);
  for (const name of Object.keys(inputs)) {
    assert.ok(Object.hasOwn(action.inputs, name), `${name} is an input`);
  }
  const values = new Map<string, string>([['github.action_repository', 'owner/ostrata']]);
  for (const [name, input] of Object.entries(action.inputs)) {
    assert.ok(!input.required || Object.hasOwn(inputs, name), `${name} is required`);
    values.set(`inputs.${name}`, inputs[name] ?? input.default ?? '');
  }
  const { summary, log, failure } = runSteps(runner, action.runs.steps, values);
  const outputs = Object.entries(action.outputs).map(([name, { value }]) => {
    return [name, failure === undefined ? evaluate(value, values) : ''] as const;
  });
  const outcome = { outputs: new Map(outputs), summary, log };
  return failure === undefined ? { outcome } : { outcome, failure };
}

/** Runs all steps of a workflow, once; `values` has the contexts that its expressions name. */
export function runWorkflow(runner: Runner, file: string, values: Values): Outcome {
  const { steps } = readYaml(file, workflowSchema).jobs.build;
  const known = new Map(values);
  const { summary, log, failure } = runSteps(runner, steps, known);
  assert.equal(failure, undefined);
  return { outputs: known, summary, log };
}

interface StepsResult {
  readonly summary: string;
  readonly log: string;
  readonly failure?: string;
}

/** Runs steps until one fails; their outputs are added to `values`. */
function runSteps(runner: Runner, steps: readonly Step[], values: Map<string, string>) {
  let summary = '';
  let log = '';
  for (const step of steps) {
    const result = runStep(runner, step, values);
    summary += result.summary;
    log += result.log;
    if (result.failure !== undefined) {
      return { summary, log, failure: result.failure };
    }
  }
  return { summary, log };
}

function runStep(runner: Runner, step: Step, values: Map<string, string>): StepsResult {
  if (step.if !== undefined && evaluate(`\${{ ${step.if} }}`, values) === 'false') {
    return { summary: '', log: '' };
  }
  if (step.uses !== undefined) {
    return runUsed(runner, step, step.uses, values);
  }
  const { result, outputs, summary } = runScript(runner, step, values);
  setOutputs(step, outputs, values);
  const log = result.stdout + result.stderr;
  return result.status === 0 ? { summary, log } : { summary, log, failure: log };
}

function setOutputs(step: Step, outputs: Values, values: Map<string, string>): void {
  for (const [name, value] of outputs) {
    values.set(`steps.${step.id}.outputs.${name}`, value);
  }
}

function runUsed(
  runner: Runner,
  step: Step,
  uses: string,
  values: Map<string, string>,
): StepsResult {
  const inputs = Object.entries(step.with ?? {}).map(([name, value]) => {
    return [name, evaluate(String(value), values)] as const;
  });
  if (!uses.includes('/.github/actions/ostrata@')) {
    assert.match(uses, /@[0-9a-f]{40}$/, 'actions of others are pinned by their commit');
    return { summary: '', log: '' };
  }
  const outcome = runAction(runner, Object.fromEntries(inputs));
  setOutputs(step, outcome.outputs, values);
  return outcome;
}

function runScript(runner: Runner, step: Step, values: Values) {
  const script = step.run ?? assert.fail(`${step.name}: a step runs or uses something`);
  assert.doesNotMatch(script, /\$\{\{/, 'what a script runs depends on no value');
  const folder = scratchDirectory();
  const path = (name: string, content = '') => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  const env: Record<string, string> = {
    ...runner.env,
    GITHUB_ACTION_PATH: runner.actionPath,
    GITHUB_OUTPUT: path('output'),
    GITHUB_STEP_SUMMARY: path('summary'),
    GITHUB_REPOSITORY: 'Owner/os',
    GITHUB_REPOSITORY_OWNER: 'Owner',
    RUNNER_TEMP: join(folder, 'temp'),
  };
  mkdirSync(join(folder, 'temp'));
  for (const [name, value] of Object.entries(step.env ?? {})) {
    env[name] = evaluate(String(value), values);
  }
  // https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
  const bash = ['--noprofile', '--norc', '-eo', 'pipefail', path('script', script)];
  const result: RunResult = tryRun('bash', bash, { cwd: runner.cwd, env });
  const lines = readFileSync(join(folder, 'output'), 'utf8').split('\n').filter(Boolean);
  const outputs = lines.map((line) => {
    const [, name = '', value = ''] = /^([a-z-]+)=(.*)$/.exec(line) ?? assert.fail(line);
    return [name, value] as const;
  });
  const summary = readFileSync(join(folder, 'summary'), 'utf8');
  return { result, summary, outputs: new Map(outputs) };
}

/** Returns a text in which every expression is replaced; a name without a value is a mistake. */
function evaluate(text: string, values: Values): string {
  return text.replace(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => {
    const [name = '', comparison, right] = expression.split(' ');
    const value = values.get(name) ?? assert.fail(`${name} has no value`);
    if (comparison === undefined) {
      return value;
    }
    assert.equal(comparison, '!=', expression);
    return String(`'${value}'` !== right);
  });
}
