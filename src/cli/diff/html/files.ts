/** What differs in files, on the page: by component, and down to each file. */
import { type Element, element } from '../../html/element.js';
import { note, section } from '../../html/page.js';
import { dataTable, disclosure } from '../../html/table.js';
import { counted, formatBytes, formatCount } from '../../output/format.js';
import type { DiffReport, FileReport } from '../report.js';
import { shownName } from '../words.js';

/** Files that a list holds: more of them are in the JSON. */
const MAX_FILES = 200;

/** Returns a list of files that can be opened, each with what differs; nothing without files. */
export function fileDisclosure(files: readonly FileReport[]): readonly Element[] {
  return files.length === 0 ? [] : [disclosure(counted(files.length, 'file'), fileList(files))];
}

function fileList(files: readonly FileReport[]): readonly Element[] {
  const items = files.slice(0, MAX_FILES).map((file) => element('li', {}, [fileText(file)]));
  const left = files.length - items.length;
  const list = element('ul', { class: 'path' }, items);
  return left > 0
    ? [list, note(`${formatCount(left)} more are left out; --json has all of them.`)]
    : [list];
}

function fileText({ path, change, aspects, newSize }: FileReport): string {
  if (change !== 'changed') {
    return change === 'added' ? `${path} added, ${formatBytes(newSize ?? 0)}` : `${path} removed`;
  }
  const size = aspects.includes('content') ? `, ${formatBytes(newSize ?? 0)}` : '';
  return `${path}: ${aspects.join(', ')}${size}`;
}

export function componentSection(report: DiffReport): readonly Element[] {
  const { components = [], files = [], layers } = report;
  if (components.length === 0) {
    return [];
  }
  // The files of two images are listed with the layers.
  const listed = layers === undefined ? files : [];
  const byComponent = groupFiles(listed, ({ component }) => component);
  const rows = components.map(({ id, name, newSize, because }) => {
    const list = fileDisclosure(byComponent.get(id) ?? []);
    return [shownName({ id, name }), formatBytes(newSize), [because, ...list]];
  });
  const table = dataTable({
    caption: 'What differs in files, the most new content first',
    columns: [
      {
        title: 'Package or path',
        kind: 'name',
      },
      {
        title: 'New content',
        kind: 'number',
      },
      {
        title: 'Because',
        kind: 'words',
      },
    ],
    rows,
  });
  return [section('Files', table)];
}

/** Returns the files by what `keyOf` says of them, without those it says nothing of. */
export function groupFiles<Key>(
  files: readonly FileReport[],
  keyOf: (file: FileReport) => Key | undefined,
): ReadonlyMap<Key, readonly FileReport[]> {
  const groups = new Map<Key, FileReport[]>();
  for (const file of files) {
    const key = keyOf(file);
    if (key !== undefined) {
      const group = groups.get(key) ?? [];
      groups.set(key, group);
      group.push(file);
    }
  }
  return groups;
}
