// npm run release -- [--version X.Y.Z|major|minor|patch] [--sign KEYID|none] [--dry-run]
// Makes a release of the last commit: its files in dist/release, and in the checkout a commit and a
// tag, which --dry-run leaves out. It never pushes: at the end it prints the commands that do.
//   --version  by default that of package.json, which has to be unreleased; a word raises it
//   --sign     a key of gpg, which signs SHA256SUMS; none by default
// Two runs give the same bytes (but a signature holds its time): the only time is that of the last
// commit, or SOURCE_DATE_EPOCH.
// Exit codes: 0 made, 1 not, and then nothing is left behind; 2 wrong arguments.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import semver from 'semver';
import { sourceTime } from '../package/spdx.mjs';
import { closeUnreleased, releaseNotes } from './changelog.mjs';
import { provenanceOf } from './provenance.mjs';

const root = dirname(dirname(import.meta.dirname));
const output = join(root, 'dist/release');
/** A clone of the checkout, in which the release is made: what git does not know stays outside. */
const clone = join(output, 'checkout');

const CHECKSUMS = '.github/actions/ostrata/checksums.txt';
/** The folders that have their own lock file. */
const LOCKED = ['.', '.ci/package'];
const LOCK_FILES = [
  ...LOCKED.map((folder) => join(folder, 'package-lock.json')),
  '.ci/image/packages.sha256',
];
const STEPS = ['major', 'minor', 'patch'];
/** Signatures hold the time at which they are made, and hooks could change the commit. */
const PLAIN_GIT = ['commit.gpgSign=false', 'tag.gpgSign=false', 'core.hooksPath=/dev/null'].flatMap(
  (setting) => ['-c', setting],
);

class UsageError extends Error {}

function say(text) {
  console.log(`release: ${text}`);
}

/** Runs a program, whose output the user sees. */
function run(folder, program, args, env = process.env) {
  execFileSync(program, args, { cwd: folder, env, stdio: 'inherit' });
}

/** Returns what git prints. */
function git(folder, ...args) {
  const output = execFileSync('git', args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return output.trimEnd();
}

function readArguments() {
  const options = {
    version: { type: 'string' },
    sign: { type: 'string', default: 'none' },
    'dry-run': { type: 'boolean', default: false },
  };
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new UsageError(error.message);
  }
}

function chooseVersion(wanted, current) {
  if (wanted === undefined) {
    return current;
  }
  const isStep = STEPS.includes(wanted);
  const version = isStep ? semver.inc(current, wanted) : semver.valid(wanted);
  if (version === null) {
    throw new UsageError(`--version=${wanted}: expected X.Y.Z or one of ${STEPS.join(', ')}`);
  }
  if (semver.lt(version, current)) {
    throw new Error(`${version} is older than ${current}, the version of package.json`);
  }
  return version;
}

function refuseChanges() {
  const changes = git(root, 'status', '--porcelain');
  if (changes !== '') {
    throw new Error(`commit or remove what differs from the last commit:\n${changes}`);
  }
}

function refuseReleased(version) {
  const tag = `v${version}`;
  if (git(root, 'tag', '--list', tag) !== '') {
    throw new Error(`the tag ${tag} exists: choose the next version with --version`);
  }
}

/** Returns an environment in which git writes commits and tags of the user at `time`. */
function gitEnvironment(time) {
  const identity = git(root, 'var', 'GIT_COMMITTER_IDENT');
  const [, name, email] = /^(.*) <(.*)> /.exec(identity);
  const date = `@${time} +0000`;
  return {
    ...process.env,
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
    GIT_COMMITTER_DATE: date,
  };
}

/** Clones the last commit, and lends the clone the packages that are installed. */
function cloneCheckout() {
  git(root, 'clone', '--quiet', '--shared', '--no-tags', root, clone);
  for (const folder of LOCKED) {
    const modules = join(folder, 'node_modules');
    symlinkSync(join(root, modules), join(clone, modules));
  }
}

