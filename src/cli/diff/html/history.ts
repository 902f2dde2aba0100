/** How often components changed in earlier updates, as the new image records it. */
import type { Element } from '../../html/element.js';
import { paragraph, section } from '../../html/page.js';
import { bar, dataTable } from '../../html/table.js';
import { counted, formatBytes, formatCount } from '../../output/format.js';
import type { ContentComponent } from '../contents.js';
import type { DiffReport } from '../report.js';
import { shownName } from '../words.js';

interface Counted extends ContentComponent {
  readonly updates: number;
  readonly changes: number;
}

export function historySection({ contents = [] }: DiffReport): readonly Element[] {
  const components = contents.flatMap((layer) => layer.components).filter(isCounted);
  const changing = components.filter(({ changes }) => changes > 0).toSorted(byShare);
  if (changing.length === 0) {
    return [];
  }
  const updates = Math.max(...components.map((each) => each.updates));
  const quiet = components.length - changing.length;
  const rows = changing.map((component) => {
    const { size, change } = component;
    return [
      shownName(component),
      `${component.changes} of ${component.updates}`,
      bar(component.changes / component.updates, change === undefined ? 'kept' : ''),
      change ?? '',
      size === undefined ? '' : formatBytes(size),
    ];
  });
  const table = dataTable({
    caption: 'Packages and paths that changed, the most frequent first',
    columns: [
      {
        title: 'Package or path',
        kind: 'name',
      },
      {
        title: 'Updates',
        kind: 'number',
      },
      {
        title: '',
        kind: 'bars',
      },
      {
        title: 'This update',
        kind: 'short',
      },
      {
        title: 'Size',
        kind: 'number',
      },
    ],
    rows,
  });
  const total = formatCount(components.length);
  const text =
    `The image records what changed in its last ${counted(updates, 'update')}, and is laid out ` +
    `by that. ${formatCount(quiet)} of ${total} packages and paths never changed.`;
  return [section('What changed in the last updates', [paragraph(text), ...table])];
}

function isCounted(component: ContentComponent): component is Counted {
  return (component.updates ?? 0) > 0 && component.changes !== undefined;
}

function byShare(a: Counted, b: Counted): number {
  const difference = b.changes / b.updates - a.changes / a.updates;
  return difference || (b.size ?? 0) - (a.size ?? 0);
}
