/** Verification from the command line: keys of an ostree remote, and the policy of the host. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { pull, refs, refused } from '../support/client.js';
import { startRegistry } from '../support/docker-registry.js';
import { encapsulate, type Image } from '../support/read-image.js';
import { run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { commitTree, initRepo, type World, world, worldNeeds } from '../support/world.js';

suite('signed images', needs(...worldNeeds), () => {
  let given: World;
  let scratch: string;
  let image: Image;
  let key: string;

  before(async () => {
    given = await world();
    scratch = scratchDirectory();
    image = encapsulate(given.repo, 'os/old', join(scratch, 'image'), ['--max-layers=4']).image;
    key = join(scratch, 'key.asc');
    writeFileSync(key, run('gpg', ['--homedir', given.gnupg, '--batch', '--armor', '--export']));
  });

  function repoWithRemotes(name: string): string {
    const repo = initRepo(join(scratch, name), 'bare-user');
    const add = (...args: string[]) =>
      run('ostree', [`--repo=${repo}`, 'remote', 'add', ...args, 'https://example.invalid/']);
    add(`--gpg-import=${key}`, 'signer');
    add(
      '--set=sign-verify=true',
      `--set=verification-ed25519-key=${Buffer.alloc(32, 1).toString('base64')}`,
      `--gpg-import=${key}`,
      'both',
    );
    add('--no-gpg-verify', 'nothing');
    return repo;
  }

  test('are verified with the keys of a remote, as ostree does', () => {
    const repo = repoWithRemotes('remote');
    const imgref = `ostree-remote-image:signer:${image.reference}`;
    const { status, stderr } = tryOstrata([
      'container',
      'image',
      'pull',
      '--verbose',
      repo,
      imgref,
    ]);
    assert.equal(status, 0, stderr);
    assert.match(stderr, /GPG: good signature by Tester <tester@example\.invalid>/);
    const shown = run('ostree', [
      `--repo=${repo}`,
      'show',
      '--gpg-verify-remote=signer',
      given.oldCommit,
    ]);
    assert.match(shown, /Good signature from "Tester <tester@example\.invalid>"/);
    assert.equal(pull(repo, imgref).layersFetched, 0);
  });

  test('are refused without a remote that verifies, even if they were pulled before', () => {
    const repo = repoWithRemotes('refused');
    const attempts = (call: readonly string[]) => {
      refused([...call, `ostree-remote-image:other:${image.reference}`], /no remote "other"/);
      refused(
        [...call, `ostree-remote-image:nothing:${image.reference}`],
        /remote nothing verifies nothing/,
      );
      refused(
        [...call, `ostree-remote-image:both:${image.reference}`],
        /no signatures ostree\.sign\.ed25519/,
      );
    };
    attempts(['container', 'unencapsulate', `--repo=${repo}`]);
    assert.deepEqual(refs(repo), []);
    pull(repo, `ostree-unverified-image:${image.reference}`);
    attempts(['container', 'image', 'pull', '--quiet', repo]);
  });

  test('are refused if the commit has no signature', () => {
    const tree = join(scratch, 'tree');
    mkdirSync(join(tree, 'usr'), { recursive: true });
    const source = initRepo(join(scratch, 'unsigned'), 'archive');
    commitTree(source, 'os', tree);
    const unsigned = encapsulate(source, 'os', join(scratch, 'unsigned-image')).image;
    const repo = repoWithRemotes('takes-no-unsigned');
    const call = ['container', 'unencapsulate', `--repo=${repo}`];
    refused(
      [...call, `ostree-remote-image:signer:${unsigned.reference}`],
      /it has no detached metadata, so no signature/,
    );
    assert.deepEqual(refs(repo), []);
  });

  suite('with a policy of the host', needs('docker-registry', 'skopeo'), () => {
    test('are pulled only if a rule accepts them by a signature', async () => {
      const registry = await startRegistry(join(scratch, 'registry'));
      try {
        const home = join(scratch, 'home');
        const config = join(home, '.config/containers');
        mkdirSync(join(config, 'registries.d'), { recursive: true });
        const write = (name: string, value: unknown) =>
          writeFileSync(join(config, name), JSON.stringify(value));
        write('registries.d/test.yaml', {
          docker: {
            [registry.host]: {
              lookaside: `file://${scratch}/signatures`,
              'lookaside-staging': `file://${scratch}/signatures`,
              sigstore: `file://${scratch}/signatures`,
              'sigstore-staging': `file://${scratch}/signatures`,
            },
          },
        });
        const policy = (fallback: string) =>
          write('policy.json', {
            default: [{ type: fallback }],
            transports: {
              docker: { [registry.host]: [{ type: 'signedBy', keyType: 'GPGKeys', keyPath: key }] },
              oci: { '': [{ type: 'insecureAcceptAnything' }] },
            },
          });
        policy('reject');
        const env = { HOME: home, XDG_CONFIG_HOME: '', GNUPGHOME: given.gnupg };
        const push = (tag: string, ...args: string[]) =>
          run(
            'skopeo',
            [
              'copy',
              '--quiet',
              '--dest-tls-verify=false',
              '--preserve-digests',
              ...args,
              image.reference,
              `docker://${registry.host}/os:${tag}`,
            ],
            { env },
          );
        push('unsigned');
        const repo = initRepo(join(scratch, 'policy'), 'bare-user');
        const call = ['container', 'image', 'pull', '--quiet', '--tls-verify=false', repo];
        const fails = (message: RegExp) => {
          const { status, stderr } = tryOstrata(
            [...call, `ostree-image-signed:registry:${registry.host}/os:unsigned`],
            { env },
          );
          assert.notEqual(status, 0);
          assert.match(stderr, message);
          assert.deepEqual(refs(repo), []);
        };
        fails(/signature policy for registry:.*: refused: .*signature/i);
        policy('insecureAcceptAnything');
        fails(/has the default insecureAcceptAnything: nothing would be verified/);
        policy('reject');
        push('signed', '--sign-by=tester@example.invalid');
        const { status, stderr } = tryOstrata(
          [...call, `ostree-image-signed:docker://${registry.host}/os:signed`],
          {
            env,
          },
        );
        assert.equal(status, 0, stderr);
      } finally {
        await registry.stop();
      }
    });
  });
});
