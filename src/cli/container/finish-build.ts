/** The end of all commands that build images: the image is written and reported. */
import { writeFile } from 'node:fs/promises';
import type { ImagePlan } from '../../builder/image-plan.js';
import type { WrittenImage } from '../../builder/write-image.js';
import { inContextAsync } from '../../errors.js';
import { ARCHIVE_ON_STDOUT } from '../../transports/oci/archive-transport.js';
import type { ImageWriter } from '../../transports/transport.js';
import type { MadeDelta } from '../delta/make-deltas.js';
import { print } from '../output/print.js';
import { deltaReport, deltasInJson, writeDeltas } from './build-deltas.js';
import type { BuildInputs, BuildOptions } from './build-inputs.js';
import { contentMeta } from './content-meta.js';
import {
  comparisonReport,
  jsonReport,
  originReport,
  plannedLayers,
  type ReportedCommand,
  tableReport,
  updateReport,
  writtenLayers,
} from './encapsulate-report.js';

/** What a command prints, in the form that was asked for. */
export type BuildReport =
  | { readonly json: object; readonly text?: undefined }
  | { readonly text: string; readonly json?: undefined };

/**
 * Finishes a build: writes the image, unless it is a dry run. Returns what is to be printed.
 * @param write writes the image of the plan
 */
export async function finishBuild(
  plan: ImagePlan,
  inputs: BuildInputs,
  options: BuildOptions,
  write: (writer: ImageWriter) => Promise<WrittenImage>,
): Promise<BuildReport> {
  const path = options.writeContentmetaJson;
  if (path !== undefined) {
    await inContextAsync(`writing ${path}`, () =>
      writeFile(path, `${JSON.stringify(contentMeta(plan.components))}\n`),
    );
  }
  const image = options.dryRun ? undefined : await write(await inputs.createWriter());
  const deltas = image === undefined ? [] : await writeDeltas(image, inputs, options);
  return reportOf(plan, { image, deltas }, inputs, options);
}

interface Written {
  /** Undefined in a dry run. */
  readonly image: WrittenImage | undefined;
  readonly deltas: readonly MadeDelta[];
}

function reportOf(
  plan: ImagePlan,
  { image, deltas }: Written,
  inputs: BuildInputs,
  options: BuildOptions,
): BuildReport {
  const { imgref, comparedBuild } = inputs;
  const layers = image === undefined ? plannedLayers(plan) : writtenLayers(image);
  // A manifest has no layer keys: which layers stay the same is known once they are written.
  const isUpdateKnown = image !== undefined || plan.previous?.image !== undefined;
  const previousName = isUpdateKnown ? inputs.previousName : undefined;
  if (options.json) {
    const json = jsonReport(plan, layers, image, { ...inputs, previousName });
    return { json: { ...json, deltas: deltasInJson(deltas) } };
  }

  const parts = [tableReport(plan, layers, image && { imgref, ...image })];
  if (inputs.blobOptions.sharedCache !== undefined && image !== undefined) {
    parts.push(originReport(layers));
  }
  if (previousName !== undefined) {
    parts.push(updateReport(plan, layers, previousName));
  } else if (inputs.previousName !== undefined) {
    const rule = 'is known once its layers are written: a manifest has no layer keys';
    parts.push(`\nWhat a client of ${inputs.previousName} downloads ${rule}`);
  }
  if (comparedBuild !== undefined) {
    parts.push(comparisonReport(plan, layers, comparedBuild));
  }
  if (deltas.length > 0) {
    parts.push(deltaReport(deltas));
  }
  return { text: parts.join('\n') };
}

/** Prints a report where the archive does not go. */
export function printReport(
  { json, text }: BuildReport,
  { imgref }: ReportedCommand,
  { reportsOnStderr }: Pick<BuildOptions, 'reportsOnStderr'>,
): void {
  const isStdoutTaken = imgref.startsWith(ARCHIVE_ON_STDOUT);
  const stream = isStdoutTaken || reportsOnStderr ? process.stderr : process.stdout;
  print(text ?? JSON.stringify(json), stream);
}
