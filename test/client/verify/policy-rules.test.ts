/** Which rule of a signature policy decides about an image: the same one as for skopeo. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, suite, test } from 'node:test';
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
import { scratchDirectory } from '../../support/scratch.js';
import { needs } from '../../support/tools.js';

const reject = [{ type: 'reject' }];
const accept = [{ type: ACCEPT_ANYTHING }];
const policyWith = (transport: string, scope: string): Policy => ({
  default: reject,
  transports: { [transport]: { [scope]: accept } },
});
/** Whether a rule for `scope` decides about the image. */
const decides = (transport: string, scope: string, imgref: string): boolean =>
  policyRule(policyWith(transport, scope), imgref).requirements === accept;

suite('the most specific rule decides', () => {
  const imgref = 'docker://a.b.example:5000/ns/os:1';

  test('from tag over repository, namespace, host and wildcards to the whole transport', () => {
    const scopes = [
      'a.b.example:5000/ns/os:1',
      'a.b.example:5000/ns/os',
      'a.b.example:5000/ns',
      'a.b.example:5000',
      '*.b.example',
      '*.example',
      '',
    ];
    for (const [i, scope] of scopes.entries()) {
      const rules = Object.fromEntries(
        scopes.slice(i).map((each) => [each, each === scope ? accept : reject]),
      );
      const rule = policyRule({ default: reject, transports: { docker: rules } }, imgref);
      assert.deepEqual(rule, { scope: `docker ${scope}`.trimEnd(), requirements: accept });
    }
  });

  test('not one that only looks similar', () => {
    for (const scope of [
      'a.b.example',
      'a.b.example:5000/n',
      'a.b.example:5000/ns/os:2',
      '*.a.b.example',
      'b.example',
    ]) {
      assert.equal(decides('docker', scope, imgref), false, scope);
    }
  });

  test('for an image named by digest, and for a short name', () => {
    const digest = `sha256:${'0'.repeat(64)}`;
    assert.ok(decides('docker', `quay.io/os@${digest}`, `registry:quay.io/os@${digest}`));
    assert.ok(decides('docker', 'docker.io/library/os', 'registry:os'));
  });

  test('the default, if no scope fits', () => {
    assert.deepEqual(policyRule({ default: accept, transports: {} }, imgref), {
      scope: 'default',
      requirements: accept,
    });
  });
});

suite('problems of a rule', () => {
  const configHome = process.env.XDG_CONFIG_HOME;
  let home: string;
  let key: string;

  beforeEach(() => {
    home = scratchDirectory();
    key = join(home, 'key.pub');
    process.env.XDG_CONFIG_HOME = home;
  });
  afterEach(() => {
    if (configHome === undefined) {
      delete process.env.XDG_CONFIG_HOME;
    } else {
      process.env.XDG_CONFIG_HOME = configHome;
    }
  });

  /** The problems of a rule for quay.io, each up to its first colon. */
  function problemsOf(requirement: Policy['default'][number], fallback = reject): string[] {
    const transports = { docker: { 'quay.io': [requirement] } };
    const policy: Policy = { default: fallback, transports };
    const problems = ruleProblems(policy, policyRule(policy, 'docker://quay.io/os:1'));
    return problems.map((problem) => problem.replace(/:.*/s, ''));
  }

  function askForAttachments(): void {
    const directory = join(home, 'containers/registries.d');
    mkdirSync(directory, { recursive: true });
    const text = 'docker:\n  quay.io/os:\n    use-sigstore-attachments: true\n';
    writeFileSync(join(directory, 'os.yaml'), text);
  }

  test('a sigstore rule without key, and without a registry that asks for attachments', () => {
    const signedIdentity = { type: 'matchRepository' };
    const sigstore = { type: 'sigstoreSigned', keyPath: key, signedIdentity };
    assert.deepEqual(problemsOf(sigstore), [
      `key ${key} is missing`,
      'no file in registries.d has use-sigstore-attachments',
    ]);
    writeFileSync(key, '');
    askForAttachments();
    assert.deepEqual(problemsOf(sigstore), []);
  });

  test('a sigstore rule with an identity that cosign does not sign', () => {
    writeFileSync(key, '');
    askForAttachments();
    assert.deepEqual(problemsOf({ type: 'sigstoreSigned', keyPath: key }), [
      'cosign signs repositories, not tags',
    ]);
  });

  test('one of several keys is missing', () => {
    writeFileSync(key, '');
    const keyPaths = [key, `${key}2`];
    assert.deepEqual(problemsOf({ type: 'signedBy', keyPaths }), [`key ${key}2 is missing`]);
  });

  test('a rule that rejects or accepts everything', () => {
    assert.deepEqual(problemsOf({ type: 'reject' }), ['docker quay.io is reject']);
    assert.deepEqual(problemsOf({ type: ACCEPT_ANYTHING }, accept), [
      `the default is ${ACCEPT_ANYTHING}`,
      `docker quay.io is ${ACCEPT_ANYTHING}`,
    ]);
  });
});

test('a policy without any default requirement is refused', () => {
  const path = join(scratchDirectory(), 'policy.json');
  writeFileSync(path, '{"default": [], "transports": {}}');
  assert.throws(() => readPolicy(path), { code: 'CORRUPT', message: /policy\.json: default: / });
});

suite(
  'skopeo and the command agree with the rule found here',
  needs('skopeo', 'docker-registry'),
  () => {
    let scratch: string;
    let registry: Registry;
    let layout: string;

    before(async () => {
      scratch = scratchDirectory();
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
    after(() => registry.stop());

    /**
     * Whether a policy that rejects all but one scope accepts the image; skopeo must say the same.
     */
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

    test('scopes of an image in a registry', () => {
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

    test('scopes of an OCI image layout, with symlinks resolved', () => {
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

    test('the command prints the rule, its problems and whether the image is accepted', () => {
      const file = join(scratch, 'policy.json');
      const printed = (policy: Policy) => {
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
      const open = printed(policyWith('docker', `${registry.host}/ns`));
      assert.deepEqual(
        [open.status, open.scope, open.accepted],
        [1, `docker ${registry.host}/ns`, true],
      );
      assert.match(open.problems.join(), /no signature is verified/);
      const closed = printed({ default: reject, transports: {} });
      assert.deepEqual([closed.status, closed.scope, closed.accepted], [1, 'default', false]);
      assert.match(closed.reason, /refused: .*rejected by policy/);
    });
  },
);
