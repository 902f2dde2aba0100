/** `build --format=ostree`: the commit of a tree is the one that `ostree commit` makes of it. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { fsck, pull, refs, refused } from '../support/client.js';
import { commitSignatures } from '../support/commit-signatures.js';
import { ostrata, run, tryOstrata } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';
import { initRepo, type World, world, worldNeeds } from '../support/world.js';

const TIME = 1_712_345_678;

interface Layer {
  readonly diffId: string;
  readonly reused: boolean;
}

interface Report {
  readonly commit: string;
  readonly layers: readonly Layer[];
}

/** Builds an encapsulated image and returns what `--json` says. */
function build(...args: readonly string[]): Report {
  return JSON.parse(ostrata(['build', '--format=ostree', `--created=${TIME}`, '--json', ...args]));
}

const newImage = () => `oci:${join(scratchDirectory(), 'image')}:x`;
const diffIds = ({ layers }: Report) => layers.map(({ diffId }) => diffId);

/** Returns the checksum of the commit that ostree makes of a tree in its final shape. */
function commit(repo: string, tree: string, ...options: readonly string[]): string {
  const source = [`--tree=dir=${tree}`, `--timestamp=@${TIME}`];
  const nothingElse = ['--orphan', '--no-bindings'];
  return run('ostree', ['commit', `--repo=${repo}`, ...source, ...nothingElse, ...options]).trim();
}

/** Copies a tree of the world, and gives it the shape of a running system. */
function deployedCopy(tree: string): string {
  const copy = join(scratchDirectory(), 'tree');
  run('cp', ['-a', tree, copy]);
  run('mv', [join(copy, 'usr/etc'), join(copy, 'etc')]);
  mkdirSync(join(copy, 'sysroot/ostree/repo'), { recursive: true });
  writeFileSync(join(copy, 'sysroot/ostree/repo/config'), '[core]\n');
  mkdirSync(join(copy, 'var/lib'));
  writeFileSync(join(copy, 'var/lib/state'), 'kept');
  return copy;
}

/** Does what the format does with such a tree. */
function shape(tree: string): void {
  run('mv', [join(tree, 'etc'), join(tree, 'usr/etc')]);
  run('rm', ['-r', join(tree, 'sysroot/ostree')]);
}

suite('an encapsulated image of a tree without a repository', needs(...worldNeeds), () => {
  let given: World;
  let repo: string;
  before(async () => {
    given = await world();
    repo = initRepo(join(scratchDirectory(), 'repo'), 'bare-user');
  });

  test('holds the commit that ostree makes of the tree', () => {
    const report = build(`--rootfs=${given.oldTree}`, '--dry-run', newImage());
    assert.equal(report.commit, commit(repo, given.oldTree));
  });

  test('holds the commit of these options', () => {
    const parent = `--parent=${given.oldCommit}`;
    const options = ['--subject=A subject: 1', parent];
    const pairs = ['version=40', 'z=', 'a.b=c=d'];
    const { commit: made } = build(
      `--rootfs=${given.newTree}`,
      ...options,
      ...pairs.flatMap((pair) => ['--commit-metadata', pair]),
      '--dry-run',
      newImage(),
    );
    const metadata = pairs.map((pair) => `--add-metadata-string=${pair}`);
    assert.equal(made, commit(repo, given.newTree, ...options, ...metadata));
  });

  test('has /etc as /usr/etc and nothing below /sysroot', () => {
    const tree = deployedCopy(given.oldTree);
    const image = newImage();
    const report = build(`--rootfs=${tree}`, image);
    const pulledInto = initRepo(join(scratchDirectory(), 'repo'), 'bare');
    pull(pulledInto, `ostree-unverified-image:${image}`);
    fsck(pulledInto);
    shape(tree);
    assert.equal(report.commit, commit(repo, tree));
    run('ostree', [`--repo=${pulledInto}`, 'show', report.commit]);
  });

  test('is that of a tar and of an image of the tree', () => {
    const tree = deployedCopy(given.oldTree);
    const tar = join(scratchDirectory(), 'tree.tar');
    run('tar', ['-C', tree, '--xattrs', '--xattrs-include=*', '-cf', tar, '.']);
    const fromTar = build(`--from=tar:${tar}`, newImage());
    const fromDirectory = build(`--rootfs=${tree}`, newImage());
    assert.equal(fromTar.commit, fromDirectory.commit);
    assert.deepEqual(diffIds(fromTar), diffIds(fromDirectory));
  });

  test('has the layers that the image of the same commit in a repository has', () => {
    for (const version of ['1', '2']) {
      const format = `--format-version=${version}`;
      const made = build(`--rootfs=${given.oldTree}`, format, newImage());
      const args = ['container-encapsulate', `--repo=${repo}`, format, '--json'];
      const image = newImage();
      const encapsulated: Report = JSON.parse(ostrata([...args, made.commit, image]));
      assert.equal(encapsulated.commit, made.commit);
      assert.deepEqual(diffIds(made), diffIds(encapsulated));
      const follow = ['--dry-run', `--previous-build=${image}`];
      const next = build(`--rootfs=${given.oldTree}`, format, ...follow, newImage());
      assert.ok(next.layers.every(({ reused }) => reused));
    }
  });

  test('says what bootc looks for, unless the user removes it', () => {
    const image = newImage();
    const { commit: made } = build(
      `--rootfs=${given.oldTree}`,
      '--label=a=1',
      '--label=ostree.bootable-',
      '--commit-metadata=version=40',
      image,
    );
    const { Labels: labels } = JSON.parse(run('skopeo', ['inspect', image]));
    assert.equal(labels['containers.bootc'], '1');
    assert.equal(labels['ostree.linux'], undefined, 'there are two kernels');
    assert.equal(labels['ostree.bootable'], undefined);
    assert.equal(labels['org.opencontainers.image.version'], '40');
    assert.equal(labels['ostree.commit'], made);
    assert.equal(labels.a, '1');
  });

  test('is signed by a key file, also in the repository that keeps the commit', () => {
    const keyFile = join(scratchDirectory(), 'key.pem');
    run('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', keyFile]);
    const kept = initRepo(join(scratchDirectory(), 'kept'), 'archive');
    const sign = [`--sign-commit=spki=${keyFile}`, `--write-commit-to=${kept}`];
    const { commit: made } = build(`--rootfs=${given.oldTree}`, ...sign, newImage());
    const signatures = commitSignatures(kept, made, 'ostree.sign.spki');
    assert.deepEqual(
      signatures.map(({ length }) => length),
      [64],
    );
  });

  test('reuses the layers of the previous build', () => {
    const tree = deployedCopy(given.oldTree);
    const image = newImage();
    build(`--rootfs=${tree}`, image);
    appendFileSync(join(tree, 'usr/share/big.bin'), 'changed');
    const next = build(`--rootfs=${tree}`, `--previous-build=${image}`, newImage());
    const reused = next.layers.map((layer) => layer.reused);
    assert.equal(reused.filter((isReused) => !isReused).length, 2, 'the commit and the file');
  });

  for (const mode of ['bare', 'archive']) {
    test(`keeps the commit in a repository of mode ${mode}`, () => {
      const kept = initRepo(join(scratchDirectory(), 'kept'), mode);
      const tree = deployedCopy(given.oldTree);
      const keep = [`--write-commit-to=${kept}`, '--commit-ref=os/stable'];
      const { commit: made } = build(`--rootfs=${tree}`, ...keep, newImage());
      fsck(kept);
      assert.deepEqual(refs(kept), ['os/stable']);
      assert.equal(run('ostree', [`--repo=${kept}`, 'rev-parse', 'os/stable']).trim(), made);
    });
  }
});

