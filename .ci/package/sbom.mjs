// What is inside the program that is one file, as packages of SPDX.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describePackage, purl } from './spdx.mjs';

const REGISTRY = 'https://registry.npmjs.org';

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

/** Returns the program itself. */
export function describeProgram(root) {
  const { name, version, license } = readJson(join(root, 'package.json'));
  return describePackage(name, version, {
    licenseDeclared: license,
    primaryPackagePurpose: 'APPLICATION',
    externalRefs: [purl('generic', name, version)],
  });
}

/**
 * Returns what is inside the program for `processor`.
 * @param bundledPackages folders relative to `root`
 */
export function describeContents(root, processor, bundledPackages) {
  const native = `.ci/package/node_modules/@koromix/koffi-linux-${processor}`;
  const packages = [native, ...bundledPackages].map((folder) => describeNpmPackage(root, folder));
  return [describeNode(root, processor), ...packages];
}

function describeNpmPackage(root, folder) {
  const { name, version, license } = readJson(join(root, folder, 'package.json'));
  return describePackage(name, version, {
    downloadLocation: `${REGISTRY}/${name}/-/${name.replace(/.*\//, '')}-${version}.tgz`,
    licenseDeclared: license,
    checksums: [checksum(root, folder)],
    externalRefs: [purl('npm', name, version)],
  });
}

/** The package of npm has the program of nodejs.org, which scanners know by another name. */
function describeNode(root, processor) {
  const folder = `.ci/package/node_modules/node-linux-${processor}`;
  const npm = describeNpmPackage(root, folder);
  const version = npm.versionInfo;
  const cpe = {
    referenceCategory: 'SECURITY',
    referenceType: 'cpe23Type',
    referenceLocator: `cpe:2.3:a:nodejs:node.js:${version}:*:*:*:*:*:*:*`,
  };
  return describePackage('node', version, {
    downloadLocation: npm.downloadLocation,
    licenseDeclared: npm.licenseDeclared,
    checksums: npm.checksums,
    externalRefs: [purl('generic', 'node', version), ...npm.externalRefs, cpe],
  });
}

/** Returns the checksum of the archive that npm downloaded, from the lock file. */
function checksum(root, folder) {
  const [, lockFolder, path] = /^(.*?)\/?(node_modules\/.*)$/.exec(folder);
  const lock = readJson(join(root, lockFolder, 'package-lock.json'));
  const [algorithm, base64] = lock.packages[path].integrity.split('-');
  const checksumValue = Buffer.from(base64, 'base64').toString('hex');
  return { algorithm: algorithm.toUpperCase(), checksumValue };
}
