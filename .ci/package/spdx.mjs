// Lists of what is inside a product (SBOM), in JSON of SPDX 2.3:
// https://spdx.github.io/spdx-spec/v2.3/
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';

const DOCUMENT = 'SPDXRef-DOCUMENT';
const UNKNOWN = 'NOASSERTION';

/** Returns the time of the last commit, or SOURCE_DATE_EPOCH, in seconds since 1970. */
export function sourceTime(root) {
  const time = process.env.SOURCE_DATE_EPOCH || commitTime(root);
  if (!/^\d+$/.test(time)) {
    throw new Error(`SOURCE_DATE_EPOCH=${time}: expected seconds since 1970`);
  }
  return Number(time);
}

function commitTime(root) {
  try {
    const args = ['-C', root, 'log', '-1', '--format=%ct'];
    return execFileSync('git', args, { encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch (error) {
    const next = 'let SOURCE_DATE_EPOCH be the time of the source, in seconds since 1970';
    throw new Error(`${root} is no checkout of git: ${next}`, { cause: error });
  }
}

/**
 * Describes one package.
 * @param fields members of SPDX that replace those here
 */
export function describePackage(name, version, fields) {
  const id = `SPDXRef-${name}-${version}`.replace(/[^A-Za-z0-9.-]+/g, '-');
  return {
    SPDXID: id,
    name,
    versionInfo: version,
    downloadLocation: UNKNOWN,
    filesAnalyzed: false,
    licenseConcluded: UNKNOWN,
    licenseDeclared: UNKNOWN,
    copyrightText: UNKNOWN,
    ...fields,
  };
}

/** Names a package as scanners do, https://github.com/package-url/purl-spec */
export function purl(type, name, version, qualifiers = '') {
  // "+" and "@" have a meaning there; "/" separates the parts of a name.
  const encoded = name.split('/').map(encodeURIComponent).join('/');
  const locator = `pkg:${type}/${encoded}@${encodeURIComponent(version)}${qualifiers}`;
  return {
    referenceCategory: 'PACKAGE-MANAGER',
    referenceType: 'purl',
    referenceLocator: locator,
  };
}

/**
 * Returns the text of a document about `product`.
 * @param contents pairs of a package and what it contains, in the order of the document
 * @param time seconds since 1970
 */
export function spdxText(product, contents, time) {
  const packages = [product, ...contents.map(([, inside]) => inside)];
  const relate = (from, relationshipType, to) => {
    return { spdxElementId: from, relationshipType, relatedSpdxElement: to };
  };
  const relationships = contents.map(([outside, inside]) =>
    relate(outside.SPDXID, 'CONTAINS', inside.SPDXID),
  );
  const name = `${product.name}-${product.versionInfo}`;
  const digest = createHash('sha256').update(JSON.stringify(packages)).digest('hex');
  const document = {
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: DOCUMENT,
    name,
    // Each document needs its own: the same content has the same one.
    documentNamespace: `https://spdx.org/spdxdocs/${name}-${digest}`,
    creationInfo: {
      created: new Date(time * 1000).toISOString().replace('.000Z', 'Z'),
      creators: ['Tool: ostrata'],
    },
    packages,
    relationships: [relate(DOCUMENT, 'DESCRIBES', product.SPDXID), ...relationships],
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}
