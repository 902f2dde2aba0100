/** `build --all-platforms`: an index in, and an index of images for the same platforms out. */
import type { PlainImageOptions } from '../../builder/plain-config.js';
import { IndexWriter } from '../../builder/write-index.js';
import { inContextAsync, must, OstrataError } from '../../errors.js';
import { type IndexedImage, imagesOfIndex, platformName } from '../../oci/platform.js';
import type { BuildSetup } from '../container/build-inputs.js';
import type { BuildReport } from '../container/finish-build.js';
import { stdoutColors } from '../output/colors.js';
import { counted } from '../output/format.js';

interface AllPlatformsOptions {
  readonly from?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** Builds one image of the index, and hands it to the writer of `setup`. */
type BuildImage = (setup: BuildSetup, image: IndexedImage) => Promise<BuildReport>;

interface PlatformReport {
  readonly platform: string;
  readonly report: BuildReport;
}

/**
 * Builds the images of the index that `--from` names, one after the other, so that the spool holds
 * one of them. If one fails, nothing is left at the destination.
 */
export async function buildAllPlatforms(
  setup: BuildSetup,
  { from, json }: AllPlatformsOptions,
  { editAnnotations }: Pick<PlainImageOptions, 'editAnnotations'>,
  buildImage: BuildImage,
): Promise<BuildReport> {
  const name = must(from, '--from');
  const index = await setup.readIndex(name);
  if (index === undefined) {
    const rule = 'is one image and not an index of several; leave out --all-platforms';
    throw new OstrataError('UNSUPPORTED', `${name} ${rule}`);
  }
  const warn = (message: string) => setup.log.warn(message);
  const images = imagesOfIndex(index, name, warn);

  let writer: IndexWriter | undefined;
  const reports: PlatformReport[] = [];
  try {
    for (const image of images) {
      const createWriter = async () => {
        writer ??= new IndexWriter(await setup.createWriter());
        return writer.nextImage(image.platform);
      };
      const platform = platformName(image.platform);
      setup.log.info(`building the image for ${platform}`);
      const report = await inContextAsync(platform, () =>
        buildImage({ ...setup, createWriter }, image),
      );
      reports.push({ platform, report });
    }
    const annotations = index.annotations ?? {};
    const digest = await writer?.commit(editAnnotations?.(annotations) ?? annotations);
    return json ? jsonReport(setup, digest, reports) : textReport(setup, digest, reports);
  } catch (error) {
    await writer?.discard();
    throw error;
  }
}

/** @param manifestDigest that of the index; undefined in a dry run */
function jsonReport(
  { imgref, warnings }: BuildSetup,
  manifestDigest: string | undefined,
  reports: readonly PlatformReport[],
): BuildReport {
  const images = reports.map(({ platform, report }) => {
    return { platform, ...report.json };
  });
  return { json: { reference: imgref, manifestDigest, warnings, images } };
}

function textReport(
  { imgref }: BuildSetup,
  digest: string | undefined,
  reports: readonly PlatformReport[],
): BuildReport {
  const count = counted(reports.length, 'platform');
  const what = `an index of ${count}`;
  const summary =
    digest === undefined
      ? `dry run, nothing is written: ${what}`
      : `${stdoutColors.bold(imgref)}: ${what}\nmanifest ${digest}`;
  const parts: string[] = [];
  for (const { platform, report } of reports) {
    parts.push(platform);
    parts.push(`${report.text}\n`);
  }
  parts.push(summary);
  return { text: parts.join('\n') };
}