/** A policy of a few types. libselinux asks for a binary policy, too, but does not load it. */
function addPolicy(selinux: string): void {
  const files = join(selinux, 'test/contexts/files');
  mkdirSync(files, { recursive: true });
  mkdirSync(join(selinux, 'test/policy'));
  writeFileSync(join(selinux, 'config'), 'SELINUX=permissive\nSELINUXTYPE=test\n');
  writeFileSync(join(selinux, 'test/policy/policy.31'), 'policy');
  const contexts = [
    '/.* system_u:object_r:default_t:s0',
    '/etc(/.*)? system_u:object_r:etc_t:s0',
    '/usr/.* -l system_u:object_r:link_t:s0',
    '/usr/bin/.* -- system_u:object_r:bin_t:s0',
    '/usr/share/unowned/.* <<none>>',
    '/ -d system_u:object_r:root_t:s0',
  ];
  writeFileSync(join(files, 'file_contexts'), contexts.join('\n').concat('\n'));
}

suite('the SELinux labels in an encapsulated image of a tree', needs(...worldNeeds), () => {
  let repo: string;
  /** A tree with a policy, other labels, and a file whose two names have different labels. */
  let tree: string;
  before(async () => {
    const { oldTree } = await world();
    repo = initRepo(join(scratchDirectory(), 'repo'), 'bare');
    tree = deployedCopy(oldTree);
    addPolicy(join(tree, 'etc/selinux'));
    writeFileSync(join(tree, 'usr/bin/two-names'), 'one file');
    linkSync(join(tree, 'usr/bin/two-names'), join(tree, 'usr/share/two-names'));
  });

  /** Returns the commit that has the labels of `tree` as it is, after the changes of the format. */
  function labeledCommit(): string {
    const source = [`--tree=dir=${tree}`, `--selinux-policy=${tree}`, '--orphan'];
    const labeled = run('ostree', ['commit', `--repo=${repo}`, ...source]).trim();
    const checkout = join(scratchDirectory(), 'checkout');
    run('ostree', ['checkout', `--repo=${repo}`, '--force-copy', labeled, checkout]);
    shape(checkout);
    return commit(repo, checkout);
  }

  test('are those that ostree finds by the policy, before /etc becomes /usr/etc', () => {
    const { commit: made } = build(`--rootfs=${tree}`, '--dry-run', newImage());
    assert.equal(made, labeledCommit());
    const listed = run('ostree', ['ls', `--repo=${repo}`, '-XR', made]);
    for (const label of ['bin_t', 'default_t', 'etc_t', 'link_t', 'root_t']) {
      assert.match(listed, new RegExp(`security.selinux.*${label}`), label);
    }
  });

  test('are the same if the tree comes as a tar or as an image', () => {
    const tar = join(scratchDirectory(), 'tree.tar');
    run('tar', ['-C', tree, '--xattrs', '--xattrs-include=*', '-cf', tar, '.']);
    const fromDirectory = build(`--rootfs=${tree}`, newImage());
    const fromTar = build(`--from=tar:${tar}`, newImage());
    assert.equal(fromTar.commit, fromDirectory.commit);
    assert.deepEqual(diffIds(fromTar), diffIds(fromDirectory));
  });

  test('are those of the tree with --selinux=none', () => {
    const { commit: made } = build(`--rootfs=${tree}`, '--selinux=none', '--dry-run', newImage());
    const copy = join(scratchDirectory(), 'tree');
    run('cp', ['-a', tree, copy]);
    shape(copy);
    assert.equal(made, commit(repo, copy));
  });

  test('have to be there with --selinux=require', () => {
    const bare = join(scratchDirectory(), 'tree');
    mkdirSync(join(bare, 'usr'), { recursive: true });
    const call = ['build', '--format=ostree', `--rootfs=${bare}`, '--selinux=require', newImage()];
    refused(call, /has no SELinux policy: SELINUX in \/etc\/selinux\/config has to be enforcing/);
    mkdirSync(join(bare, 'usr/etc/selinux'), { recursive: true });
    writeFileSync(join(bare, 'usr/etc/selinux/config'), 'SELINUX=enforcing\nSELINUXTYPE=x\n');
    refused(call, /SELinux policy x: .*file_contexts is missing/);
    const { stderr } = tryOstrata(['build', '--format=ostree', `--rootfs=${bare}`, newImage()]);
    assert.match(stderr, /warning: .*file_contexts is missing; files keep the SELinux labels/);
  });
});

