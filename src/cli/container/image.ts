/** `ostrata container image`: commands on the images that a repository has. Nothing is fetched. */
import type { Command } from 'commander';
import { copyImage } from '../../client/copy-image.js';
import { pruneLayers } from '../../client/prune.js';
import {
  imageRef,
  listImages,
  missingImage,
  requireImage,
  type StoredImage,
} from '../../client/stored.js';
import { canonicalImgref } from '../../client/verify/ostree-image-reference.js';
import { OstrataError } from '../../errors.js';
import { openRepo } from '../../ostree/repo.js';
import { RepoWriter } from '../../ostree/write/writer.js';
import { counted, formatBytes, formatTable, left, right, shortDigest } from '../output/format.js';
import { print } from '../output/print.js';
import { interruptSignal } from '../run.js';

interface RepoOptions {
  readonly repo: string;
}

interface RemoveOptions extends RepoOptions {
  readonly skipGc?: boolean | undefined;
}

interface MetadataOptions extends RepoOptions {
  readonly config?: boolean | undefined;
}

interface CopyOptions {
  readonly srcRepo: string;
  readonly destRepo: string;
}

const IMGREF_HELP = 'as `container image list` prints it, or as it was pulled';

export function addStoredImageCommands(image: Command): void {
  repoCommand(image, 'list', 'print the references of all images in a repository').action(list);

  repoCommand(image, 'history', 'print the layers of an image')
    .argument('<imgref>', IMGREF_HELP)
    .action(history);

  repoCommand(image, 'metadata', 'print the manifest of an image')
    .argument('<imgref>', IMGREF_HELP)
    .option('--config', 'print the config instead')
    .action(metadata);

  repoCommand(image, 'remove', 'remove images, and the layers that no other image needs')
    .argument('<imgref...>', IMGREF_HELP)
    .option('--skip-gc', 'keep the layers; prune-layers removes them later')
    .action(remove);

  repoCommand(image, 'prune-layers', 'remove the layers that no image needs')
    .description(
      'Remove the refs of layers that no image needs. The next `ostree prune` deletes the ' +
        'objects of these layers.',
    )
    .action(({ repo }: RepoOptions) => withWriter(repo, prune));

  image
    .command('copy')
    .summary('copy an image from one repository to another')
    .description(
      'Copy an image from one ostree repository to another, without fetching anything. Prints ' +
        'the merge commit.',
    )
    .argument('<imgref>', IMGREF_HELP)
    .requiredOption('--src-repo <path>', 'the ostree repository that has the image')
    .requiredOption('--dest-repo <path>', 'the ostree repository that gets it')
    .action(copy);
}

function repoCommand(image: Command, name: string, summary: string): Command {
  return image
    .command(name)
    .summary(summary)
    .description(`${summary[0]?.toUpperCase()}${summary.slice(1)}.`)
    .requiredOption('--repo <path>', 'the ostree repository');
}

function list({ repo }: RepoOptions): void {
  for (const imgref of listImages(openRepo(repo))) {
    print(imgref);
  }
}

function history(imgref: string, { repo }: RepoOptions): void {
  const { manifest, config } = readImage(repo, imgref);
  const steps = (config.history ?? []).filter(({ empty_layer }) => empty_layer !== true);
  const rows = manifest.layers.map(({ digest, size }, i) => [
    shortDigest(digest),
    formatBytes(size),
    steps[i]?.created_by ?? '',
  ]);
  print(formatTable([left('ID'), right('SIZE'), left('CREATED BY')], rows));
}

function metadata(imgref: string, { repo, config }: MetadataOptions): void {
  const { manifestJson, configJson } = readImage(repo, imgref);
  print(config ? configJson : manifestJson);
}

function readImage(repo: string, reference: string): StoredImage {
  return requireImage(openRepo(repo), canonicalImgref(reference));
}

/** Removes the images that exist, even if others of `references` do not. */
async function remove(
  references: readonly string[],
  { repo, skipGc }: RemoveOptions,
): Promise<void> {
  await withWriter(repo, (writer) => {
    const known = new Set(listImages(writer.repo));
    const wanted = references.map(canonicalImgref);
    const missing = wanted.filter((imgref) => !known.has(imgref));
    const messages = missing.map((imgref) => missingImage(writer.repo, imgref));
    for (const imgref of wanted) {
      writer.deleteRef(imageRef(imgref));
    }
    if (!skipGc) {
      prune(writer);
    }
    if (messages.length > 0) {
      throw new OstrataError('NOT_FOUND', messages.join('; '));
    }
  });
}

function prune(writer: RepoWriter): void {
  const pruned = pruneLayers(writer);
  if (pruned === undefined) {
    print('no layers removed: another process is writing to the repository');
  } else {
    print(`${counted(pruned, 'layer')} removed`);
  }
}

async function copy(reference: string, { srcRepo, destRepo }: CopyOptions): Promise<void> {
  const imgref = canonicalImgref(reference);
  await withWriter(destRepo, async (writer) => {
    print(await copyImage(openRepo(srcRepo), writer, imgref, interruptSignal));
  });
}

async function withWriter(
  repo: string,
  body: (writer: RepoWriter) => void | Promise<void>,
): Promise<void> {
  const writer = await RepoWriter.open(repo, { signal: interruptSignal });
  try {
    await body(writer);
  } finally {
    writer.close();
  }
}
