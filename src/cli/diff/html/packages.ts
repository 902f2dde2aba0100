/** The packages that differ, on the page, with their changelogs. */
import { type Content, type Element, element } from '../../html/element.js';
import { note, section } from '../../html/page.js';
import { dataTable, disclosure } from '../../html/table.js';
import { counted, formatCount } from '../../output/format.js';
import type { ChangelogEntry } from '../../rpmdb/changelog.js';
import { dateText } from '../../rpmdb/report.js';
import type { DiffReport } from '../report.js';
import { packageRows } from '../tables.js';

/** Entries of a changelog that the page holds; more of them are in the JSON. */
const MAX_ENTRIES = 20;
/** Characters of an entry: whole release notes would hide the next package. */
const MAX_TEXT = 2000;

export function packagesSection({ packages }: DiffReport): readonly Element[] {
  if (packages === undefined) {
    return [];
  }
  const { upgraded, downgraded, renamed, unchanged } = packages;
  const updates = [...upgraded, ...downgraded, ...renamed];
  const rows = packageRows(packages).map(([change = '', name = '', ...rest], i) => {
    const changelog = changelogCell(updates[i]?.changelog);
    return [[name, ...changelog], change, ...rest];
  });
  const same = note(`${counted(unchanged, 'package')} are the same in both.`);
  if (rows.length === 0) {
    return [section('Packages', [same])];
  }
  const table = dataTable({
    caption: 'Packages that differ, with their installed sizes',
    columns: [
      {
        title: 'Package',
        kind: 'name',
      },
      {
        title: 'Change',
        kind: 'short',
      },
      {
        title: 'Old',
        kind: 'version',
      },
      {
        title: 'New',
        kind: 'version',
      },
      {
        title: 'Size',
        kind: 'number',
      },
      {
        title: 'Difference',
        kind: 'number',
      },
    ],
    rows,
  });
  return [section('Packages', [...table, same])];
}

function changelogCell(entries: readonly ChangelogEntry[] = []): readonly Content[] {
  if (entries.length === 0) {
    return [];
  }
  const items: Element[] = [];
  for (const { time, name, text } of entries.slice(0, MAX_ENTRIES)) {
    items.push(element('div', {}, [`${dateText(time)} ${name}`]));
    items.push(element('pre', {}, [shortened(text)]));
  }
  const left = entries.length - MAX_ENTRIES;
  if (left > 0) {
    items.push(note(`${formatCount(left)} older entries are left out.`));
  }
  const noun = entries.length === 1 ? 'changelog entry' : 'changelog entries';
  return [disclosure(`${formatCount(entries.length)} ${noun}`, items)];
}

function shortened(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
