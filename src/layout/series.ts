/**
 * Builds as JSON, for experiments without trees. One object is one build:
 *
 *   {"build"?: string, "date"?: ISO 8601, "id"?: string, "published"?: [layer, ...],
 *     "components": [component, ...]}
 *   component: {"name", "version", "size": bytes, "changesPerYear": number | null (in every build),
 *     "id"? (else the name), "source"? (else the name), "exclusive"?: true,
 *     "directories"?: {path: {"size": bytes, "version"}, ...}}
 *   layer: {"diffId", "storedBytes": compressed bytes}
 *
 * `id` tells builds apart, whatever they are called: it is the digest of an image, the checksum of
 * a commit, or a digest of the components. `published` are the layers of an image. `directories`
 * divide the component into what can become its parts. Their sizes add up to that of the component,
 * and the version of the component changes whenever one of theirs does.
 *
 * A series is a file of such lines in age order, plain or gzipped.
 */
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import * as v from 'valibot';
import { parseJson } from '../bytes/json.js';
import { compareUtf8 } from '../bytes/text.js';
import type { LayoutComponent } from '../components/component.js';
import { type Divisible, type Piece, piecesByDirectory } from '../components/parts.js';
import { errnoOf, inContext, inContextAsync, must, OstrataError } from '../errors.js';
import type { SeriesBuild } from './simulate.js';

/** Enough for thousands of builds of thousands of components; bounds a hostile file. */
const MAX_SERIES_BYTES = 1 << 29;
/**
 * Share of the bytes from which the directories of a component are written. A smaller one would
 * have to change fifty times as often as the rest to be split.
 */
const MIN_DIRECTORIES_SHARE = 0.001;
const DATE = /^\d{4}-\d{2}-\d{2}/;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

const amountSchema = v.pipe(v.number(), v.finite(), v.minValue(0));
const directorySchema = v.object({ size: amountSchema, version: v.string() });
const componentSchema = v.object({
  id: v.optional(v.string()),
  name: v.string(),
  source: v.optional(v.string()),
  version: v.string(),
  size: amountSchema,
  changesPerYear: v.nullable(amountSchema),
  exclusive: v.optional(v.boolean()),
  directories: v.optional(v.record(v.string(), directorySchema)),
});
export const dateSchema = v.pipe(v.string(), v.check(isDate, 'expected an ISO 8601 date'));
const layerSchema = v.object({
  diffId: v.string(),
  storedBytes: amountSchema,
});
const buildSchema = v.object({
  build: v.optional(v.string()),
  date: v.optional(dateSchema),
  id: v.optional(v.string()),
  published: v.optional(v.pipe(v.array(layerSchema), v.readonly())),
  components: v.array(componentSchema),
});

/** A build as plain data, which JSON and messages between threads can hold. */
export const plainBuildSchema = v.required(buildSchema, ['build']);
export type PlainBuild = v.InferOutput<typeof plainBuildSchema>;

/** Whether the text begins like an ISO 8601 date and names a time that exists. */
export function isDate(text: string): boolean {
  const time = Date.parse(text);
  return DATE.test(text) && !Number.isNaN(time);
}

/** Reads a series. Throws `CORRUPT`, naming line and member, or `LIMIT` if it is too large. */
export async function readSeries(path: string): Promise<readonly SeriesBuild[]> {
  return inContextAsync(`series ${path}`, async () => {
    const builds: SeriesBuild[] = [];
    const lines = (await readSeriesText(path)).split('\n');
    for (const [i, line] of lines.entries()) {
      if (line.trim() !== '') {
        builds.push(parseBuild(line, `line ${i + 1}`, String(i + 1)));
      }
    }
    return builds;
  });
}

/** Reads a file with one build. @param name what the build is called if the file does not say */
export async function readBuild(path: string, name: string): Promise<SeriesBuild> {
  return inContextAsync(`build ${path}`, async () =>
    parseBuild(await readSeriesText(path), 'document', name),
  );
}

/** Returns the text of a build, which {@link readBuild} reads. */
export function formatBuild(build: SeriesBuild): string {
  const size = build.components.reduce((sum, component) => sum + component.size, 0);
  const minSize = MIN_DIRECTORIES_SHARE * size;
  return JSON.stringify(plainBuild(build, minSize));
}

/**
 * Returns a build as plain data.
 * @param minSize of smaller components, the directories are left out; bytes
 */
