/** The layers of the new image on the page: how large they are, what is in them, and why. */
import type { Content, Element } from '../../html/element.js';
import { element } from '../../html/element.js';
import { note, paragraph, section } from '../../html/page.js';
import { bar, dataTable, disclosure } from '../../html/table.js';
import {
  colorLegend,
  type TreemapGroup,
  type TreemapItem,
  treemapDrawing,
} from '../../html/treemap.js';
import { counted, formatBytes, formatCount, someNames } from '../../output/format.js';
import type { ContentComponent, ContentReport } from '../contents.js';
import type { LayerReport } from '../layers.js';
import type { DiffReport, FileReport } from '../report.js';
import { shownName, someCauses } from '../words.js';
import { fileDisclosure, groupFiles } from './files.js';
import { percentOf } from './headline.js';

/** Characters of the causes of a layer, before all of them are listed. */
const CAUSES_WIDTH = 180;
const NAMES_WIDTH = 120;
/** Causes of a layer that are listed. */
const MAX_CAUSES = 200;

/** Compares the ways to update. */
export function sizeSection({ update, new: side }: DiffReport): readonly Element[] {
  if (update === undefined || side.size === undefined) {
    return [];
  }
  const whole = side.size;
  const rows = [
    ['By layers', update.size, 'clients of the old image keep the layers that they have'],
    ['Whole image', whole, 'clients without the old image'],
  ] as const;
  const { delta } = update;
  const byDelta = ['By delta', delta?.size ?? 0, 'clients of exactly the old image'] as const;
  const all = delta === undefined ? rows : [byDelta, ...rows];
  const cells = all.map(([title, size, who]) => [
    title,
    formatBytes(size),
    percentOf(size, whole),
    bar(size / Math.max(1, whole), size === whole ? 'kept' : ''),
    who,
  ]);
  return [
    section(
      'How large the update is',
      dataTable({
        caption: 'Compressed bytes that clients download',
        columns: [
          {
            title: 'Way',
            kind: 'short',
          },
          {
            title: 'Size',
            kind: 'number',
          },
          {
            title: 'Share',
            kind: 'number',
          },
          {
            title: '',
            kind: 'bars',
          },
          {
            title: 'Who',
            kind: 'words',
          },
        ],
        rows: cells,
      }),
    ),
  ];
}

/** Draws all layers, and lists them in a table that says the same. */
export function contentsSection({ contents = [], files }: DiffReport): readonly Element[] {
  if (contents.length === 0) {
    return [];
  }
  const newSize = sumOf(contents.filter(({ isNew }) => isNew));
  const keptSize = sumOf(contents) - newSize;
  const label = `All layers of the new image by size: ${formatBytes(newSize)} are new, clients
    keep ${formatBytes(keptSize)}. The table of all layers has the same figures.`;
  const sizes = files === undefined ? 'installed sizes of packages' : 'sizes of files';
  return [
    section('What the image holds', [
      paragraph(
        'Each area is a layer by its compressed size, divided among its packages. A layer is ' +
          'downloaded as a whole when any of its packages changed.',
      ),
      element('figure', {}, [
        colorLegend([
          ['new', 'new or changed'],
          ['along', 'unchanged, but downloaded with its layer'],
          ['kept', 'in a layer that clients have'],
        ]),
        treemapDrawing(label.replace(/\s+/g, ' '), contents.map(groupOf)),
        element('figcaption', {}, [
          `Within a layer, areas are in proportion to ${sizes}, which are not compressed; where ` +
            'none is known, it is the mean of the others.',
        ]),
      ]),
      disclosure(`All ${counted(contents.length, 'layer')} as a table`, contentsTable(contents)),
    ]),
  ];
}

function sumOf(layers: readonly { readonly size: number }[]): number {
  return layers.reduce((sum, { size }) => sum + size, 0);
}

