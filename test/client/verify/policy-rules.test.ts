/** Which rule of a signature policy holds for an image; the judge is skopeo, which follows the policy itself. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import {
  ACCEPT_ANYTHING,
  type Policy,
  policyRule,
  readPolicy,
  ruleProblems,
} from '../../../src/client/verify/policy-rules.js';
import { type Registry, startRegistry } from '../../support/docker-registry.js';
import { encapsulate } from '../../support/read-image.js';
import { repoRoot } from '../../support/root.js';
import { run, tryOstrata, tryRun } from '../../support/run.js';
import { needs } from '../../support/tools.js';

const reject = [{ type: 'reject' }];
const accept = [{ type: ACCEPT_ANYTHING }];
const policyWith = (transport: string, scope: string): Policy => ({
  default: reject,
  transports: { [transport]: { [scope]: accept } },
});
const holds = (transport: string, scope: string, imgref: string) =>
  policyRule(policyWith(transport, scope), imgref).requirements === accept;

test('the most specific scope wins: tag or digest, repository, namespaces, host, wildcards, transport, default', () => {
  const imgref = 'docker://a.b.example:5000/ns/os:1';
  const scopes = [
    'a.b.example:5000/ns/os:1',
    'a.b.example:5000/ns/os',
    'a.b.example:5000/ns',
    'a.b.example:5000',
  ];
  const all = [...scopes, '*.b.example', '*.example', ''];
  for (const [i, scope] of all.entries()) {
    const rules = Object.fromEntries(
      all.slice(i).map((each) => [each, each === scope ? accept : reject]),
    );
    const rule = policyRule({ default: reject, transports: { docker: rules } }, imgref);
    assert.deepEqual(rule, { scope: `docker ${scope}`.trimEnd(), requirements: accept });
  }
  for (const scope of [
    'a.b.example',
    'a.b.example:5000/n',
    'a.b.example:5000/ns/os:2',
    '*.a.b.example',
    'b.example',
  ]) {
    assert.ok(!holds('docker', scope, imgref), scope);
  }
  const digest = `sha256:${'0'.repeat(64)}`;
  assert.ok(holds('docker', `quay.io/os@${digest}`, `registry:quay.io/os@${digest}`));
  assert.ok(holds('docker', 'docker.io/library/os', 'registry:os'));
  assert.deepEqual(policyRule({ default: accept, transports: {} }, imgref), {
    scope: 'default',
    requirements: accept,
  });
});

test('what is wrong with a rule is told', () => {
  const home = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
  const before = process.env.XDG_CONFIG_HOME;
  process.env.XDG_CONFIG_HOME = home;
  try {
    const key = join(home, 'key.pub');
    const told = (requirement: Policy['default'][number], fallback = reject) => {
      const policy: Policy = {
        default: fallback,
        transports: { docker: { 'quay.io': [requirement] } },
      };
      return ruleProblems(policy, policyRule(policy, 'docker://quay.io/os:1')).map(
        (line) => line.split(':')[0],
      );
    };
    const sigstore = {
      type: 'sigstoreSigned',
      keyPath: key,
      signedIdentity: { type: 'matchRepository' },
    };
    const attachments = 'no file in registries.d has use-sigstore-attachments';
    assert.deepEqual(told(sigstore), [`key ${key} is missing`, attachments]);
    writeFileSync(key, '');
    mkdirSync(join(home, 'containers/registries.d'), { recursive: true });
    writeFileSync(
      join(home, 'containers/registries.d/os.yaml'),
      'docker:\n  quay.io/os:\n    use-sigstore-attachments: true\n',
    );
    assert.deepEqual(told(sigstore), []);
    assert.deepEqual(told({ type: 'sigstoreSigned', keyPath: key }), [
      'cosign signs repositories, not tags',
    ]);
    assert.deepEqual(told({ type: 'signedBy', keyPaths: [key, `${key}2`] }), [
      `key ${key}2 is missing`,
    ]);
    assert.deepEqual(told({ type: 'reject' }), ['docker quay.io is reject']);
    assert.deepEqual(told({ type: ACCEPT_ANYTHING }, accept), [
      `the default is ${ACCEPT_ANYTHING}`,
      `docker quay.io is ${ACCEPT_ANYTHING}`,
    ]);
    writeFileSync(key, '{"default": [], "transports": {}}');
    assert.throws(() => readPolicy(key), { code: 'CORRUPT', message: /key\.pub: default: / });
  } finally {
    if (before === undefined) {
      delete process.env.XDG_CONFIG_HOME;
    } else {
      process.env.XDG_CONFIG_HOME = before;
    }
    rmSync(home, { recursive: true });
  }
});

suite('as skopeo follows a policy', needs('skopeo', 'docker-registry'), () => {
  let scratch: string;
  let registry: Registry;
  let layout: string;

  before(async () => {
    scratch = mkdtempSync(join(tmpdir(), 'ostrata-test-'));
    registry = await startRegistry(join(scratch, 'registry'));
    mkdirSync(join(scratch, 'images'));
    layout = join(scratch, 'images/os');
    encapsulate(
      join(repoRoot, 'rpmdb-fixtures/sample/new'),
      'sample/os',
      layout,
      ['--max-layers=2'],
      { tag: '1' },
    );
    symlinkSync('images', join(scratch, 'link'));
    const target = `docker://${registry.host}/ns/os:1`;
    run('skopeo', [
      '--insecure-policy',
      'copy',
      '-q',
      '--dest-tls-verify=false',
      `oci:${layout}:1`,
      target,
    ]);
  });
  after(async () => {
    await registry.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** Whether both say so that an image may be copied by a policy which rejects all but one scope. */
  function compare(transport: string, scope: string, imgref: string): boolean {
    const policy = policyWith(transport, scope);
    const file = join(scratch, 'policy.json');
    writeFileSync(file, JSON.stringify(policy));
    const copy = ['copy', '-q', '--src-tls-verify=false', imgref, `dir:${join(scratch, 'copy')}`];
    const { status, stderr } = tryRun('skopeo', [`--policy=${file}`, ...copy]);
    const accepted = policyRule(policy, imgref).requirements[0]?.type === ACCEPT_ANYTHING;
    assert.equal(status === 0, accepted, `${transport} ${JSON.stringify(scope)}: ${stderr}`);
    return accepted;
  }

  test('scopes of registries', () => {
    const { host } = registry;
    const scopes = [
      '',
      host,
      `${host}/ns`,
      `${host}/ns/os`,
      `${host}/ns/os:1`,
      `${host}/ns/os:2`,
      `${host}/n`,
      '*.0.0.1',
    ];
    const accepted = scopes.map((scope) => compare('docker', scope, `docker://${host}/ns/os:1`));
    assert.deepEqual(accepted, [true, true, true, true, true, false, false, true]);
    compare('oci', '', `docker://${host}/ns/os:1`);
  });

  test('scopes of folders, symlinks followed', () => {
    const scopes = [
      '',
      layout,
      `${layout}:1`,
      dirname(layout),
      scratch,
      `${scratch}/link`,
      '/tmp/other',
    ];
    const accepted = scopes.map((scope) => compare('oci', scope, `oci:${scratch}/link/os:1`));
    assert.deepEqual(accepted, [true, true, false, true, true, false, false]);
  });

  test('the command tells the rule and the verdict', () => {
    const file = join(scratch, 'policy.json');
    const told = (policy: Policy) => {
      writeFileSync(file, JSON.stringify(policy));
      const call = [
        'container',
        'policy',
        '--json',
        '--tls-verify=false',
        `registry:${registry.host}/ns/os:1`,
      ];
      const { status, stdout } = tryOstrata(call, { env: { CONTAINERS_POLICY_JSON: file } });
      return { status, ...JSON.parse(stdout) };
    };
    const open = told(policyWith('docker', `${registry.host}/ns`));
    assert.deepEqual(
      [open.status, open.scope, open.accepted],
      [1, `docker ${registry.host}/ns`, true],
    );
    assert.match(open.problems.join(), /no signature is verified/);
    const closed = told({ default: reject, transports: {} });
    assert.deepEqual([closed.status, closed.scope, closed.accepted], [1, 'default', false]);
    assert.match(closed.reason, /refused: .*rejected by policy/);
  });
});
