/**
 * Assigns every content object of a tree to exactly one component, according to the claims of the
 * content sources.
 */
import { createHash } from 'node:crypto';
import { compareUtf8 } from '../bytes/text.js';
import { must, OstrataError } from '../errors.js';
import type { Claims, ComponentFacts, Tree } from '../plugin.js';
import { committedPath, deployedPath } from '../tree/path.js';
import type { ContentEntry } from '../tree/tree.js';
import type { LayoutComponent } from './component.js';
import { commonDirectory, type Divisible, type Piece } from './parts.js';
import { changesPerYear, newestBuildTime } from './rates.js';

/** A component, and what its content source knows of it. */
export interface PlannedComponent extends LayoutComponent {
  readonly facts: ComponentFacts;
}

/** A component and the content objects that it owns. */
export interface OwnedComponent extends PlannedComponent {
  /**
   * The entries of each object, sorted by path, in ascending order of their checksums. Which
   * entries are one object depends on the format of the image.
   */
  readonly objects: ReadonlyMap<string, readonly ContentEntry[]>;
  readonly divisible?: Divisible<OwnedComponent> | undefined;
}

/**
 * Owns content that several unrelated components have in common (empty files, license texts,
 * symlinks). An object lies in one layer with all its paths. If it belonged to one of its owners,
 * the layer of that owner would change whenever the paths of another owner change.
 */
export const SHARED_COMPONENT = 'shared';
const SHARED_OWNER: Owner = {
  id: SHARED_COMPONENT,
  facts: { name: SHARED_COMPONENT, source: SHARED_COMPONENT, packages: [] },
};
/**
 * Bytes. A larger object stays with one of its owners: downloading it with every change of `shared`
 * would cost more than sometimes downloading the layer of that owner.
 */
const MAX_SHARED_SIZE = 1 << 16;

/**
 * A component that owns paths. Each id has only one such object, so owners can be compared by
 * identity.
 */
interface Owner {
  readonly id: string;
  readonly facts: ComponentFacts;
}

/** A content object with all its paths, and all owners of these paths. */
interface ClaimedObject {
  readonly checksum: string;
  readonly size: number;
  readonly entries: ContentEntry[];
  readonly owners: Owner[];
}

/**
 * Assigns every object of the tree to one component, and returns the components in byte
 * order of their ids. A path belongs to the first of `claims` that claims it. Which component gets
 * an object depends only on the owners of its paths, so it does not move when other content
 * changes. Throws `PLUGIN` if nobody claims a path, or if a claimed component has no facts.
 * @param objectOf returns the same text for all entries that are one object and lie in one layer
 */
export async function assignComponents(
  tree: Tree,
  claims: readonly Claims[],
  objectOf: (entry: ContentEntry) => string = ({ checksum }) => checksum,
): Promise<readonly OwnedComponent[]> {
  const objects = await claimObjects(tree, claims, objectOf);
  const components = new Map<string, ComponentBuilder>();
  for (const [object, { size, entries, owners }] of [...objects].sort(byChecksum)) {
    const { id, facts } = arbitrate(owners, size);
    const component = components.get(id) ?? new ComponentBuilder(facts);
    components.set(id, component);
    component.add(object, entries, size);
  }

  const now = newestBuildTime([...components.values()].map(({ facts }) => facts));
  return [...components]
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([id, component]) => component.build(id, now));
}

/** Checksums are hexadecimal, so `<` orders them by bytes; equal files can be several objects. */
function byChecksum(
  [objectA, { checksum: a }]: readonly [string, ClaimedObject],
  [objectB, { checksum: b }]: readonly [string, ClaimedObject],
): number {
  if (a === b) {
    return compareUtf8(objectA, objectB);
  }
  return a < b ? -1 : 1;
}

class ComponentBuilder {
  readonly facts: ComponentFacts;
  readonly #objects = new Map<string, readonly ContentEntry[]>();
  #size = 0;

  constructor(facts: ComponentFacts) {
    this.facts = facts;
  }

  add(object: string, entries: readonly ContentEntry[], size: number): void {
    this.#objects.set(object, entries);
    this.#size += size;
  }

  build(id: string, now: number): OwnedComponent {
    const component = {
      id,
      name: this.facts.name,
      source: this.facts.source,
      size: this.#size,
      changesPerYear: changesPerYear(this.facts, now),
      version: contentVersion(this.#objects),
      exclusive: this.facts.exclusive || undefined,
      facts: this.facts,
      objects: this.#objects,
    };
    return { ...component, divisible: new DivisibleObjects(component) };
  }
}

/** Divides a component by the directories of its objects; an object is never divided. */
class DivisibleObjects implements Divisible<OwnedComponent> {
  readonly #whole: OwnedComponent;

