/** `ostrata container compare`: what an update downloads, and which components cause it. */
import { type Command, Option } from 'commander';
import { type ComparedImages, compareImages } from '../../image/compare.js';
import type { ReadLayer } from '../../image/encapsulated.js';
import type { FoundDelta } from '../delta/find.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import {
  counted,
  formatBytes,
  formatPercent,
  formatTable,
  left,
  REASONS_WIDTH,
  right,
  shortDigest,
  someNames,
} from '../output/format.js';
import { print, printable } from '../output/print.js';
import { terminalLogger } from '../output/terminal.js';
import { IMGREF_HELP, type InfoOptions, readImageInfo, sizeOf } from './image-info.js';
import { bySize, reasonOf } from './reasons.js';

interface CompareOptions extends InfoOptions {
  readonly markdown?: boolean | undefined;
}

interface Comparison extends ComparedImages {
  /** What clients of the old image can download instead of the layers; undefined if not there. */
  readonly delta: FoundDelta | undefined;
}

/** @param layers all layers of the new image */
type Report = (layers: readonly ReadLayer[], compared: Comparison) => string;

export function addCompareCommand(container: Command): void {
  const command = container
    .command('compare')
    .summary('show what an update from one image to another downloads, and why')
    .description(
      'Show how large the update from one image to another is, and which components cause it. ' +
        'Two layers are the same if their uncompressed bytes are the same: clients recognize a ' +
        'layer even if it was compressed again. Components are compared by the layout records of ' +
        'the images or, without these, by the names on their layers; `ostrata rpmdb diff` ' +
        'compares the packages.',
    )
    .argument('<old>', `the image that clients have: ${IMGREF_HELP}`)
    .argument('<new>', 'the image that they update to, in the same form')
    .option('--json', 'print the result as JSON')
    .addOption(
      new Option('--markdown', 'print the result as Markdown, for release notes').conflicts('json'),
    )
    .addHelpText(
      'after',
      `
Example:
  ostrata container compare registry:quay.io/os/base:40 registry:quay.io/os/base:41`,
    )
    .action(compare);
  useOptions(command, [registryOptions, logOptions]);
}

async function compare(
  oldReference: string,
  newReference: string,
  options: CompareOptions,
): Promise<void> {
  const log = terminalLogger(options);
  const references = [newReference, oldReference];
  const open = imageOpener(options, references, log);
  const oldImage = await readImageInfo(oldReference, open, log);
  const newImage = await readImageInfo(newReference, open, log);

  const { deltaOpener, findDelta } = await import('../delta/find.js');
  const opener = deltaOpener(newReference, references, options, log);
  const delta = await findDelta(oldImage.configDigest, opener, log);

  const report = reportFor(options);
  print(report(newImage.layers, { ...compareImages(oldImage, newImage), delta }));
}

function reportFor({ json, markdown }: CompareOptions): Report {
  if (json) {
    return jsonReport;
  }
  return markdown ? markdownReport : textReport;
}

const jsonReport: Report = (layers, { removed, added, changes, delta }) =>
  JSON.stringify({
    total: layers.length,
    totalSize: sizeOf(layers),
    removed: removed.length,
    removedSize: sizeOf(removed),
    added: added.length,
    addedSize: sizeOf(added),
    delta,
    layers: added.map((layer) => ({
      index: layer.index,
      digest: layer.descriptor.digest,
      diffId: layer.diffId,
      size: layer.descriptor.size,
      changes: layer.changes,
    })),
    changes,
  });

const textReport: Report = (layers, compared) => {
  const { removed, added, delta } = compared;
  const sum = (list: readonly ReadLayer[]) =>
    `${counted(list.length, 'layer')}, ${formatBytes(sizeOf(list))}`;
  const counts = [`total:   ${sum(layers)}`, `removed: ${sum(removed)}`, `added:   ${sum(added)}`];
  if (delta !== undefined) {
    const share = formatPercent(delta.size, sizeOf(added));
    counts.push(`delta:   ${formatBytes(delta.size)} instead of the added layers (${share})`);
  }
  const head = counts.join('\n');
  if (added.length === 0) {
    return head;
  }
  const rows = bySize(added).map((layer) => [
    String(layer.index),
    shortDigest(layer.descriptor.digest),
    formatBytes(layer.descriptor.size),
    reasonOf(layer),
  ]);
  const columns = [right('LAYER'), left('DIGEST'), right('SIZE'), left('BECAUSE')];
  return [`${head}\n\n${formatTable(columns, rows)}`, ...removedComponents(compared)].join('\n');
};

const markdownReport: Report = (layers, compared) => {
  const { added, delta } = compared;
  const updateSize = sizeOf(added);
  const imageSize = sizeOf(layers);
  const share = `${formatPercent(updateSize, imageSize)} of ${formatBytes(imageSize)}`;
  const count = `${added.length} of ${counted(layers.length, 'layer')}`;
  const byDelta = delta === undefined ? '' : `, or **${formatBytes(delta.size)}** by delta`;
  const rows = bySize(added).map((layer) => {
    const size = formatBytes(layer.descriptor.size);
    const cell = reasonOf(layer);
    const reason = typeof cell === 'string' ? cell : someNames(cell, REASONS_WIDTH);
    return `| ${size} | ${escapeMarkdown(reason)} |`;
  });
  return [
    `**Update: ${formatBytes(updateSize)}** in ${count} (${share})${byDelta}\n`,
    '| Size | Because |',
    '| ---: | --- |',
    ...rows,
    ...removedComponents(compared).map((line) => `\n${escapeMarkdown(line)}`),
  ].join('\n');
};

export function escapeMarkdown(text: string): string {
  return printable(text).replace(/[\\|`*_<>[\]]/g, '\\$&');
}

function removedComponents({ changes = [] }: ComparedImages): readonly string[] {
  const removed = changes.filter(({ change }) => change === 'removed').map(({ id }) => id);
  return removed.length > 0 ? [`components removed: ${printable(removed.join(', '))}`] : [];
}
