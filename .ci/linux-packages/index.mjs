// node .ci/linux-packages/index.mjs [OPTION].. [x64] [arm64]
// Makes packages for Linux distributions, DIR/ostrata-VERSION-1.ARCHITECTURE.rpm by rpmbuild and
// DIR/ostrata_VERSION_ARCHITECTURE.deb by dpkg-deb, for both processors or one.
//   --rpm, --deb    makes packages of this kind only
//   --output=DIR    where to write; dist unless it is given
//   --programs=DIR  what `npm run package` made; the same as --output unless it is given
// Two runs give the same bytes: the only time is that of the last commit, or SOURCE_DATE_EPOCH.
// `npm run package:linux` also installs, compiles and packages what this needs.
// Exit codes: 0 made, 1 not.
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { sourceTime } from '../package/spdx.mjs';
import { deb } from './deb.mjs';
import { readCompletions, stageFiles } from './files.mjs';
import { rpm } from './rpm.mjs';

const root = dirname(dirname(import.meta.dirname));
const KINDS = { rpm, deb };
const PROCESSORS = ['x64', 'arm64'];
/** The packages of Debian and Fedora that have the programs. */
const TOOLS = { rpmbuild: 'rpm or rpm-build', 'dpkg-deb': 'dpkg' };

const { values, positionals } = parseArgs({
  options: {
    rpm: { type: 'boolean' },
    deb: { type: 'boolean' },
    output: { type: 'string', default: join(root, 'dist') },
    programs: { type: 'string' },
  },
  allowPositionals: true,
});
const processors = positionals.length > 0 ? positionals : PROCESSORS;
const kinds = Object.keys(KINDS);
const wanted = kinds.some((kind) => values[kind]) ? kinds.filter((kind) => values[kind]) : kinds;

const output = resolve(values.output);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const source = {
  root,
  version,
  programs: resolve(values.programs ?? output),
  completions: readCompletions(root),
};
const time = sourceTime(root);
/** What follows `~` makes a version older, as what follows `-` does in semantic versions. */
const packageVersion = version.replaceAll('-', '~');

/** Writes a package that is either complete or not there. */
function makePackage({ architectures, places, fileName, build }, processor, scratch) {
  const architecture = architectures[processor];
  const staged = join(scratch, 'staged');
  stageFiles(staged, { ...source, processor, places, time });
  const made = build({ root, staged, scratch, architecture, version: packageVersion, time });
  const file = join(output, fileName(version, architecture));
  renameSync(made, file);
  console.log(`${file}: ${statSync(file).size} bytes`);
}

function makePackages() {
  mkdirSync(output, { recursive: true });
  for (const processor of processors) {
    for (const kind of wanted) {
      const scratch = mkdtempSync(join(output, `${kind}-`));
      try {
        makePackage(KINDS[kind], processor, scratch);
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    }
  }
}

function explain({ code, path, message }) {
  if (code !== 'ENOENT') {
    return message;
  }
  const tool = TOOLS[path];
  return tool === undefined
    ? `${message}: run \`npm run package\` first`
    : `cannot run ${path}: install the package ${tool}`;
}

// Folders and files get the same modes everywhere.
process.umask(0o022);
try {
  makePackages();
} catch (error) {
  console.error(`package:linux: ${explain(error)}`);
  process.exitCode = 1;
}
