import { createHash } from 'node:crypto';
import { compareUtf8 } from '../bytes/text.js';
import { OstrataError } from '../errors.js';
import type { Claims, ComponentFacts, Tree } from '../plugin.js';
import { deployedPath } from '../tree/deployed-path.js';
import type { ContentEntry } from '../tree/tree.js';
import type { LayoutComponent } from './component.js';
import { changesPerYear, newestBuildTime } from './rates.js';

/** A component with what it owns. */
export interface OwnedComponent extends LayoutComponent {
  readonly facts: ComponentFacts;
  /** Its content objects by checksum, each with all its paths, sorted by bytes; in order of the checksums. */
  readonly objects: ReadonlyMap<string, readonly ContentEntry[]>;
}

/**
 * Content that several unrelated components hold alike (empty files, licence texts, symlinks). An object lies in one
 * layer with all its paths; if one of its owners held it, every change of another owner would dirty that owner's layer.
 */
export const SHARED_COMPONENT = 'shared';
const SHARED_FACTS: ComponentFacts = {
  name: SHARED_COMPONENT,
  source: SHARED_COMPONENT,
  packages: [],
};
/** Larger objects stay with an owner: fetching them with every change of `shared` costs more than a dirtied layer. */
const MAX_SHARED_SIZE = 1 << 16;

/** One for each component, so that many can be told apart fast. */
interface Owner {
  readonly id: string;
  readonly facts: ComponentFacts;
}
interface AssignedObject {
  readonly entries: ContentEntry[];
  readonly owners: Owner[];
}

/**
 * Gives every object of the tree to one component. The first of `claims` that claims a path owns it. The decision
 * depends on the owners of the object's paths alone, so an object does not wander when other content changes.
 * Throws `PLUGIN` where a path is claimed by nobody, or for a component without facts.
 */
export async function assignComponents(
  tree: Tree,
  claims: readonly Claims[],
): Promise<readonly OwnedComponent[]> {
  const objects = new Map<string, AssignedObject>();
  const known = new Map<string, Owner>();
  for (const entry of tree.files) {
    if (entry.type === 'directory') {
      continue;
    }
    const found = ownerOf(entry, claims, known);
    const owner = found instanceof Promise ? await found : found; // waiting for each of a million files costs seconds
    const object = objects.get(entry.checksum);
    if (object === undefined) {
      objects.set(entry.checksum, { entries: [entry], owners: [owner] });
    } else {
      object.entries.push(entry);
      // From the end: entries come in order of their paths, so most have the owner of the one before.
      if (object.owners.lastIndexOf(owner) < 0) {
        object.owners.push(owner);
      }
    }
  }
  const owned = new Map<
    string,
    { facts: ComponentFacts; objects: Map<string, readonly ContentEntry[]> }
  >();
  for (const checksum of [...objects.keys()].sort()) {
    const { entries, owners } = objects.get(checksum) as AssignedObject;
    const { id, facts } = arbitrate(owners, (entries[0] as ContentEntry).size);
    const component = owned.get(id) ?? { facts, objects: new Map() };
    component.objects.set(checksum, entries);
    owned.set(id, component);
  }
  const now = newestBuildTime([...owned.values()].map(({ facts }) => facts));
  return [...owned]
    .sort(([a], [b]) => compareUtf8(a, b))
    .map(([id, { facts, objects }]) => ({
      id,
      name: facts.name,
      source: facts.source,
      size: [...objects.values()].reduce((sum, [first]) => sum + (first as ContentEntry).size, 0),
      changesPerYear: changesPerYear(facts, now),
      version: contentVersion(objects),
      ...(facts.exclusive && { exclusive: true }),
      facts,
      objects,
    }));
}

function ownerOf(
  entry: ContentEntry,
  claims: readonly Claims[],
  known: Map<string, Owner>,
): Owner | Promise<Owner> {
  for (const [i, claim] of claims.entries()) {
    const [id] = claim.strong(entry);
    if (id !== undefined) {
      return ownerNamed(claim, id, entry, known);
    }
    if (claim.weak !== undefined) {
      return claim
        .weak(entry)
        .then(([weak]) =>
          weak === undefined
            ? ownerOf(entry, claims.slice(i + 1), known)
            : ownerNamed(claim, weak, entry, known),
        );
    }
  }
  throw new OstrataError('PLUGIN', `no content source claims ${entry.path}`);
}

/** One object for each id, so that owners are compared by identity. */
function ownerNamed(
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

/** Who of several owners holds an object: an exclusive one, else `shared` if unrelated and small, else the first by id. */
function arbitrate(owners: readonly Owner[], size: number): Owner {
  if (owners.length === 1) {
    return owners[0] as Owner;
  }
  const sorted = owners.toSorted((a, b) => compareUtf8(a.id, b.id));
  const first = sorted.find(({ facts }) => facts.exclusive) ?? (sorted[0] as Owner);
  const related = sorted.every(({ facts }) => facts.source === first.facts.source);
  return first.facts.exclusive || related || size > MAX_SHARED_SIZE
    ? first
    : { id: SHARED_COMPONENT, facts: SHARED_FACTS };
}

/** Equal exactly when paths and objects are equal (an object's checksum covers content, owner, mode and xattrs). */
function contentVersion(objects: ReadonlyMap<string, readonly ContentEntry[]>): string {
  const hash = createHash('sha256');
  for (const [checksum, entries] of objects) {
    let text = checksum;
    for (const { path } of entries) {
      text += `${deployedPath(path)}\0`;
    }
    hash.update(text);
  }
  return hash.digest('hex');
}
