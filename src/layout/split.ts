/**
 * Splits large components into parts before a layout is planned. A part of the previous image stays
 * a part, and content that clients have is not split, so that they need not download it again.
 */
import { compareUtf8 } from '../bytes/text.js';
import type { LayoutComponent } from '../components/component.js';
import {
  type Divisible,
  directoriesByWhole,
  dividingDirectories,
  holderOf,
  type Piece,
  partId,
  piecesByDirectory,
} from '../components/parts.js';
import type { Component, LayoutStrategy } from '../plugin.js';
import { type Fingerprints, fingerprint, NO_FINGERPRINTS } from './history.js';
import type { LayoutRecord } from './previous-layout.js';

/** With fewer layers than this, those that parts take are worth more to whole packages. */
const MIN_LAYERS = 48;
/** Bounds the size of the layout record. */
const MAX_PARTS_PER_LAYER = 4;
/** Share of the expected bytes of updates from which a component is split. */
const MIN_SHARE = 0.05;
/** Changes a year that count in this share: changelogs overstate most where they are longest. */
const MAX_CHANGES_PER_YEAR = 52;

/** A component, and the parts of it that have its type. */
export type Splittable<C> = LayoutComponent & { readonly divisible?: Divisible<C> | undefined };

interface SplitOptions {
  /** Number of layers for the components. */
  readonly maxLayers: number;
  readonly previous?: LayoutRecord | undefined;
}

/** Components of which some are parts. */
export interface Split<C> {
  readonly components: readonly C[];
  /** The components that were split. */
  readonly wholes: readonly C[];
}

/**
 * Returns `components` with parts in place of those that are split. Each piece is in exactly one
 * part, and there are at most {@link MAX_PARTS_PER_LAYER} parts a layer, besides those that
 * `parts` names.
 * @param parts what the strategy can place; see {@link LayoutStrategy.parts}
 */
export function splitComponents<C extends Splittable<C>>(
  components: readonly C[],
  parts: LayoutStrategy['parts'],
  { maxLayers, previous }: SplitOptions,
): Split<C> {
  if (parts === undefined || (parts === 'any' && maxLayers < MIN_LAYERS)) {
    return { components, wholes: [] };
  }
  const ids = new Set(components.map(({ id }) => id));
  const candidates =
    parts === 'any'
      ? candidatesForParts(components, previous, maxLayers * MAX_PARTS_PER_LAYER)
      : namedCandidates(components, parts);

  const wholes: C[] = [];
  const result = components.flatMap((whole) => {
    const candidate = candidates.get(whole.id);
    const split = candidate === undefined ? [] : partsOf(candidate);
    // A mapping may name a component like a part of another.
    if (split.length < 2 || split.some(({ id }) => ids.has(id))) {
      return [whole];
    }
    wholes.push(whole);
    return split;
  });
  return { components: result, wholes };
}

/** A component, and the directories of its parts. */
interface Candidate<C> {
  readonly whole: C;
  readonly divisible: Divisible<C>;
  readonly pieces: readonly Piece[];
  readonly directories: ReadonlySet<string>;
}

function partsOf<C extends Splittable<C>>({
  whole,
  divisible,
  pieces,
  directories,
}: Candidate<C>): C[] {
  const groups = piecesByDirectory(pieces, directories);
  return Array.from(groups, ([directory, indices]) =>
    divisible.part(partId(whole.id, directory), indices),
  );
}

/** The parts that a plan file or an image names. */
function namedCandidates<C extends Splittable<C>>(
  components: readonly C[],
  ids: ReadonlySet<string>,
): ReadonlyMap<string, Candidate<C>> {
  const named = directoriesByWhole(ids);
  const candidates = new Map<string, Candidate<C>>();
  for (const whole of components) {
    const { id, divisible } = whole;
    const directories = named.get(id);
    if (directories !== undefined && divisible !== undefined) {
      const pieces = divisible.pieces();
      candidates.set(id, { whole, divisible, pieces, directories: new Set(directories) });
    }
  }
  return candidates;
}