  constructor(whole: OwnedComponent) {
    this.#whole = whole;
  }

  pieces(): readonly Piece[] {
    return Array.from(this.#whole.objects.values(), (entries) => ({
      directory: commonDirectory(entries.map(({ path }) => deployedPath(path))),
      size: entries[0]?.size ?? 0,
    }));
  }

  part(id: string, pieces: readonly number[]): OwnedComponent {
    const whole = this.#whole;
    const all = [...whole.objects];
    const objects = new Map(pieces.map((i) => must(all[i], `object ${i}`)));
    const sizes = Array.from(objects.values(), (entries) => entries[0]?.size ?? 0);
    return {
      ...whole,
      id,
      partOf: whole.id,
      size: sizes.reduce((sum, size) => sum + size, 0),
      version: contentVersion(objects),
      objects,
    };
  }
}

/** Asks for the owner of every path. */
async function claimObjects(
  tree: Tree,
  claims: readonly Claims[],
  objectOf: (entry: ContentEntry) => string,
): Promise<ReadonlyMap<string, ClaimedObject>> {
  const objects = new Map<string, ClaimedObject>();
  const knownOwners = new Map<string, Owner>();
  for (const entry of tree.files) {
    if (entry.type === 'directory') {
      continue;
    }
    const found = ownerOf(entry, claims, knownOwners);
    // An unconditional `await` for each of a million files costs seconds.
    const owner = found instanceof Promise ? await found : found;

    const key = objectOf(entry);
    const object = objects.get(key);
    if (object === undefined) {
      const { checksum, size } = entry;
      objects.set(key, { checksum, size, entries: [entry], owners: [owner] });
      continue;
    }
    object.entries.push(entry);
    // Searched from the end: most entries have the same owner as the entry before them.
    if (object.owners.lastIndexOf(owner) < 0) {
      object.owners.push(owner);
    }
  }
  return objects;
}

function ownerOf(
  entry: ContentEntry,
  claims: readonly Claims[],
  known: Map<string, Owner>,
): Owner | Promise<Owner> {
  for (const [i, claim] of claims.entries()) {
    const [id] = claim.strong(entry);
    if (id !== undefined) {
      return ownerById(claim, id, entry, known);
    }
    if (claim.weak !== undefined) {
      return claim.weak(entry).then(([weakId]) => {
        return weakId === undefined
          ? ownerOf(entry, claims.slice(i + 1), known)
          : ownerById(claim, weakId, entry, known);
      });
    }
  }
  throw new OstrataError('PLUGIN', `no content source claims ${entry.path}`);
}

function ownerById(
  { components }: Claims,
  id: string,
  { path }: ContentEntry,
  known: Map<string, Owner>,
): Owner {
  const facts = components.get(id);
  if (facts === undefined) {
    throw new OstrataError('PLUGIN', `${path} is claimed for unknown component ${id}`);
  }
  const owner = known.get(id) ?? { id, facts };
  known.set(id, owner);
  return owner;
}

/**
 * Which owner gets an object: an exclusive one, else `shared` if they are unrelated and it is
 * small, else the first by id.
 */
function arbitrate(owners: readonly Owner[], size: number): Owner {
  const first = owners.reduce(preferred);
  if (first.facts.exclusive || size > MAX_SHARED_SIZE) {
    return first;
  }
  const areRelated = owners.every(({ facts }) => facts.source === first.facts.source);
  return areRelated ? first : SHARED_OWNER;
}

/** Prefers an exclusive owner; if both or neither are exclusive, prefers the first by id. */
function preferred(a: Owner, b: Owner): Owner {
  const rank = Number(b.facts.exclusive ?? false) - Number(a.facts.exclusive ?? false);
  return (rank || compareUtf8(a.id, b.id)) <= 0 ? a : b;
}

/**
 * Equal if and only if paths, objects and times are equal; a checksum covers content, owner, mode
 * and xattrs. Paths are taken in the order of a commit, so that a commit, its image and its root
 * directory have the same versions.
 */
function contentVersion(objects: ReadonlyMap<string, readonly ContentEntry[]>): string {
  const hash = createHash('sha256');
  let checksum: string | undefined;
  for (const entries of objects.values()) {
    let text = '';
    for (const entry of entries.toSorted(byCommittedPath)) {
      if (entry.checksum !== checksum) {
        checksum = entry.checksum;
        text += checksum;
      }
      text += `${deployedPath(entry.path)}\0`;
      text += entry.mtime === undefined ? '' : `${entry.mtime}\0`;
    }
    hash.update(text);
  }
  return hash.digest('hex');
}

function byCommittedPath(a: ContentEntry, b: ContentEntry): number {
  return compareUtf8(committedPath(a.path), committedPath(b.path));
}