function setVersion(version) {
  const args = ['version', version, '--no-git-tag-version', '--allow-same-version'];
  const quiet = ['--ignore-scripts', '--no-update-notifier', '--silent'];
  execFileSync('npm', [...args, ...quiet], {
    cwd: clone,
    env: { ...process.env, npm_config_logs_max: '0' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Makes the programs, what belongs to them, packages, the image, and an archive of manual pages. */
function packageClone(version, time) {
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(time) };
  run(clone, process.execPath, ['.ci/prepare.mjs', '--package']);
  for (const packager of ['.ci/package/index.mjs', '.ci/linux-packages/index.mjs']) {
    run(clone, process.execPath, [packager, `--output=${output}`], env);
  }
  const debs = `--debs=${join(root, 'dist/debian')}`;
  run(clone, process.execPath, ['.ci/image/index.mjs', `--output=${output}`, debs], env);
  const archive = `ostrata-${version}-man.tar.gz`;
  const options = [
    `--file=${archive}`,
    '--use-compress-program=gzip -9n',
    '--format=ustar',
    '--sort=name',
    `--mtime=@${time}`,
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--mode=u=rwX,go=rX',
  ];
  run(output, 'tar', ['--create', ...options, 'man']);
  rmSync(join(output, 'man'), { recursive: true });
}

function sha256(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Returns the name and the digest of each file of the release that is there so far, sorted. */
function digestFiles() {
  const entries = readdirSync(output, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  return names.sort().map((name) => ({ name, sha256: sha256(join(output, name)) }));
}

/** Returns lines as sha256sum prints them. */
function checksumLines(files) {
  return files.map((file) => `${file.sha256}  ${file.name}\n`).join('');
}

/** Lets the GitHub Action of this version take the programs of this version. */
function writeActionChecksums(files) {
  const path = join(clone, CHECKSUMS);
  const comments = readFileSync(path, 'utf8').match(/^#.*\n/gm) ?? [];
  const programs = files.filter(({ name }) => /-linux-\w+$/.test(name));
  writeFileSync(path, comments.join('') + checksumLines(programs));
}

/** Returns the commit. */
function commitAndTag(version, env) {
  const subject = `release: make version ${version}`;
  const commit = ['commit', '--quiet', '--all', `--message=${subject}`];
  run(clone, 'git', [...PLAIN_GIT, ...commit], env);
  const tag = ['tag', '--annotate', `--message=ostrata ${version}`, `v${version}`];
  run(clone, 'git', [...PLAIN_GIT, ...tag], env);
  return git(clone, 'rev-parse', 'HEAD');
}

/** Returns `sha256:` and 64 hexadecimal digits. */
function imageDigest(version) {
  return readFileSync(join(output, `ostrata-${version}-image.digest`), 'utf8').trimEnd();
}

function writeProvenance(version, commit, files) {
  const lockFiles = LOCK_FILES.map((name) => {
    return { name, sha256: sha256(join(clone, name)) };
  });
  // Those who verify an image know its digest, not that of an archive.
  const products = [...files, { name: 'ostrata-image', sha256: imageDigest(version).slice(7) }];
  const statement = provenanceOf({ tag: `v${version}`, commit, files: products, lockFiles });
  const text = JSON.stringify(statement, undefined, 2);
  writeFileSync(join(output, `ostrata-${version}-provenance.json`), `${text}\n`);
}

function writeSums(key) {
  writeFileSync(join(output, 'SHA256SUMS'), checksumLines(digestFiles()));
  if (key === 'none') {
    return;
  }
  say(`signs SHA256SUMS with the key ${key}`);
  const form = ['--armor', '--detach-sign', '--output=SHA256SUMS.asc'];
  run(output, 'gpg', ['--batch', `--local-user=${key}`, ...form, 'SHA256SUMS']);
}

/** Takes the commit and the tag from the clone into the checkout. */
function takeCommit(tag) {
  run(root, 'git', ['fetch', '--quiet', '--no-tags', clone, 'HEAD']);
  run(root, 'git', ['merge', '--quiet', '--ff-only', 'FETCH_HEAD']);
  const ref = `refs/tags/${tag}`;
  run(root, 'git', ['fetch', '--quiet', clone, `${ref}:${ref}`]);
}

function printCommands(version) {
  const folder = relative(root, output);
  const files = readdirSync(output).filter((name) => name !== 'notes.md');
  const prerelease = semver.prerelease(version) === null ? [] : ['--prerelease'];
  const options = [
    '--verify-tag',
    ...prerelease,
    `--title='ostrata ${version}'`,
    `--notes-file=${folder}/notes.md`,
    ...files.sort().map((name) => `${folder}/${name}`),
  ];
  console.log(`\n  git push --atomic origin HEAD v${version}`);
  console.log(`  gh release create v${version} \\\n    ${options.join(' \\\n    ')}`);
  const archive = `oci-archive:${folder}/ostrata-${version}-image.ociarchive`;
  const image = `docker://ghcr.io/OWNER/ostrata:${version}`;
  console.log(`  skopeo copy --all --preserve-digests ${archive} ${image}`);
  console.log(`\nThe digest of the image is ${imageDigest(version)}`);
}

/** Makes the commit and the tag in the clone, and the files for users. */
function makeRelease({ version, time, changelog, notes, env, key }) {
  say('clones the last commit');
  cloneCheckout();

  const date = new Date(time * 1000).toISOString().slice(0, 10);
  say(`writes version ${version} of ${date} into package.json, package-lock.json, CHANGELOG.md`);
  setVersion(version);
  const closed = closeUnreleased(changelog, version, date);
  writeFileSync(join(clone, 'CHANGELOG.md'), closed);

  say('makes the programs, the packages and the image');
  packageClone(version, time);
  const files = digestFiles();

  say(`writes the checksums of the programs into ${CHECKSUMS}`);
  writeActionChecksums(files);
  const commit = commitAndTag(version, env);
  say(`the commit is ${commit}, its tag v${version}`);

  say('writes the provenance, SHA256SUMS and the notes');
  writeProvenance(version, commit, files);
  writeSums(key);
  writeFileSync(join(output, 'notes.md'), notes);
}

function main() {
  const { version: wanted, sign: key, 'dry-run': isDryRun } = readArguments();
  const { version: current } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const version = chooseVersion(wanted, current);
  refuseChanges();
  refuseReleased(version);
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  const notes = releaseNotes(changelog);
  const time = sourceTime(root);
  const env = gitEnvironment(time);

  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  try {
    makeRelease({ version, time, changelog, notes, env, key });
    if (!isDryRun) {
      say('takes the commit and the tag into this checkout');
      takeCommit(`v${version}`);
    }
    rmSync(clone, { recursive: true });
  } catch (error) {
    rmSync(output, { recursive: true, force: true });
    throw error;
  }

  const next = isDryRun
    ? 'this was a dry run. Without --dry-run, these commands publish the release:'
    : 'nothing is pushed yet. These commands publish the release:';
  say(next);
  printCommands(version);
}

try {
  main();
} catch (error) {
  console.error(`release: ${error.message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
