/** Commands on the images that a repository has; nothing is fetched. */
import type { Command } from 'commander';
import { copyImage } from '../../client/copy-image.js';
import { pruneLayers } from '../../client/prune.js';
import { imageRef, listImages, type StoredImage, storedImage } from '../../client/stored.js';
import { canonicalImgref, parseOstreeImgref } from '../../client/verify/ostree-image-reference.js';
import { OstrataError } from '../../errors.js';
import { openRepo } from '../../ostree/repo.js';
import { RepoWriter } from '../../ostree/write/writer.js';
import { counted, formatBytes, formatTable, shortDigest } from '../output/format.js';
import { interruptSignal } from '../run.js';

interface RepoOptions {
  readonly repo: string;
}
const IMGREF_HELP = 'TRANSPORT:..., as `list` prints it';

export function addContainerImageCommands(image: Command): void {
  withRepo(image.command('list').summary('print the references of all images')).action(
    ({ repo }: RepoOptions) => {
      for (const imgref of listImages(openRepo(repo))) {
        console.log(imgref);
      }
    },
  );
  withRepo(image.command('history').summary('print the layers of an image'))
    .argument('<imgref>', IMGREF_HELP)
    .action((imgref: string, { repo }: RepoOptions) => printHistory(requireImage(repo, imgref)));
  withRepo(image.command('metadata').summary('print the manifest of an image'))
    .argument('<imgref>', IMGREF_HELP)
    .option('--config', 'print its config instead')
    .action(
      (
        imgref: string,
        { repo, config }: RepoOptions & { readonly config?: boolean | undefined },
      ) => {
        const { manifestJson, configJson } = requireImage(repo, imgref);
        console.log(config ? configJson : manifestJson);
      },
    );
  withRepo(image.command('remove').summary('forget images, and layers that no other needs'))
    .argument('<imgref...>', IMGREF_HELP)
    .option('--skip-gc', 'keep the layers')
    .action((imgrefs: string[], options: RepoOptions & { readonly skipGc?: boolean | undefined }) =>
      removeImages(imgrefs, options),
    );
  withRepo(image.command('prune-layers').summary('forget layers that no image needs'))
    .description(
      'Remove the refs of layers that no image needs. Their objects go with the next `ostree prune`.',
    )
    .action(({ repo }: RepoOptions) => withWriter(repo, prune));
  image
    .command('copy')
    .summary('copy an image from one repository to another')
    .argument('<imgref>', `${IMGREF_HELP}, or with ostree-unverified-image: and the like in front`)
    .requiredOption('--src-repo <path>', 'the repository that has it')
    .requiredOption('--dest-repo <path>', 'the repository that gets it')
    .action((text: string, options: { readonly srcRepo: string; readonly destRepo: string }) => {
      const imgref = text.startsWith('ostree-') ? parseOstreeImgref(text).imgref : text;
      return withWriter(options.destRepo, async (writer) => {
        const mergeCommit = await copyImage(
          openRepo(options.srcRepo),
          writer,
          canonicalImgref(imgref),
        );
        console.log(mergeCommit);
      });
    });
}

function withRepo(command: Command): Command {
  return command.requiredOption('--repo <path>', 'the ostree repository');
}

function requireImage(repo: string, imgref: string): StoredImage {
  const image = storedImage(openRepo(repo), canonicalImgref(imgref));
  if (image === undefined) {
    throw new OstrataError('NOT_FOUND', `no image ${imgref} in ${repo}`);
  }
  return image;
}

function printHistory({ manifest, config }: StoredImage): void {
  const history = (config.history ?? []).filter(({ empty_layer }) => empty_layer !== true);
  console.log(
    formatTable(
      [
        { title: 'ID', align: 'left' },
        { title: 'SIZE', align: 'right' },
        { title: 'CREATED BY', align: 'left' },
      ],
      manifest.layers.map(({ digest, size }, i) => [
        shortDigest(digest),
        formatBytes(size),
        history[i]?.created_by ?? '',
      ]),
    ),
  );
}

/** All that are there are removed, also where another one is not. */
async function removeImages(
  imgrefs: readonly string[],
  { repo, skipGc }: RepoOptions & { readonly skipGc?: boolean | undefined },
) {
  await withWriter(repo, (writer) => {
    const known = new Set(listImages(writer.repo));
    const missing = imgrefs.filter((imgref) => !known.has(canonicalImgref(imgref)));
    for (const imgref of imgrefs) {
      writer.deleteRef(imageRef(canonicalImgref(imgref)));
    }
    if (!skipGc) {
      prune(writer);
    }
    if (missing.length > 0) {
      throw new OstrataError('NOT_FOUND', `no image ${missing.join(', ')} in ${repo}`);
    }
  });
}

function prune(writer: RepoWriter): void {
  const pruned = pruneLayers(writer);
  console.log(
    pruned === undefined
      ? 'no layers pruned: another process writes'
      : `${counted(pruned, 'layer')} pruned`,
  );
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
