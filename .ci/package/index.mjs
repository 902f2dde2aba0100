// node .ci/package/index.mjs [--output=DIR] [x64] [arm64]
// Makes the program that is one file, DIR/ostrata-VERSION-linux-PROCESSOR (DIR is dist unless it is
// given), for one or both processors, beside each the list of what is inside (SBOM) with .spdx.json
// at the end of its name, a file with the licenses of it, and manual pages in DIR/man. Two runs
// give the same bytes: the only time is that of the last commit, or SOURCE_DATE_EPOCH.
// `npm run package` also installs and compiles what this needs.
// Exit codes: 0 made, 1 not.
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from './bundle.mjs';
import { withBlob } from './executable.mjs';
import { licenseTexts } from './licenses.mjs';
import { describeContents, describeProgram } from './sbom.mjs';
import { sourceTime, spdxText } from './spdx.mjs';

const here = import.meta.dirname;
const root = dirname(dirname(here));
const packages = join(here, 'node_modules');

/** How the packages name their native code for each processor. */
const PROCESSORS = {
  x64: { zstd: 'glibc,true' },
  arm64: { zstd: 'armv8.glibc' },
};

const { values, positionals } = parseArgs({
  options: { output: { type: 'string', default: join(root, 'dist') } },
  allowPositionals: true,
});
const wanted = positionals.length > 0 ? positionals : Object.keys(PROCESSORS);

function nodeFor(processor) {
  return join(packages, `node-linux-${processor}`, 'bin/node');
}

/** Returns the files of native code, by the names by which native-addons.mjs asks for them. */
function nativeFiles(processor) {
  const prebuilds = join(root, 'node_modules/@cloudpss/zstd/prebuilds', `linux-${processor}`);
  const koffi = join(packages, `@koromix/koffi-linux-${processor}`);
  return {
    'koffi.node': join(koffi, `linux_${processor}`, 'koffi.node'),
    'zstd.node': join(prebuilds, `@cloudpss+zstd.${PROCESSORS[processor].zstd}.node`),
  };
}

/**
 * Lets Node make the blob of a single executable application,
 * https://nodejs.org/docs/latest-v24.x/api/single-executable-applications.html
 */
function makeBlob(modules, processor, scratch) {
  const assets = { 'package.json': join(root, 'package.json'), ...nativeFiles(processor) };
  for (const [name, text] of modules) {
    writeFileSync(join(scratch, name), text);
    assets[name] = name;
  }
  copyFileSync(join(here, 'boot.cjs'), join(scratch, 'boot.cjs'));
  const hooks = readFileSync(join(here, 'hooks.mjs'), 'utf8');
  const config = {
    main: 'boot.cjs',
    output: 'blob',
    assets,
    disableExperimentalSEAWarning: true,
    execArgv: [`--import=data:text/javascript,${encodeURIComponent(hooks)}`],
    // NODE_OPTIONS is meant for another Node.
    execArgvExtension: 'none',
  };
  writeFileSync(join(scratch, 'config.json'), JSON.stringify(config));

  const args = ['--experimental-sea-config', 'config.json'];
  execFileSync(nodeFor(process.arch), args, { cwd: scratch, stdio: 'pipe' });
  return readFileSync(join(scratch, 'blob'));
}

/** Returns the list of what is inside the program for a processor. */
function makeSbom(processor, bundledPackages, time) {
  const program = describeProgram(root);
  const inside = describeContents(root, processor, bundledPackages);
  const contents = inside.map((each) => [program, each]);
  return Buffer.from(spdxText(program, contents, time));
}

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const time = sourceTime(root);
mkdirSync(values.output, { recursive: true });
const manual = join(values.output, 'man');
const scratch = mkdtempSync(join(values.output, 'package-'));

/** Writes a file that is either complete or not there. */
function write(name, content, mode) {
  const temporary = join(scratch, 'output');
  const file = join(values.output, name);
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, file);
  console.log(`${file}: ${content.length} bytes`);
}

try {
  const { modules, bundledPackages } = await bundle(root);
  for (const processor of wanted) {
    const blob = makeBlob(modules, processor, scratch);
    const executable = withBlob(readFileSync(nodeFor(processor)), blob);
    const name = `ostrata-${version}-linux-${processor}`;
    write(name, executable, 0o755);
    write(`${name}.spdx.json`, makeSbom(processor, bundledPackages, time), 0o644);
  }
  execFileSync(process.execPath, [join(root, 'dist/src/cli/main.js'), 'man', manual]);
  console.log(`${manual}: manual pages`);
  write(`ostrata-${version}-licenses.txt`, licenseTexts(root, bundledPackages), 0o644);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
