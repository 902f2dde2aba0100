/**
 * Builds as JSON, for experiments without trees: one object is one build,
 *
 *   {"build"?: string, "date"?: ISO 8601, "components": [component, ...]}
 *   component: {"name", "version", "size": bytes, "changesPerYear": number | null (in every build),
 *     "id"? (else the name), "source"? (else the name), "exclusive"?: true}
 *
 * A series is a file of such lines in age order, plain or gzipped.
 */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import type { LayoutComponent } from '../components/component.js';
import { inContext, inContextAsync, OstrataError } from '../errors.js';
import type { SeriesBuild } from './simulate.js';

/** Thousands of builds of thousands of components; bounds a hostile file. */
const MAX_SERIES_BYTES = 1 << 29;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const buildSchema = v.object({
  build: v.optional(v.string()),
  date: v.optional(v.pipe(v.string(), v.check(isDate, 'expected an ISO 8601 date'))),
  components: v.array(
    v.object({
      id: v.optional(v.string()),
      name: v.string(),
      source: v.optional(v.string()),
      version: v.string(),
      size: amount,
      changesPerYear: v.nullable(amount),
      exclusive: v.optional(v.boolean()),
    }),
  ),
});

/** Whether it begins as ISO 8601 does and is a time that exists. */
export function isDate(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}/.test(text) && !Number.isNaN(Date.parse(text));
}

/** Reads a series; throws `CORRUPT` with the line and member that is wrong, `LIMIT` for one too large. */
export async function readSeries(path: string): Promise<readonly SeriesBuild[]> {
  return inContextAsync(`series ${path}`, async () => {
    const lines = (await readText(path)).split('\n');
    return lines.flatMap((line, i) =>
      line.trim() === '' ? [] : [parseBuild(line, `line ${i + 1}`, String(i + 1))],
    );
  });
}

/** Reads one build, a document of its own; `name` is what it is called if it does not say so itself. */
export async function readBuild(path: string, name: string): Promise<SeriesBuild> {
  return inContextAsync(`build ${path}`, async () =>
    parseBuild(await readText(path), 'document', name),
  );
}

/** The text of a build that {@link readBuild} reads back. */
export function formatBuild({ build, date, components }: SeriesBuild): string {
  const all = components.map(({ id, name, source, version, size, changesPerYear, exclusive }) => ({
    id,
    name,
    source,
    version,
    size,
    changesPerYear, // JSON has no Infinity: it becomes null
    exclusive,
  }));
  return JSON.stringify({ build, date, components: all });
}

async function readText(path: string): Promise<string> {
  const bytes = await readFile(path);
  if (bytes.length > MAX_SERIES_BYTES) {
    throw tooLarge();
  }
  if (!bytes.subarray(0, 2).equals(GZIP_MAGIC)) {
    return bytes.toString();
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_SERIES_BYTES }).toString();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge();
    }
    throw new OstrataError('CORRUPT', `gzip: ${(cause as Error).message}`, { cause });
  }
}

const tooLarge = () => new OstrataError('LIMIT', `more than ${MAX_SERIES_BYTES} bytes`);

function parseBuild(text: string, place: string, name: string): SeriesBuild {
  const { build = name, date, components } = inContext(place, () => parseJson(text, buildSchema));
  const planned = components.map(
    ({ id, source, exclusive, changesPerYear, ...facts }): LayoutComponent => ({
      ...facts,
      id: id ?? facts.name,
      source: source ?? facts.name,
      changesPerYear: changesPerYear ?? Infinity,
      ...(exclusive && { exclusive }),
    }),
  );
  const ids = new Set<string>();
  for (const { id } of planned) {
    if (ids.has(id)) {
      throw new OstrataError('CORRUPT', `${place}: component ${JSON.stringify(id)} occurs twice`);
    }
    ids.add(id);
  }
  return { build, ...(date !== undefined && { date }), components: planned };
}
