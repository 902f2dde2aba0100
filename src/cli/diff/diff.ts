/** `ostrata diff`: how large an update is, and why. */
import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { loadContentSources } from '../../../plugins/index.js';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { isImgref } from '../../transports/image-reference.js';
import type { LayerIndexStore } from '../../tree/spooled-image.js';
import type { FoundDelta } from '../delta/find.js';
import { IMAGE_COMMANDS } from '../help.js';
import { useOptions } from '../options/groups.js';
import { imageOpener, type RegistryOptions, registryOptions } from '../options/registry.js';
import { logOptions } from '../options/values.js';
import { type LogOptions, terminalLogger } from '../output/terminal.js';
import type { SoundPackages } from '../rpmdb/damage.js';
import { linesOf, objectDocument, textLine, withDamage, writeOutput } from '../rpmdb/output.js';
import { interruptSignal } from '../run.js';
import { type Input, type Location, locate, openInput } from './input.js';
import { markdownReport } from './markdown.js';
import { type DiffReport, diffInputs } from './report.js';
import { textReport } from './text.js';

interface DiffOptions extends RegistryOptions, LogOptions {
  readonly repo?: string | undefined;
  readonly files?: boolean | undefined;
  readonly changelog?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly markdown?: boolean | undefined;
  readonly html?: string | undefined;
}

const ARGUMENT_HELP =
  'an image reference, the path of a folder with a root file system, a commit as REPO:REF, or ' +
  'the path of an RPM database';

const HELP = `
Of a folder, file systems that are mounted in it are left out. The exit code is 0 whether or not
there are differences.

Examples:
  ostrata diff registry:quay.io/os/base:40 registry:quay.io/os/base:41
  ostrata diff --files oci:image:old oci:image:new
  ostrata diff --changelog --markdown oci:image:old oci:image:new >> "$GITHUB_STEP_SUMMARY"
  ostrata diff --changelog --html update.html oci:image:old oci:image:new
  ostrata diff /ostree/repo:os/stable /ostree/repo:os/testing
  ostrata diff /mnt/old /mnt/new`;

export function addDiffCommand(program: Command): void {
  const command = program
    .command('diff')
    .helpGroup(IMAGE_COMMANDS)
    .summary('show how large an update is, and why')
    .description(
      'Show what an update changes: packages with their versions, the layers that clients ' +
        'download, and what causes them. Of an image, only the manifest, the config and the ' +
        'layers with package databases are read, unless --files is given; folders and commits ' +
        'are compared file by file.',
    )
    .argument('<old>', ARGUMENT_HELP)
    .argument('<new>', 'the same')
    .option('--files', 'read all layers of images, and compare all files')
    .option('--changelog', 'print the entries of changelogs that only the newer version has')
    .option('--repo <path>', 'OLD and NEW are refs or commits of this ostree repository')
    .option('--spool <dir>', 'folder for uncompressed layers (default: TMPDIR or /var/tmp)')
    .option('--json', 'print the result as JSON')
    .addOption(
      new Option(
        '--markdown',
        'print the result as Markdown, for release notes and summaries of pipelines',
      ).conflicts('json'),
    )
    .option('--html <file>', 'also write the result to this file, as a web page with drawings')
    .addHelpText('after', HELP)
    .action(diff);
  useOptions(command, [registryOptions, logOptions]);
}

async function diff(oldText: string, newText: string, options: DiffOptions): Promise<void> {
  const locations = [oldText, newText].map((text) => locate(text, options.repo));
  const comparesFiles = wantsFiles(locations, options);
  const log = terminalLogger(options);
  const indexes = new Map<string, Uint8Array>();
  const inputOptions = {
    log,
    signal: interruptSignal,
    readsFiles: comparesFiles,
    open: imageOpener(options, [oldText, newText].filter(isImgref), log),
    spool: options.spool,
    indexes: storeIn(indexes),
  };

  const opened: Input[] = [];
  try {
    for (const location of locations) {
      opened.push(await openInput(location, inputOptions));
    }
    const [old, next] = opened as [Input, Input];
    const report = await diffInputs(old, next, {
      log,
      signal: interruptSignal,
      sources: await loadContentSources({ skipDamagedPackages: true }),
      hasChangelogs: options.changelog ?? false,
      comparesFiles,
      delta: await deltaBetween(old, next, options, log),
    });
    await writePage(report, options);
    const sound = opened.flatMap(({ list }) => list?.sound ?? []);
    await printReport(report, options, sound);
  } finally {
    for (const input of opened) {
      await input.close();
    }
  }
}

/** Two folders or commits are always compared file by file, because nothing has to be fetched. */
function wantsFiles(locations: readonly Location[], { files = false }: DiffOptions): boolean {
  const kinds = locations.map(({ kind }) => kind);
  if (files && kinds.includes('rpmdb')) {
    throw new OstrataError('USAGE', '--files: a package database has no files to compare');
  }
  return files || kinds.every((kind) => kind === 'directory' || kind === 'commit');
}

/** Two images can have a delta beside the new one. */
async function deltaBetween(
  { image: old, name }: Input,
  { image: next, name: target }: Input,
  options: DiffOptions,
  log: Logger,
): Promise<FoundDelta | undefined> {
  if (old === undefined || next === undefined || old.manifestDigest === next.manifestDigest) {
    return undefined;
  }
  const { deltaOpener, findDelta } = await import('../delta/find.js');
  const opener = deltaOpener(target, [name, target], options, log);
  return findDelta(old.manifest.config.digest, opener, log);
}

async function writePage(report: DiffReport, { html }: DiffOptions): Promise<void> {
  if (html !== undefined) {
    const { htmlReport } = await import('./html/report.js');
    await inContextAsync(`writing ${html}`, () => writeFile(html, htmlReport(report)));
  }
}

function storeIn(indexes: Map<string, Uint8Array>): LayerIndexStore {
  return {
    load: (diffId) => indexes.get(diffId),
    save: (diffId, index) => indexes.set(diffId, index),
  };
}

/** Prints the report, and after it an error if packages are missing because they are damaged. */
async function printReport(
  report: DiffReport,
  { json, markdown }: DiffOptions,
  sound: readonly SoundPackages[],
): Promise<void> {
  if (json) {
    await writeOutput(objectDocument(withDamage([report], ...sound)));
    return;
  }
  const text = markdown ? markdownReport(report) : textReport(report);
  await writeOutput(linesOf(withDamage([textLine(text)], ...sound)));
}
