// expected.mjs : turns what `rpm -qa --qf "$(cat expected.qf)"` prints into expected.json.
// Bytes that are not UTF-8 (file names, link targets) become {"hex": "..."}; "(none)" becomes null.
import { readFileSync } from 'node:fs';

const strict = new TextDecoder('utf-8', { fatal: true });
const text = (bytes) => {
  try {
    return strict.decode(bytes);
  } catch {
    return { hex: bytes.toString('hex') };
  }
};
const optional = (value) => (value === '(none)' ? null : value);
const number = (value) => (value === '(none)' ? null : Number(value));
const list = (value) => value.split(',').filter((item) => item !== '' && item !== '(none)').map(Number);

function split(bytes, separator) {
  const parts = [];
  for (let start = 0; start <= bytes.length; ) {
    const next = bytes.indexOf(separator, start);
    const end = next < 0 ? bytes.length : next;
    parts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return parts;
}

const packages = [];
for (const line of split(readFileSync(0), '\n')) {
  const fields = split(line.subarray(1), '\t').map(text);
  if (line[0] === 0x3d) {
    const [name, nevra, epoch, version, release, arch, sourceRpm, size, built, installed, module, algorithm, changes] = fields;
    packages.push({
      nevra,
      name,
      epoch: number(epoch),
      version,
      release,
      arch: optional(arch),
      sourceRpm: optional(sourceRpm),
      size: number(size),
      buildTime: number(built),
      installTime: number(installed),
      modularityLabel: optional(module),
      digestAlgorithm: number(algorithm),
      changelogTimes: list(changes),
      files: [],
    });
  } else if (line[0] === 0x2b && fields[0] !== '(none)') {
    const [path, size, mode, digest, flags, user, group, linkTo, state] = fields;
    packages.at(-1).files.push({
      path, size: Number(size), mode: Number(mode), digest, flags: Number(flags), user, group, linkTo, state: Number(state),
    });
  }
}
packages.sort((a, b) => (a.nevra < b.nevra ? -1 : 1));
process.stdout.write(`[\n${packages.map((pkg) => JSON.stringify(pkg)).join(',\n')}\n]\n`);
