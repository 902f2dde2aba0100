// node lay-directories.mjs SERIES STATES PACKAGE DIRECTORY
// Prints a series of builds (JSON lines, gzipped) in which PACKAGE has the states of directories of
// STATES below DIRECTORY: each new upstream version of the package, which is what stands before the
// last hyphen, takes the next state. Sizes are scaled so that they add up to that of the package.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';

const [seriesFile, statesFile, packageName, parent] = process.argv.slice(2);
const builds = readLines(seriesFile);
const states = readLines(statesFile).map(({ directories }) => directories);

function readLines(file) {
  const text = gunzipSync(readFileSync(file)).toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

const stateOf = new Map();
for (const build of builds) {
  const component = build.components.find(({ name }) => name === packageName);
  const upstream = component.version.slice(0, component.version.lastIndexOf('-'));
  if (!stateOf.has(upstream)) {
    stateOf.set(upstream, states[Math.min(stateOf.size, states.length - 1)]);
  }
  component.directories = scaled(Object.entries(stateOf.get(upstream)), component.size);
  console.log(JSON.stringify(build));
}

/** The largest directory takes what rounding leaves. */
function scaled(directories, size) {
  const total = sumOf(directories);
  const result = directories.map(([name, state]) => [
    `${parent}/${name}`,
    { size: Math.floor((state.size * size) / total), version: state.version },
  ]);
  const [, largest] = result.toSorted(([, a], [, b]) => b.size - a.size)[0];
  largest.size += size - sumOf(result);
  return Object.fromEntries(result);
}

function sumOf(directories) {
  return directories.reduce((sum, [, { size }]) => sum + size, 0);
}
