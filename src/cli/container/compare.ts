import { type Command, Option } from 'commander';
import { type ComparedLayer, compareImages } from '../../image/compare.js';
import type { ReadLayer } from '../../image/encapsulated.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import {
  counted,
  formatBytes,
  formatPercent,
  formatTable,
  printable,
  shortDigest,
  someNames,
} from '../output/format.js';
import { terminalLogger } from '../output/terminal.js';
import { IMGREF_HELP, type InfoOptions, plainImgref, readImage, sizeOf } from './info.js';

/** Characters of component names in a row. */
const NAMES_WIDTH = 90;

interface CompareOptions extends InfoOptions {
  readonly markdown?: boolean | undefined;
}

export function addCompareCommand(container: Command): void {
  const command = container
    .command('compare')
    .summary('what a client of one image downloads for another')
    .description(
      'Tell how large the update from one image to another is, and which components cause it. Layers are the same where ' +
        'their uncompressed bytes are: clients recognise those whoever compressed them.',
    )
    .argument('<old>', IMGREF_HELP)
    .argument('<new>', IMGREF_HELP)
    .option('--json', 'print it as JSON')
    .addOption(
      new Option('--markdown', 'print it as Markdown, for release notes').conflicts('json'),
    )
    .action(async (oldText: string, newText: string, options: CompareOptions) => {
      const [oldImgref, newImgref] = [plainImgref(oldText), plainImgref(newText)];
      const log = terminalLogger(options);
      const open = imageOpener(options, [newImgref, oldImgref], log);
      const [before, after] = [
        await readImage(oldImgref, open, log),
        await readImage(newImgref, open, log),
      ];
      const compared = compareImages(before, after);
      const report = options.json ? jsonReport : options.markdown ? markdownReport : textReport;
      console.log(report(after.layers, compared));
    });
  useOptions(command, [registryOptions, logOptions]);
}

type Compared = ReturnType<typeof compareImages>;

function jsonReport(total: readonly ReadLayer[], { removed, added, changes }: Compared): string {
  return JSON.stringify({
    total: total.length,
    totalSize: sizeOf(total),
    removed: removed.length,
    removedSize: sizeOf(removed),
    added: added.length,
    addedSize: sizeOf(added),
    layers: added.map(({ index, descriptor: { digest, size }, diffId, changes: causes }) => ({
      ...{ index, digest, diffId, size },
      changes: causes,
    })),
    changes,
  });
}

function textReport(total: readonly ReadLayer[], compared: Compared): string {
  const line = (layers: readonly ReadLayer[]) =>
    `${counted(layers.length, 'layer')}, ${formatBytes(sizeOf(layers))}`;
  const { removed, added } = compared;
  const counts = `total:   ${line(total)}\nremoved: ${line(removed)}\nadded:   ${line(added)}`;
  if (added.length === 0) {
    return counts;
  }
  const rows = bySize(added).map((layer) => [
    String(layer.index),
    shortDigest(layer.descriptor.digest),
    formatBytes(layer.descriptor.size),
    causeOf(layer),
  ]);
  const table = formatTable(
    [
      { title: 'LAYER', align: 'right' },
      { title: 'DIGEST', align: 'left' },
      { title: 'SIZE', align: 'right' },
      { title: 'BECAUSE', align: 'left' },
    ],
    rows,
  );
  return [`${counts}\n\n${table}`, ...removedComponents(compared)].join('\n');
}

function markdownReport(total: readonly ReadLayer[], compared: Compared): string {
  const { added } = compared;
  const [bytes, all] = [sizeOf(added), sizeOf(total)];
  const cell = (text: string) => printable(text).replace(/[\\|`*_<>[\]]/g, '\\$&');
  return [
    `**Update: ${formatBytes(bytes)}** in ${added.length} of ${counted(total.length, 'layer')} ` +
      `(${formatPercent(bytes, all)} of ${formatBytes(all)})\n`,
    '| Size | Because |',
    '| ---: | --- |',
    ...bySize(added).map(
      (layer) => `| ${formatBytes(layer.descriptor.size)} | ${cell(causeOf(layer))} |`,
    ),
    ...removedComponents(compared).map((text) => `\n${cell(text)}`),
  ].join('\n');
}

const bySize = (layers: readonly ComparedLayer[]) =>
  [...layers].sort((a, b) => b.descriptor.size - a.descriptor.size || a.index - b.index);

function causeOf({ kind, changes, recorded, names, createdBy }: ComparedLayer): string {
  if (kind === 'commit') {
    return 'the commit is another';
  }
  if (changes.length > 0) {
    return someNames(
      changes.map(({ id, change }) => `${id} ${change}`),
      NAMES_WIDTH,
    );
  }
  if (recorded !== undefined) {
    return 'its components come from layers that changed';
  }
  return names.length > 0 ? `holds ${someNames(names, NAMES_WIDTH)}` : createdBy;
}

function removedComponents({ changes = [] }: Compared): string[] {
  const removed = changes.flatMap(({ id, change }) => (change === 'removed' ? [id] : []));
  return removed.length > 0 ? [`removed: ${printable(removed.join(', '))}`] : [];
}
