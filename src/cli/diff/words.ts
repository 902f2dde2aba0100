/** Says in words what differs: the causes of an update, down to single files. */
import type { Aspect, FileChange } from '../../image/file-changes.js';
import type { LayerDiff } from '../../image/layer-files.js';
import type { ComponentDiff } from '../../image/owned-files.js';
import { counted, formatBytes, formatCount, someNames } from '../output/format.js';

/** What can differ while the content stays the same. */
const ATTRIBUTES: readonly Aspect[] = ['mode', 'owner', 'xattrs', 'mtime', 'links'];
const NOUNS = new Map<Aspect, string>([
  ['xattrs', 'extended attributes'],
  ['links', 'hard links'],
  ['target', 'symlink target'],
]);

/** A cause, and how many bytes of content it is about. */
interface Cause {
  readonly text: string;
  readonly size: number;
}

/** Returns why a layer is new, the cause of the most bytes first. */
export function layerCauses(layer: LayerDiff): readonly string[] {
  const { components, directories } = layer;
  const changed = components.map((component): Cause => {
    const text = componentCause(component);
    return { text, size: component.newSize };
  });
  const causes = [...changed, ...movingCauses(layer)];
  if (causes.length > 0) {
    const sorted = causes.toSorted((a, b) => b.size - a.size);
    return sorted.map(({ text }) => text);
  }
  const cause = directoriesCause(directories);
  return [cause === '' ? 'no file changed, only how the layer is written' : cause];
}

function movingCauses({ moved, movedSize, movedAway, movedAwaySize }: LayerDiff): readonly Cause[] {
  const causes: Cause[] = [];
  if (moved > 0) {
    const size = formatBytes(movedSize);
    const text = `${counted(moved, 'file')} moved here from other layers (${size})`;
    causes.push({ text, size: movedSize });
  }
  if (movedAway > 0) {
    const size = formatBytes(movedAwaySize);
    const text = `${counted(movedAway, 'file')} moved to other layers (${size})`;
    causes.push({ text, size: movedAwaySize });
  }
  return causes;
}

/** Returns what differs in directories; empty if nothing does. */
export function directoriesCause(directories: readonly FileChange[]): string {
  const withChange = (kind: FileChange['change']) =>
    directories.filter(({ change }) => change === kind);
  const changed = withChange('changed');
  const others = [
    ...someDirectories(withChange('added')),
    ...someDirectories(withChange('removed')),
  ];
  const [first] = changed;
  if (first === undefined) {
    return others.join('; ');
  }
  const many = `${formatCount(changed.length)} directories, such as ${first.path},`;
  return others.length === 0
    ? attributesCause(changed, many)
    : [...others, attributesText(changed, many)].join('; ');
}

/** @param directories all of them added or all removed */
function someDirectories(directories: readonly FileChange[]): readonly string[] {
  const [first] = directories;
  if (first === undefined) {
    return [];
  }
  const more = directories.length - 1;
  const others = more > 0 ? ` and ${formatCount(more)} more` : '';
  return [`directory ${first.path}${others} ${first.change}`];
}

/** Returns what changed in a component. */
export function componentCause(component: ComponentDiff): string {
  const { changes, files } = component;
  const name = shownName(component);
  const [first] = changes;
  if (changes.length > 0 && changes.every(isAttributesOnly)) {
    return attributesCause(
      changes,
      `${formatCount(changes.length)} of ${filesOf(component, name)}`,
    );
  }
  if (first !== undefined && changes.length === 1) {
    return fileCause(first, component);
  }
  const added = changes.filter(({ change }) => change === 'added').length;
  const removed = changes.filter(({ change }) => change === 'removed').length;
  const [verb] = new Set(changes.map(({ change }) => change));
  if (changes.length === files && (added === files || removed === files)) {
    return `${name} ${verb}: ${counted(files, 'file')}, ${formatBytes(component.size)}`;
  }
  if (removed === changes.length) {
    return `${counted(removed, 'file')} of ${name} removed`;
  }
  const size = partOf(component.newSize, component.size);
  if (added + removed === changes.length) {
    const others = removed > 0 ? `, ${formatCount(removed)} removed` : '';
    return `${formatCount(added)} of ${filesOf(component, name)} added${others}: ${size}`;
  }
  const counts = [countText(added, 'added'), countText(removed, 'removed')].filter(Boolean);
  const details = counts.length > 0 ? ` (${counts.join(', ')})` : '';
  const count = formatCount(changes.length - removed);
  return `${count} of ${filesOf(component, name)} changed${details}: ${size}`;
}

