/** `ostrata container-encapsulate`: an ostree commit in, an image of many layers out. */
import type { Command } from 'commander';
import { planImage, writeImage } from '../../builder/encapsulate.js';
import { IMGREF_FORMS } from '../../transports/image-reference.js';
import { BUILD_COMMANDS } from '../help.js';
import { useOptions } from '../options/groups.js';
import { layerLimitOptions } from '../options/layers.js';
import { readSigners, type SigningOptions } from '../options/signing.js';
import { computing } from '../run.js';
import { type BuildOptions, readBuildInputs, readBuildSetup } from './build-inputs.js';
import {
  formatVersionOf,
  type ImageConfigOptions,
  imageConfigOptions,
  type LayoutOptions,
  layoutOptions,
  previousBuildOptions,
  readImageOptions,
  WRITING_OPTIONS,
} from './encapsulate-options.js';
import { finishBuild, printReport } from './finish-build.js';

export interface EncapsulateOptions
  extends BuildOptions,
    LayoutOptions,
    ImageConfigOptions,
    SigningOptions {
  readonly repo: string;
}

export function addContainerEncapsulateCommand(program: Command): void {
  const command = program
    .command('container-encapsulate')
    .helpGroup(BUILD_COMMANDS)
    .summary('turn an ostree commit into a container image of many layers')
    .description(
      'Turn an ostree commit into an OCI image whose layers follow the package database of the ' +
        'commit: packages that change together share a layer, so that an update downloads only ' +
        'the layers that changed. Files without a package are grouped by what they are and where ' +
        'they are. Clients such as bootc and rpm-ostree recover the commit when they pull the ' +
        'image.',
    )
    .argument('<ref>', 'a ref, remote:ref, a commit id or the beginning of one')
    .argument('<imgref>', `where to write: ${IMGREF_FORMS}`)
    .requiredOption('--repo <path>', 'the ostree repository that has the commit')
    .addHelpText(
      'after',
      `
Examples:
  ostrata container-encapsulate --repo=repo fedora/x86_64/coreos/stable oci:image:latest
  ostrata container-encapsulate --repo=repo --previous-build=oci:image:latest \\
    fedora/x86_64/coreos/stable oci:image:next
  ostrata container-encapsulate --repo=repo --previous-build=registry:quay.io/os/base:39 \\
    --delta-from=registry:quay.io/os/base:39 \\
    fedora/x86_64/coreos/stable registry:quay.io/os/base:40

SOURCE_DATE_EPOCH in the environment replaces the commit's time in the image.`,
    )
    .action(encapsulate);
  useOptions(command, [
    layerLimitOptions,
    layoutOptions,
    previousBuildOptions,
    imageConfigOptions,
    ...WRITING_OPTIONS,
  ]);
}

export async function encapsulate(
  ref: string,
  imgref: string,
  options: EncapsulateOptions,
): Promise<void> {
  const imageOptions = await readImageOptions(options);
  const signers = readSigners(options);
  const setup = await readBuildSetup(imgref, imageOptions.architecture, options);
  try {
    const inputs = await readBuildInputs(setup, options);
    const plan = await computing(() =>
      planImage({
        ...inputs.layoutOptions,
        repo: options.repo,
        ref,
        formatVersion: formatVersionOf(options.formatVersion),
        signers,
      }),
    );
    const report = await finishBuild(plan, inputs, options, (writer) =>
      writeImage(plan, writer, { ...imageOptions, ...inputs.blobOptions }),
    );
    printReport(report, setup, options);
  } finally {
    await setup.close();
  }
}
