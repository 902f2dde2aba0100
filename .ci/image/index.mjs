// npm run image -- [OPTION].. [x64] [arm64]
// Makes the container image of ostrata for both processors or one: an OCI archive with an index,
// ostrata-VERSION-image.ociarchive, its digest beside it, and for each processor the list of what is
// inside (SBOM). It needs apt-get, dpkg-deb and GNU tar, but neither root nor a container tool.
//   --output=DIR     where to write; dist unless it is given
//   --programs=DIR   what `npm run package` made, for these processors and for that of this machine;
//                    the same as --output unless it is given
//   --packages=FILE  the list of packages of Debian; .ci/image/packages.sha256 unless it is given
//   --debs=DIR       the packages, of which those that are missing are downloaded; dist/debian unless
//                    it is given
//   --sources=FILE   where they are downloaded; .ci/image/debian.sources unless it is given
//   --update         first writes the newest packages into the list
//   --help           prints this
// Two runs give the same bytes: the only time is that of the last commit, or SOURCE_DATE_EPOCH.
// `npm run image` also installs, compiles and packages what this needs: 400 MB of npm packages.
// Exit codes: 0 made, 1 not, 2 wrong arguments.
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { sourceTime } from '../package/spdx.mjs';
import { getPackages } from './debian.mjs';
import { joinImages } from './oci.mjs';
import { makeRoot } from './root.mjs';
import { imageSbom } from './sbom.mjs';

const here = import.meta.dirname;
const root = dirname(dirname(here));

/** How Debian, and images, name the processors. */
const ARCHITECTURES = new Map([
  ['x64', 'amd64'],
  ['arm64', 'arm64'],
]);
/** From here on, higher levels take several times as long and save less than a hundredth. */
const ZSTD_LEVEL = 9;

const OWNER = ['--owner=0', '--group=0', '--numeric-owner'];

class UsageError extends Error {}

function readArguments() {
  const options = {
    output: { type: 'string', default: join(root, 'dist') },
    programs: { type: 'string' },
    packages: { type: 'string', default: join(here, 'packages.sha256') },
    debs: { type: 'string', default: join(root, 'dist/debian') },
    sources: { type: 'string', default: join(here, 'debian.sources') },
    update: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  };
  const parsed = parse(options);
  const names = [...ARCHITECTURES.keys()];
  const unknown = parsed.positionals.find((each) => !names.includes(each));
  if (unknown !== undefined) {
    throw new UsageError(`${unknown}: expected one of ${names.join(', ')}`);
  }
  const processors = names.filter(
    (each) => parsed.positionals.length === 0 || parsed.positionals.includes(each),
  );
  return { ...parsed.values, programs: parsed.values.programs ?? parsed.values.output, processors };
}

function parse(options) {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
}

/** Prints the comment at the beginning of this file. */
function printHelp() {
  const [text] = /^(\/\/.*\n)+/.exec(readFileSync(import.meta.filename, 'utf8'));
  console.log(text.replace(/^\/\/ ?/gm, '').trimEnd());
}

const { name, version, description, license } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
);
const ANNOTATIONS = {
  'org.opencontainers.image.title': name,
  'org.opencontainers.image.version': version,
  'org.opencontainers.image.description': description,
  'org.opencontainers.image.licenses': license,
};

function configFor(architecture) {
  const config = {
    Entrypoint: ['/usr/libexec/ostrata/entrypoint'],
    Env: ['PATH=/usr/bin:/usr/sbin', 'CHUNKAH_ROOTFS=/chunkah'],
    WorkingDir: '/srv',
    Labels: ANNOTATIONS,
  };
  return JSON.stringify({ architecture, os: 'linux', config });
}

/** Returns the path of what `npm run package` makes. */
function packaged({ programs }, end) {
  const file = join(programs, `ostrata-${version}-${end}`);
  if (!existsSync(file)) {
    throw new Error(`${file} is missing: \`npm run package\` makes it`);
  }
  return file;
}

/** Adds the image for one processor to the layout; returns the list of what is inside. */
function addImage(options, processor, packages, { scratch, layout, time }) {
  const architecture = ARCHITECTURES.get(processor);
  const program = packaged(options, `linux-${processor}`);
  const own = packages.filter((each) => each.architecture === architecture);
  const programSbom = readFileSync(packaged(options, `linux-${processor}.spdx.json`), 'utf8');
  const sbom = imageSbom(programSbom, own, architecture, time);
  const licenses = readFileSync(packaged(options, 'licenses.txt'));
  const folder = join(scratch, architecture);
  mkdirSync(folder);
  makeRoot(folder, own, { program, sbom, licenses, entrypoint: join(here, 'entrypoint') });

  // The files belong to root in the image, whoever makes it.
  const tar = `${folder}.tar`;
  execFileSync('tar', ['--create', `--file=${tar}`, ...OWNER, `--directory=${folder}`, '.']);
  const args = [
    'build',
    '--quiet',
    `--from=tar:${tar}`,
    `--arch=${architecture}`,
    `--config-str=${configFor(architecture)}`,
    ...Object.entries(ANNOTATIONS).map(([key, value]) => `--annotation=${key}=${value}`),
    `--mapping=${join(here, 'mapping.json')}`,
    // gzip gives other bytes on other processors.
    '--compression=zstd',
    `--compression-level=${ZSTD_LEVEL}`,
    '--no-cache',
    `--spool=${scratch}`,
    `oci:${layout}:${architecture}`,
  ];
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(time) };
  const builder = packaged(options, `linux-${process.arch}`);
  const printed = execFileSync(builder, args, { env, encoding: 'utf8' });
  console.log(printed.trimEnd());
  return sbom;
}

/** Packs the layout; returns the archive. */
function pack(layout, archive) {
  const options = ['--format=ustar', '--sort=name', '--mtime=@0', '--mode=u=rwX,go=rX', ...OWNER];
  const names = ['oci-layout', 'index.json', 'blobs'];
  execFileSync('tar', [
    '--create',
    `--file=${archive}`,
    ...options,
    `--directory=${layout}`,
    ...names,
  ]);
}

/** Makes the image in the folder `files`. */
function makeImage(options, scratch, files) {
  const { processors } = options;
  const packages = getPackages({
    list: options.packages,
    sources: options.sources,
    folder: options.debs,
    architectures: processors.map((each) => ARCHITECTURES.get(each)),
    isUpdate: options.update,
  });
  const layout = join(scratch, 'layout');
  const time = sourceTime(root);
  for (const processor of processors) {
    const sbom = addImage(options, processor, packages, { scratch, layout, time });
    writeFileSync(join(files, `ostrata-${version}-image-${processor}.spdx.json`), sbom);
  }
  const digest = joinImages(layout, `localhost/${name}:${version}`, ANNOTATIONS);
  writeFileSync(join(files, `ostrata-${version}-image.digest`), `${digest}\n`);
  pack(layout, join(files, `ostrata-${version}-image.ociarchive`));
  console.log(`the digest of the image is ${digest}`);
}

function main() {
  const options = readArguments();
  if (options.help) {
    printHelp();
    return;
  }
  // The modes of files do not depend on the user.
  process.umask(0o022);
  mkdirSync(options.output, { recursive: true });
  const scratch = mkdtempSync(join(options.output, 'image-'));
  try {
    const files = join(scratch, 'files');
    mkdirSync(files);
    makeImage(options, scratch, files);
    for (const each of readdirSync(files)) {
      const file = join(options.output, each);
      renameSync(join(files, each), file);
      console.log(`${file}: ${statSync(file).size} bytes`);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  main();
} catch (error) {
  console.error(`image: ${error.message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