function fileCause({ path, change, newSize = 0 }: FileChange, component: ComponentDiff): string {
  const size = change === 'removed' ? '' : ` (${formatBytes(newSize)})`;
  const owner = hasPackage(component) ? `of ${component.name}` : '(no package)';
  return `${path} ${owner} ${change}${size}`;
}

function isAttributesOnly({ aspects, change }: FileChange): boolean {
  return change === 'changed' && aspects.every((aspect) => ATTRIBUTES.includes(aspect));
}

/** @param many what is said if there are several paths */
function attributesCause(changes: readonly FileChange[], many: string): string {
  return `only ${attributesText(changes, many)}`;
}

function attributesText(changes: readonly FileChange[], many: string): string {
  const [first, ...others] = changes;
  const aspects = [...new Set(changes.flatMap((change) => change.aspects))];
  const what = aspectsText(aspects);
  return `the ${what} of ${others.length === 0 ? first?.path : many} changed`;
}

/** Returns for example `mode and owner`. */
function aspectsText(aspects: readonly Aspect[]): string {
  const nouns = aspects.map((aspect) => NOUNS.get(aspect) ?? aspect);
  const last = nouns.pop() ?? '';
  return nouns.length > 0 ? `${nouns.join(', ')} and ${last}` : last;
}

/** Ids of components that are no packages, but files or what is below a folder. */
const PATH_ID = /^(?:dir|file):(.+)$/;

function hasPackage({ id }: ComponentDiff): boolean {
  return !PATH_ID.test(id);
}

/** Returns what a component is called: the package, or a path that no package owns. */
export function shownName({ id, name }: Pick<ComponentDiff, 'id' | 'name'>): string {
  const [, path] = PATH_ID.exec(id) ?? [];
  return path === undefined ? name : `${path} (no package)`;
}

function filesOf({ files }: ComponentDiff, name: string): string {
  return `${counted(files, 'file')} of ${name}`;
}

function countText(count: number, verb: string): string {
  return count > 0 ? `${formatCount(count)} ${verb}` : '';
}

/** Returns `2.1 of 310 MB`, or `12 kB of 310 MB` where the units differ. */
function partOf(part: number, whole: number): string {
  const [value, unit] = formatBytes(part).split(' ');
  const total = formatBytes(whole);
  return total.endsWith(` ${unit}`) ? `${value} of ${total}` : `${value} ${unit} of ${total}`;
}

/** Returns as many causes as fit into `width` characters, but at least one, and how many follow. */
export function someCauses(causes: readonly string[], width: number): string {
  const [first = '', ...others] = groupNames(causes, width);
  let text = first;
  for (const [i, cause] of others.entries()) {
    const rest = others.length - i;
    const more = `; ${cause}`;
    if (text.length + more.length + MORE_WIDTH > width) {
      return `${text}; ${formatCount(rest)} more`;
    }
    text += more;
  }
  return text;
}

/** A cause that only names a component. */
const NAMED = /^(\S+) (changed|added|removed)$/;

/** Joins the names of components of which the same is said. */
function groupNames(causes: readonly string[], width: number): readonly string[] {
  const others = causes.filter((cause) => !NAMED.test(cause));
  const namesByVerb = new Map<string, string[]>();
  for (const cause of causes) {
    const [, name, verb] = NAMED.exec(cause) ?? [];
    if (name !== undefined && verb !== undefined) {
      const names = namesByVerb.get(verb) ?? [];
      namesByVerb.set(verb, names);
      names.push(name);
    }
  }
  const named = Array.from(namesByVerb, ([verb, names]) => {
    const room = width - verb.length - 1;
    return `${someNames(names, room)} ${verb}`;
  });
  return [...named, ...others];
}

/** Characters of `; 99 more`. */
const MORE_WIDTH = 9;
