/** The page that `ostrata diff --html` writes, for release notes. */
import type { Element } from '../../html/element.js';
import { type Fact, factList, htmlPage, note, paragraph, section } from '../../html/page.js';
import { dataTable } from '../../html/table.js';
import { counted, formatBytes, formatCount } from '../../output/format.js';
import type { DiffReport, SideReport } from '../report.js';
import { factsOf, settingRows } from '../tables.js';
import { componentSection } from './files.js';
import { changesText, countOfChanges, headlineOf, percentOf } from './headline.js';
import { historySection } from './history.js';
import { contentsSection, layersSection, sizeSection } from './layers.js';
import { packagesSection } from './packages.js';

export function htmlReport(report: DiffReport): string {
  const sections = [
    sizeSection(report),
    contentsSection(report),
    layersSection(report),
    packagesSection(report),
    componentSection(report),
    settingsSection(report),
    historySection(report),
    sidesSection(report),
  ];
  return htmlPage({
    kind: `Update from ${report.old.name} to ${report.new.name}`,
    headline: headlineOf(report),
    lead: [...leadOf(report), factList(figuresOf(report))],
    sections: sections.flat(),
    footer: 'Written by ostrata diff.',
  });
}

function leadOf({ update, new: side }: DiffReport): readonly Element[] {
  const { delta } = update ?? {};
  if (delta === undefined) {
    return [];
  }
  const share = percentOf(delta.size, side.size ?? 0);
  const text = `With the delta beside the image they download ${formatBytes(delta.size)} instead`;
  return [paragraph(`${text}, ${share} of the image.`)];
}

/** The figures at the top, as far as they are known. */
function figuresOf(report: DiffReport): readonly Fact[] {
  const facts: Fact[] = [];
  const { update, packages, old, new: side, files } = report;
  if (update !== undefined) {
    facts.push({
      title: 'Download by layers',
      figure: formatBytes(update.size),
      detail: `in ${formatCount(update.layers)} of ${counted(side.layers ?? 0, 'layer')}`,
    });
  }
  if (update?.delta !== undefined) {
    const share = percentOf(update.delta.size, update.size);
    facts.push({
      title: 'Download by delta',
      figure: formatBytes(update.delta.size),
      detail: `${share} of the layers`,
    });
  }
  if (packages !== undefined) {
    facts.push({
      title: 'Packages that differ',
      figure: formatCount(countOfChanges(packages)),
      detail: changesText(packages) || `${formatCount(packages.unchanged)} are the same`,
    });
  }
  if (files !== undefined) {
    const [, detail = ''] = factsOf(report).find(([title]) => title === 'files') ?? [];
    const changed = files.filter(({ isDirectory }) => !isDirectory);
    facts.push({
      title: 'Files that differ',
      figure: formatCount(changed.length),
      detail,
    });
  }
  if (side.size !== undefined) {
    const before = old.size === undefined ? '' : `${formatBytes(old.size)} before`;
    facts.push({
      title: 'New image',
      figure: formatBytes(side.size),
      detail: before,
    });
  }
  return facts;
}

function settingsSection({ settings = [] }: DiffReport): readonly Element[] {
  if (settings.length === 0) {
    return [];
  }
  const rows = settingRows(settings);
  return [
    section(
      'Settings',
      dataTable({
        caption: 'Settings, labels and annotations of the image that differ',
        columns: [
          {
            title: 'Setting',
            kind: 'name',
          },
          {
            title: 'Old',
            kind: 'words',
          },
          {
            title: 'New',
            kind: 'words',
          },
        ],
        rows,
      }),
    ),
  ];
}

function sidesSection({ old, new: side, packages }: DiffReport): readonly Element[] {
  const rows = SIDE_ROWS.map(({ title, text }) => [title, text(old), text(side)]);
  const table = dataTable({
    caption: 'The two sides of the comparison',
    columns: [
      {
        title: 'Property',
        kind: 'short',
      },
      {
        title: 'Old',
        kind: 'words',
      },
      {
        title: 'New',
        kind: 'words',
      },
    ],
    rows: rows.filter(([, ...texts]) => texts.some((text) => text !== '')),
  });
  const missing =
    packages === undefined ? [note('Packages were not compared: one side has no database.')] : [];
  return [section('What was compared', [...table, ...missing])];
}

interface SideRow {
  readonly title: string;
  readonly text: (side: SideReport) => string;
}

const SIDE_ROWS: readonly SideRow[] = [
  {
    title: 'Name',
    text: ({ name }) => name,
  },
  {
    title: 'Kind',
    text: ({ kind }) => kind,
  },
  {
    title: 'Manifest',
    text: ({ manifestDigest = '' }) => manifestDigest,
  },
  {
    title: 'Created',
    text: ({ created = '' }) => created,
  },
  {
    title: 'Packages',
    text: ({ packages }) => countText(packages),
  },
  {
    title: 'Layers',
    text: ({ layers }) => countText(layers),
  },
  {
    title: 'Size',
    text: ({ size }) => (size === undefined ? '' : formatBytes(size)),
  },
];

function countText(count: number | undefined): string {
  return count === undefined ? '' : formatCount(count);
}
