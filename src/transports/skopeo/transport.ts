/**
 * Places that skopeo reaches (containers-transports(5)): an image is copied through a private OCI image layout. Digests
 * stay as they are in `dir:` and `containers-storage:`; layers of the others may come back in another compression.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inContextAsync, OstrataError } from '../../errors.js';
import { createOciWriter, ociTransport } from '../oci/directory.js';
import { makeStagingFolder, type StagingFolder } from '../staging.js';
import type { ImageReader, ImageWriter, Transport, TransportOptions } from '../transport.js';
import { runSkopeo } from './run.js';

const TAG = 'image';

interface Place {
  readonly name: string;
  /** Of the reference, after the name and a colon. */
  readonly form: string;
  readonly keepsDigests: boolean;
  /** What is written is the file or folder before the next colon. */
  readonly isPath: boolean;
}

const PLACES: readonly Place[] = [
  { name: 'dir', form: 'DIR', keepsDigests: true, isPath: true },
  { name: 'docker-archive', form: 'FILE[:NAME:TAG]', keepsDigests: false, isPath: true },
  { name: 'containers-storage', form: 'NAME[:TAG]', keepsDigests: true, isPath: false },
  { name: 'docker-daemon', form: 'NAME:TAG', keepsDigests: false, isPath: false },
];

export const skopeoTransports: readonly Transport[] = PLACES.map((place) => {
  const form = `${place.name}:${place.form}`;
  return {
    name: place.name,
    form,
    check: (rest) => {
      if (rest === '') {
        throw new OstrataError('USAGE', `image reference ${place.name}: expected ${form}`);
      }
    },
    read: (rest, options) => readBySkopeo(`${place.name}:${rest}`, options),
    write: (rest, options) => writeBySkopeo(place, rest, options),
  };
});

async function readBySkopeo(imgref: string, options: TransportOptions): Promise<ImageReader> {
  return withStaging(`reading ${imgref}`, async (staging) => {
    const layout = `${join(staging.path, 'layout')}:${TAG}`;
    // Layers that are not compressed get so: told to leave them, skopeo calls them gzip nevertheless.
    await copy([...overrides(options), 'copy'], imgref, `oci:${layout}`, options);
    return { ...(await ociTransport.read(layout, options)), name: imgref, close: staging.remove };
  });
}

async function writeBySkopeo(
  place: Place,
  rest: string,
  options: TransportOptions,
): Promise<ImageWriter> {
  const imgref = `${place.name}:${rest}`;
  const path = place.isPath ? (rest.split(':', 1)[0] as string) : undefined;
  const isNew = path !== undefined && !existsSync(path);
  if (place.name === 'docker-archive' && !isNew) {
    throw new OstrataError(
      'IO',
      `${path} is there already, and archives of Docker are not added to`,
    );
  }
  return withStaging(`preparing ${imgref}`, async (staging) => {
    await runSkopeo(['--version'], options.signal);
    const directory = join(staging.path, 'layout');
    const layout = await createOciWriter(directory, TAG);
    return {
      stagingDirectory: layout.stagingDirectory,
      addBlob: (file, descriptor) => layout.addBlob(file, descriptor),
      mountBlob: (descriptor, from) => layout.mountBlob(descriptor, from),
      commit: async (image) => {
        await layout.commit(image);
        const keep = place.keepsDigests ? ['--preserve-digests'] : [];
        await inContextAsync(`writing ${imgref}`, () =>
          copy(['copy', ...keep], `oci:${directory}:${TAG}`, imgref, options),
        ).catch(async (error) => {
          if (isNew) {
            await rm(path, { recursive: true, force: true });
          }
          throw error;
        });
        await staging.remove();
      },
      discard: staging.remove,
    };
  });
}

/** Runs `body` with a private folder, which it takes over; on failure it is removed. */
async function withStaging<T>(
  context: string,
  body: (staging: StagingFolder) => Promise<T>,
): Promise<T> {
  return inContextAsync(context, async () => {
    const staging = await makeStagingFolder();
    try {
      return await body(staging);
    } catch (error) {
      await staging.remove();
      throw error;
    }
  });
}

/** Signatures are not skopeo's business here: one side is ours, and what is on this machine was let in before. */
async function copy(
  args: readonly string[],
  from: string,
  to: string,
  { signal }: TransportOptions,
): Promise<void> {
  await runSkopeo(['--insecure-policy', ...args, '--quiet', from, to], signal);
}

function overrides({ platform }: TransportOptions): readonly string[] {
  if (platform === undefined) {
    return [];
  }
  const { os, architecture, variant } = platform;
  return [
    `--override-os=${os}`,
    `--override-arch=${architecture}`,
    ...(variant === undefined ? [] : [`--override-variant=${variant}`]),
  ];
}
