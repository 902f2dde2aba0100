/**
 * The file that a series of builds is kept in: builds are added to it, each once, and it stays in
 * the order of their dates.
 */
import {
  accessSync,
  constants,
  existsSync,
  realpathSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { inContext, inContextAsync } from '../errors.js';
import { makeTemporaryDirectory } from '../system/temporary-directory.js';
import { dateSchema, formatBuild, readSeriesText } from './series.js';
import type { SeriesBuild } from './simulate.js';

/** A build as a line of the file, which stays as it is. */
export interface SeriesLine {
  readonly build: string;
  readonly id?: string | undefined;
  readonly date?: string | undefined;
  readonly text: string;
}

const GZIP_OPTIONS = { level: 9 };
const lineSchema = v.looseObject({
  build: v.optional(v.string()),
  id: v.optional(v.string()),
  date: v.optional(dateSchema),
  // Other JSON is not mistaken for a series, such as a shard of a simulation.
  components: v.array(v.unknown()),
});

/**
 * Reads the lines of a series; none if there is no such file. Throws `CORRUPT`, naming the line, if
 * it is no series, and fails if lines cannot be added, because the folder is missing or read-only.
 */
export async function readSeriesLines(path: string): Promise<readonly SeriesLine[]> {
  return inContextAsync(`series ${path}`, async () => {
    const target = targetOf(path);
    accessSync(dirname(target), constants.W_OK);
    if (!existsSync(target)) {
      return [];
    }
    const content = await readSeriesText(path);
    const lines: SeriesLine[] = [];
    for (const [i, text] of content.split('\n').entries()) {
      if (text.trim() !== '') {
        const number = String(i + 1);
        const parsed = inContext(`line ${number}`, () => {
          return parseJson(text, lineSchema);
        });
        const { build = number, id, date } = parsed;
        lines.push({ build, id, date, text });
      }
    }
    return lines;
  });
}

/** Returns the line of a build. */
export function lineOf(build: SeriesBuild): SeriesLine {
  const text = formatBuild(build);
  const { build: name, id, date } = build;
  return { build: name, id, date, text };
}

/**
 * Adds lines to a series, except those of builds that it has, and returns how many lines it has
 * now. The file is replaced at once, and gzipped if its name ends in `.gz`. It is in the order of
 * the dates; if a build has none, new lines are put at the end.
 */
export async function appendLines(path: string, added: readonly SeriesLine[]): Promise<number> {
  const present = await readSeriesLines(path);
  const ids = new Set(present.map(({ id }) => id));
  const isNew = ({ id }: SeriesLine) => {
    return id === undefined || !ids.has(id);
  };
  const newLines = added.filter(isNew);
  const lines = inOrder([...present, ...newLines]);
  const texts = lines.map((line) => `${line.text}\n`);
  const text = Buffer.from(texts.join(''));
  const isGzipped = path.endsWith('.gz');
  const bytes = isGzipped ? gzipSync(text, GZIP_OPTIONS) : text;
  inContext(`writing ${path}`, () => replaceFile(path, bytes));
  return lines.length;
}

function inOrder(lines: readonly SeriesLine[]): readonly SeriesLine[] {
  const timeOf = ({ date }: SeriesLine) => Date.parse(date ?? '');
  const hasTimes = lines.every((line) => !Number.isNaN(timeOf(line)));
  if (!hasTimes) {
    return lines;
  }
  return lines.toSorted((a, b) => timeOf(a) - timeOf(b));
}

function replaceFile(path: string, bytes: Uint8Array): void {
  const target = targetOf(path);
  const directory = makeTemporaryDirectory('.ostrata-series-', dirname(target));
  try {
    const file = join(directory.path, 'series');
    writeFileSync(file, bytes);
    renameSync(file, target);
  } finally {
    directory.remove();
  }
}

/** Returns the path of the file itself, where `path` is a symlink. */
function targetOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}