function groupOf(layer: ContentReport): TreemapGroup {
  const { size, components } = layer;
  const name = `${layerName(layer)}, ${formatBytes(size)}`;
  if (components.length === 0) {
    return {
      name,
      size,
      items: [wholeLayer(layer)],
    };
  }
  const sizes = components.flatMap((component) => component.size ?? []);
  const mean = sizes.reduce((sum, each) => sum + each, 0) / Math.max(1, sizes.length) || 1;
  const items = components.map((component): TreemapItem => {
    const shown = shownName(component);
    const installed = component.size === undefined ? '' : `, ${formatBytes(component.size)}`;
    return {
      name: shown,
      // Compressed sizes of packages are not known: only a package alone in a layer has one.
      detail: components.length === 1 ? formatBytes(size) : undefined,
      size: component.size ?? mean,
      title: `${shown}${installed}; ${stateOf(component, layer)}; in ${name}`,
      tone: toneOf(component, layer),
    };
  });
  return {
    name,
    size,
    items,
  };
}

/** A layer of which nothing is known but the command that made it. */
function wholeLayer(layer: ContentReport): TreemapItem {
  const { size, isNew } = layer;
  const name = layer.createdBy || layerName(layer);
  return {
    name,
    detail: formatBytes(size),
    size,
    title: `${name}, ${formatBytes(size)}; in ${layerName(layer)}`,
    tone: isNew ? 'new' : 'kept',
  };
}

function layerName({ index, createdBy, components }: ContentReport): string {
  const isCommit = index === 0 && createdBy === undefined && components.length === 0;
  return isCommit ? 'layer 0: the commit' : `layer ${index}`;
}

function toneOf({ change }: ContentComponent, { isNew }: ContentReport): string {
  if (!isNew) {
    return 'kept';
  }
  return change === undefined ? 'along' : 'new';
}

function stateOf({ change }: ContentComponent, { isNew }: ContentReport): string {
  if (!isNew) {
    return 'clients have it';
  }
  return change ?? 'unchanged, but downloaded with its layer';
}

function contentsTable(contents: readonly ContentReport[]): readonly Element[] {
  const rows = contents
    .toSorted((a, b) => b.size - a.size)
    .map((layer) => {
      const { index, size, isNew, components, createdBy = '' } = layer;
      const names = someNames(components.map(shownName), NAMES_WIDTH);
      const changed = components.filter(({ change }) => change !== undefined).length;
      const changedText = isNew ? `${formatCount(changed)} of ${components.length}` : '';
      const what = names || createdBy || 'the commit';
      return [`layer ${index}`, formatBytes(size), isNew ? 'new' : 'kept', changedText, what];
    });
  return dataTable({
    caption: 'All layers of the new image, the largest first',
    columns: [
      {
        title: 'Layer',
        kind: 'short',
      },
      {
        title: 'Size',
        kind: 'number',
      },
      {
        title: 'Clients',
        kind: 'short',
      },
      {
        title: 'Changed',
        kind: 'number',
      },
      {
        title: 'Holds',
        kind: 'words',
      },
    ],
    rows,
  });
}

/** The layers that clients download, each with its causes and, if they were compared, its files. */
export function layersSection({ layers = [], files }: DiffReport): readonly Element[] {
  if (layers.length === 0) {
    return [];
  }
  const largest = Math.max(1, ...layers.map(({ size }) => size));
  const filesByLayer = groupFiles(files ?? [], ({ layer }) => layer);
  const rows = layers.map((layer) => [
    `layer ${layer.index}`,
    formatBytes(layer.size),
    bar(layer.size / largest),
    causesCell(layer, filesByLayer.get(layer.index)),
  ]);
  const table = dataTable({
    caption: 'Layers that clients download, the largest first',
    columns: [
      {
        title: 'Layer',
        kind: 'short',
      },
      {
        title: 'Size',
        kind: 'number',
      },
      {
        title: '',
        kind: 'bars',
      },
      {
        title: 'Because',
        kind: 'words',
      },
    ],
    rows,
  });
  const hint =
    files === undefined
      ? [note('The causes are packages. With --files they are given down to single files.')]
      : [];
  return [section('Why each layer is downloaded', [...table, ...hint])];
}

function causesCell(
  { because }: LayerReport,
  files: readonly FileReport[] = [],
): readonly Content[] {
  const short = someCauses(because, CAUSES_WIDTH);
  const cell: Content[] = [short];
  if (/ more$/.test(short) && because.length > 1) {
    const items = because.slice(0, MAX_CAUSES).map((cause) => element('li', {}, [cause]));
    cell.push(disclosure(`All ${counted(because.length, 'cause')}`, [element('ul', {}, items)]));
  }
  return [...cell, ...fileDisclosure(files)];
}