/** The parts of the previous image, and those that the sizes of directories ask for. */
function candidatesForParts<C extends Splittable<C>>(
  components: readonly C[],
  previous: LayoutRecord | undefined,
  maxParts: number,
): ReadonlyMap<string, Candidate<C>> {
  const kept = new KeptContent(previous);
  const expectedBytes = expectedBytesOf(components);
  const minExpected = MIN_SHARE * total([...expectedBytes.values()]);
  const candidates = new Map<string, Candidate<C>>();
  let left = maxParts;
  for (const whole of components.toSorted((a, b) => b.size - a.size || compareUtf8(a.id, b.id))) {
    const { id, divisible, exclusive = false } = whole;
    const recorded = kept.directoriesOf(id);
    const expected = expectedBytes.get(id) ?? 0;
    const isLarge = expected >= minExpected && expected > 0;
    if (divisible === undefined || exclusive || !(isLarge || recorded.length > 0)) {
      continue;
    }
    const candidate = {
      whole,
      divisible,
      pieces: divisible.pieces(),
      directories: new Set(recorded),
    };
    const room = Math.max(0, left - recorded.length - 1);
    const added = directoriesToAdd(candidate, kept).slice(0, room);
    const directories = new Set([...recorded, ...added]);
    candidates.set(id, { ...candidate, directories });
    left -= directories.size + 1;
  }
  return candidates;
}

/** Directories that should be parts and are not yet, of content that clients download anyway. */
function directoriesToAdd<C extends Splittable<C>>(
  candidate: Candidate<C>,
  kept: KeptContent,
): readonly string[] {
  const { whole, pieces, directories } = candidate;
  const holders = directories.size > 0 ? partsOf(candidate) : [whole];
  const keptIds = new Set(holders.filter((each) => kept.has(each)).map(({ id }) => id));
  return dividingDirectories(pieces).filter((directory) => {
    const part = partId(whole.id, holderOf(directory, directories));
    const holder = directories.size > 0 ? part : whole.id;
    return !directories.has(directory) && !keptIds.has(holder);
  });
}

/** What clients have of the previous image and need not download again. */
class KeptContent {
  readonly #ids: ReadonlySet<string>;
  readonly #versions: Fingerprints;
  readonly #directories: ReadonlyMap<string, readonly string[]>;

  constructor(previous: LayoutRecord | undefined) {
    const { layers = [], versions = NO_FINGERPRINTS, fromOtherTool = false } = previous ?? {};
    const ids = fromOtherTool ? [] : layers.flatMap((layer) => layer.components);
    this.#ids = new Set(ids);
    this.#versions = versions;
    this.#directories = directoriesByWhole(ids);
  }

  directoriesOf(wholeId: string): readonly string[] {
    return this.#directories.get(wholeId) ?? [];
  }

  /** Without a recorded version a component counts as unchanged. */
  has({ id, version }: Component): boolean {
    const recorded = this.#versions.get(id) ?? fingerprint(version);
    return this.#ids.has(id) && recorded === fingerprint(version);
  }
}

/**
 * Returns the bytes that updates of a year are expected to fetch of each component alone. A
 * component of which no rate is known, such as files that a script generated, has the mean rate of
 * all bytes.
 */
function expectedBytesOf(components: readonly Component[]): ReadonlyMap<string, number> {
  const known = components.filter(({ changesPerYear }) => changesPerYear < Infinity);
  const boundedRate = ({ changesPerYear }: Component) =>
    Math.min(changesPerYear, MAX_CHANGES_PER_YEAR);
  const expected = total(known.map((each) => each.size * boundedRate(each)));
  const knownSize = total(known.map(({ size }) => size));
  const meanRate = expected > 0 ? expected / knownSize : 1;

  return new Map(
    components.map((each) => {
      const rate = each.changesPerYear < Infinity ? boundedRate(each) : meanRate;
      return [each.id, each.size * rate];
    }),
  );
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