export function plainBuild(
  { build, date, id, published, components }: SeriesBuild,
  minSize = 0,
): PlainBuild {
  const plain = components.map((component) => ({
    id: component.id,
    name: component.name,
    source: component.source,
    version: component.version,
    size: component.size,
    changesPerYear: component.changesPerYear < Infinity ? component.changesPerYear : null,
    exclusive: component.exclusive,
    directories: component.size >= minSize ? directoriesOf(component) : undefined,
  }));
  return { build, date, id, published, components: plain };
}

/** Returns the build that {@link plainBuild} was given. */
export function buildOfPlain({ components, ...rest }: PlainBuild): SeriesBuild {
  const built = components.map(toComponent);
  return { ...rest, components: built };
}

/** Returns the states of directories as they are written; undefined without any. */
function directoriesOf({ divisible }: LayoutComponent) {
  const pieces = divisible?.pieces() ?? [];
  const directories = new Set(pieces.map(({ directory }) => directory));
  if (divisible === undefined || directories.size < 2) {
    return undefined;
  }
  const written = Array.from(piecesByDirectory(pieces, directories), ([directory, indices]) => {
    const { size, version } = divisible.part('', indices);
    return [directory, { size, version }] as const;
  });
  return Object.fromEntries(written.sort(([a], [b]) => compareUtf8(a, b)));
}

/** Reads a file as text, plain or gzipped. Throws `CORRUPT` or, if it is too large, `LIMIT`. */
export async function readSeriesText(path: string): Promise<string> {
  const bytes = await readFile(path);
  if (bytes.length > MAX_SERIES_BYTES) {
    throw tooLarge();
  }
  if (!bytes.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) {
    return bytes.toString();
  }

  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_SERIES_BYTES }).toString();
  } catch (cause) {
    if (errnoOf(cause) === 'ERR_BUFFER_TOO_LARGE') {
      throw tooLarge();
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OstrataError('CORRUPT', `gzip: ${reason}`, { cause });
  }
}

function tooLarge(): OstrataError {
  return new OstrataError('LIMIT', `more than ${MAX_SERIES_BYTES} bytes`);
}

/** Parses the text of one build. @param where names it in errors @param name used if it has none */
export function parseBuild(text: string, where: string, name: string): SeriesBuild {
  const parsed = inContext(where, () => parseJson(text, buildSchema));
  const components = parsed.components.map(toComponent);

  const ids = new Set<string>();
  for (const { id } of components) {
    if (ids.has(id)) {
      throw new OstrataError('CORRUPT', `${where}: component ${JSON.stringify(id)} occurs twice`);
    }
    ids.add(id);
  }
  const { build = name, date, id, published } = parsed;
  return { build, date, id, published, components };
}

function toComponent(parsed: v.InferOutput<typeof componentSchema>): LayoutComponent {
  const component = {
    id: parsed.id ?? parsed.name,
    name: parsed.name,
    source: parsed.source ?? parsed.name,
    version: parsed.version,
    size: parsed.size,
    changesPerYear: parsed.changesPerYear ?? Infinity,
    exclusive: parsed.exclusive || undefined,
  };
  const directories = Object.entries(parsed.directories ?? {});
  return directories.length === 0
    ? component
    : { ...component, divisible: new DivisibleDirectories(component, directories) };
}

type Directory = readonly [path: string, state: v.InferOutput<typeof directorySchema>];

class DivisibleDirectories implements Divisible<LayoutComponent> {
  readonly #whole: LayoutComponent;
  readonly #directories: readonly Directory[];

  constructor(whole: LayoutComponent, directories: readonly Directory[]) {
    this.#whole = whole;
    this.#directories = directories;
  }

  pieces(): readonly Piece[] {
    return this.#directories.map(([directory, { size }]) => ({ directory, size }));
  }

  part(id: string, pieces: readonly number[]): LayoutComponent {
    const directories = pieces.map((i) => {
      const directory = this.#directories[i];
      return must(directory, `directory ${i}`);
    });
    const sizes = directories.map(([, { size }]) => size);
    const states = directories.map(([path, { version }]) => [path, version]);
    return {
      ...this.#whole,
      id,
      partOf: this.#whole.id,
      size: sizes.reduce((sum, size) => sum + size, 0),
      version: JSON.stringify(states.sort()),
    };
  }
}