suite('an encapsulated image of a tree is refused', () => {
  const refuse = (tree: string, message: RegExp, ...options: readonly string[]) => {
    const image = join(scratchDirectory(), 'image');
    refused(
      ['build', '--format=ostree', `--rootfs=${tree}`, ...options, `oci:${image}:x`],
      message,
    );
    assert.equal(existsSync(image), false);
  };
  const treeOf = (...directories: readonly string[]) => {
    const tree = scratchDirectory();
    for (const directory of directories) {
      mkdirSync(join(tree, directory), { recursive: true });
    }
    return tree;
  };

  test('if there are both /etc and /usr/etc', () => {
    const tree = treeOf('etc', 'usr/etc');
    refuse(tree, /has both \/etc and \/usr\/etc, .* --prune leaves out one of them/);
    build(`--rootfs=${tree}`, '--prune=/etc', '--quiet', newImage());
  });

  test('if /etc is a file, or there is no /usr', () => {
    const tree = treeOf('usr');
    writeFileSync(join(tree, 'etc'), '');
    refuse(tree, /\/etc is not a directory/);
    refuse(treeOf('etc'), /has \/etc, but no \/usr/);
  });

  test('if there is a pipe, unless it is to be left out', () => {
    const tree = treeOf('usr');
    run('mkfifo', [join(tree, 'usr/pipe')]);
    refuse(tree, /usr\/pipe is a socket, a pipe or a device; --skip-special-files/);
    build(`--rootfs=${tree}`, '--skip-special-files', '--quiet', newImage());
  });

  test('if the repository that is to keep the commit does not exist', () => {
    const tree = treeOf('usr');
    refuse(
      tree,
      /option --write-commit-to: no ostree repository at \/none/,
      '--write-commit-to=/none',
    );
  });

  test('if options do not go together', () => {
    const tree = treeOf('usr');
    const usage = (message: RegExp, ...options: readonly string[]) => {
      const call = ['build', `--rootfs=${tree}`, ...options, newImage()];
      const { status, stderr } = tryOstrata(call);
      assert.match(stderr, message);
      assert.equal(status, 2);
    };
    const ostree = '--format=ostree';
    usage(/option --mtime needs --format=plain: a commit records no times/, ostree, '--mtime=zero');
    usage(/option --base needs --format=plain/, ostree, '--base=oci:x');
    usage(/option --commit-ref needs --write-commit-to/, ostree, '--commit-ref=a');
    const kept = `--write-commit-to=${initRepo(join(scratchDirectory(), 'kept'), 'bare')}`;
    usage(/option --commit-ref: "\.\.\/a" is not a name/, ostree, kept, '--commit-ref=../a');
    usage(/option --max-layers of at least 2 is needed/, ostree, '--max-layers=1');
    usage(/option --subject needs --format=ostree/, '--subject=a');
    usage(/option --format-version needs --format=ostree/, '--format-version=1');
    usage(/expected KEY=VALUE/, ostree, '--commit-metadata==a');
    usage(/the key a is given twice/, ostree, '--commit-metadata=a=1', '--commit-metadata=a=2');
    usage(/expected the checksum of a commit/, ostree, '--parent=1234');
    assert.deepEqual(readdirSync(tree), ['usr']);
  });
});
