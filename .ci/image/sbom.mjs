// The list of what is inside the image for one processor: the program with its own list, and
// packages of Debian.
import { describePackage, purl, spdxText } from '../package/spdx.mjs';

const POOL = 'http://deb.debian.org/debian';

/**
 * @param programSbom the text of the list that is beside the program
 * @param packages of Debian
 * @param time seconds since 1970
 */
export function imageSbom(programSbom, packages, architecture, time) {
  const [program, ...inside] = JSON.parse(programSbom).packages;
  const { name, versionInfo, licenseDeclared } = program;
  const image = describePackage(`${name}-image-${architecture}`, versionInfo, {
    licenseDeclared,
    primaryPackagePurpose: 'CONTAINER',
  });
  const contents = [
    [image, program],
    ...inside.map((each) => [program, each]),
    ...packages.map((each) => [image, describeDebianPackage(each)]),
  ];
  return spdxText(image, contents, time);
}

function describeDebianPackage({ name, version, architecture, sha256 }) {
  return describePackage(name, version, {
    downloadLocation: POOL,
    checksums: [{ algorithm: 'SHA256', checksumValue: sha256 }],
    externalRefs: [
      purl('deb', `debian/${name}`, version, `?arch=${architecture}&distro=debian-13`),
    ],
  });
}
