// node .ci/prepare.mjs [--package] [--tools]
// Makes a checkout ready to run: installs the npm dependencies and compiles, each only if needed.
//   --package  also installs what makes the program that is one file, about 400 MB
//   --tools    does the same, and installs the programs that tests use with apt-get as root, or
//              names them
// Exit codes: 0 ready, 1 something could not be installed or compiled.
// It is plain JavaScript without dependencies, because it runs before any are installed.
import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { delimiter, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const inCi = process.env.CI === 'true';

function fail(message) {
  console.error(`prepare: ${message}`);
  process.exit(1);
}

/** Runs a program and shows its output; returns whether it succeeded. */
function run(program, args, options = {}) {
  console.error(`$ ${[program, ...args].join(' ')}`);
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    ...options,
  });
  if (error) {
    console.error(`prepare: ${program}: ${error.message}`);
  }
  return status === 0;
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const required = engines.node.match(/\d+/g).map(Number);
  const present = process.versions.node.split('.').map(Number);
  const at = required.findIndex((part, index) => part !== present[index]);
  if (at >= 0 && present[at] < required[at]) {
    const versions = `${engines.node} is needed, this is ${process.versions.node}`;
    fail(`Node ${versions}; see https://nodejs.org/en/download`);
  }
}

/** Whether node_modules holds what package-lock.json names; optional packages may be absent. */
function dependenciesAreInstalled(folder) {
  const installed = join(folder, 'node_modules/.package-lock.json');
  if (!existsSync(installed)) {
    return false;
  }
  const read = (file) => JSON.parse(readFileSync(file, 'utf8')).packages;
  const have = read(installed);
  return Object.entries(read(join(folder, 'package-lock.json'))).every(
    ([path, { version, optional }]) =>
      path === '' || (have[path] ? have[path].version === version : optional),
  );
}

function installDependencies(folder) {
  if (dependenciesAreInstalled(folder)) {
    return;
  }
  const modules = relative(root, join(folder, 'node_modules'));
  console.error(`prepare: ${modules} is missing or does not match package-lock.json`);
  if (!run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder })) {
    fail('npm ci failed: see above; it needs the npm registry');
  }
}

function newestSource(path) {
  const stats = lstatSync(path);
  if (!stats.isDirectory()) {
    return stats.mtimeMs;
  }
  // The time of the directory changes when a file in it is removed.
  return Math.max(
    stats.mtimeMs,
    ...readdirSync(path).map((name) => newestSource(join(path, name))),
  );
}

/**
 * Compiles if a source is newer than the last compilation. It deletes the old output first, so that
 * a test whose source was removed does not run.
 */
function compile() {
  const sources = ['src', 'plugins', 'test'];
  const inputs = [...sources, 'tsconfig.json', 'package-lock.json']
    .map((name) => join(root, name))
    .filter(existsSync);
  const outputs = ['src/index.js', 'test/demo.js'].map((name) => join(root, 'dist', name));
  const compiled = Math.min(
    ...outputs.map((file) => (existsSync(file) ? statSync(file).mtimeMs : 0)),
  );
  if (compiled > Math.max(...inputs.map(newestSource))) {
    return;
  }
  for (const name of sources) {
    rmSync(join(root, 'dist', name), { recursive: true, force: true });
  }
  if (!run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--noEmitOnError'])) {
    fail('the sources do not compile');
  }
}

function isOnPath(program) {
  // Programs for administrators are in directories that are not on the path of every user.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function missingTools() {
  const tools = Object.values(JSON.parse(readFileSync(join(root, '.ci/tools.json'), 'utf8')));
  return tools.filter(({ programs }) => !programs.every(isOnPath));
}

function installTools() {
  let missing = missingTools();
  if (missing.length === 0) {
    return;
  }
  const packages = (system) => missing.map((tool) => tool[system]).join(' ');
  const programs = missing.flatMap((tool) => tool.programs.filter((name) => !isOnPath(name)));
  console.error(`prepare: missing programs: ${programs.join(' ')}`);
  if (process.getuid?.() === 0 && isOnPath('apt-get')) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    run('apt-get', ['update', '-qq'], { env });
    run(
      'apt-get',
      ['install', '-y', '-qq', '--no-install-recommends', ...packages('debian').split(' ')],
      { env },
    );
    missing = missingTools();
    if (missing.length === 0) {
      return;
    }
  }
  console.error('prepare: for the end-to-end tests install, as root,');
  console.error(`prepare:   Debian, Ubuntu: apt-get install ${packages('debian')}`);
  console.error(`prepare:   Fedora:         dnf install ${packages('fedora')}`);
  if (inCi) {
    fail('in CI no test may be skipped because a program is missing');
  }
  console.error('prepare: tests that need them will be skipped');
}

const needsTools = process.argv.includes('--tools');
checkNode();
installDependencies(root);
if (needsTools || process.argv.includes('--package')) {
  installDependencies(join(root, '.ci/package'));
}
compile();
if (needsTools) {
  installTools();
}
