/**
 * Transports that skopeo implements (containers-transports(5)). An image is copied through a
 * private OCI image layout. `dir:` and `containers-storage:` keep digests; the others may compress
 * layers in another way.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { inContextAsync, OstrataError } from '../../errors.js';
import { duringWork, silentLogger } from '../../log.js';
import {
  largeFilesParent,
  makeTemporaryDirectory,
  type TemporaryDirectory,
} from '../../system/temporary-directory.js';
import { ociTransport } from '../oci/directory-transport.js';
import { createOciWriter } from '../oci/writer.js';
import type { ImageReader, ImageWriter, Transport, TransportOptions } from '../transport.js';
import { openCopiedImage } from './copied-image.js';
import { runSkopeo } from './program.js';

/** The tag of the image in the private layout. */
const TAG = 'image';

interface SkopeoTransport {
  readonly name: string;
  /** The form of a location. */
  readonly form: string;
  /** Whether a copied image keeps the digests of its blobs and manifest. */
  readonly keepsDigests: boolean;
  readonly storesUncompressed: boolean;
  /** Whether the part of a location before its first colon is the path that is written. */
  readonly isPath: boolean;
}

const SKOPEO_TRANSPORTS: readonly SkopeoTransport[] = [
  {
    name: 'dir',
    form: 'DIR',
    keepsDigests: true,
    storesUncompressed: false,
    isPath: true,
  },
  {
    name: 'docker-archive',
    form: 'FILE[:NAME:TAG]',
    keepsDigests: false,
    storesUncompressed: true,
    isPath: true,
  },
  {
    name: 'containers-storage',
    form: 'NAME[:TAG]',
    keepsDigests: true,
    storesUncompressed: true,
    isPath: false,
  },
  {
    name: 'docker-daemon',
    form: 'NAME:TAG',
    keepsDigests: false,
    storesUncompressed: true,
    isPath: false,
  },
];

export const skopeoTransports: readonly Transport[] = SKOPEO_TRANSPORTS.map((transport) => {
  const { name, storesUncompressed } = transport;
  const form = `${name}:${transport.form}`;
  return {
    name,
    form,
    storesUncompressed,
    check: (location) => {
      if (location === '') {
        throw new OstrataError('USAGE', `image reference ${name}: expected ${form}`);
      }
    },
    read: (location, options) => readBySkopeo(`${name}:${location}`, options),
    write: (location, options) => writeBySkopeo(transport, location, options),
  };
});

async function readBySkopeo(imgref: string, options: TransportOptions): Promise<ImageReader> {
  return withStaging(`reading ${imgref}`, options, async (staging) => {
    const image = await copyAndOpen(imgref, join(staging.path, 'layout'), options);
    return { ...image, name: imgref, close: async () => staging.remove() };
  });
}

/** Copies an image to a new folder and opens it there. */
async function copyAndOpen(
  imgref: string,
  directory: string,
  options: TransportOptions,
): Promise<ImageReader> {
  const args = [...platformOptions(options), 'copy'];
  if (options.keepsUncompressed) {
    await copy(args, imgref, `dir:${directory}`, options);
    return openCopiedImage(directory, imgref);
  }
  // skopeo compresses uncompressed layers here. If it were told to leave them as they are, it would
  // still give them the media type of gzip.
  const layout = `${directory}:${TAG}`;
  await copy(args, imgref, `oci:${layout}`, options);
  return ociTransport.read(layout, options);
}

async function writeBySkopeo(
  transport: SkopeoTransport,
  location: string,
  options: TransportOptions,
): Promise<ImageWriter> {
  const imgref = `${transport.name}:${location}`;
  const path = pathOf(transport, location);
  if (transport.name === 'docker-archive' && path !== undefined && existsSync(path)) {
    throw new OstrataError(
      'IO',
      `${path} already exists; images cannot be added to an archive of Docker`,
    );
  }

  return withStaging(`preparing ${imgref}`, options, async (staging) => {
    // Fails early if skopeo is not installed.
    await runSkopeo(['--version'], options.signal);
    const directory = join(staging.path, 'layout');
    const layout = await createOciWriter(directory, TAG);
    return {
      stagingDirectory: layout.stagingDirectory,
      addBlob: (file, descriptor) => layout.addBlob(file, descriptor),
      mountBlob: (descriptor, from) => layout.mountBlob(descriptor, from),
      commit: async (image) => {
        await layout.commit(image);
        await inContextAsync(`writing ${imgref}`, () =>
          publish(transport, location, `oci:${directory}:${TAG}`, options),
        );
        staging.remove();
      },
      discard: async () => staging.remove(),
    };
  });
}

/** Copies a layout to its destination. If that fails, a new file or directory is removed again. */
async function publish(
  transport: SkopeoTransport,
  location: string,
  layout: string,
  options: TransportOptions,
): Promise<void> {
  const path = pathOf(transport, location);
  const isNew = path !== undefined && !existsSync(path);
  const args = transport.keepsDigests ? ['copy', '--preserve-digests'] : ['copy'];
  try {
    await copy(args, layout, `${transport.name}:${location}`, options);
  } catch (error) {
    if (isNew) {
      await rm(path, { recursive: true, force: true });
    }
    throw error;
  }
}

/**
 * Returns the file or directory that is written; undefined if the image goes into the storage of
 * podman or Docker.
 */
function pathOf({ isPath }: SkopeoTransport, location: string): string | undefined {
  return isPath ? location.split(':', 1)[0] : undefined;
}

/**
 * Runs `body`, which takes over a temporary directory. The directory is removed if `body` fails.
 */
async function withStaging<T>(
  context: string,
  { spool = largeFilesParent() }: TransportOptions,
  body: (staging: TemporaryDirectory) => Promise<T>,
): Promise<T> {
  return inContextAsync(context, async () => {
    const staging = makeTemporaryDirectory('ostrata-', spool);
    try {
      return await body(staging);
    } catch (error) {
      staging.remove();
      throw error;
    }
  });
}

/**
 * Copies an image. skopeo need not verify signatures here: one side is our private layout, and
 * images that are already on this machine were verified when they were pulled.
 */
async function copy(
  args: readonly string[],
  from: string,
  to: string,
  { log = silentLogger, signal, spool = largeFilesParent() }: TransportOptions,
): Promise<void> {
  const globalOptions = ['--insecure-policy', `--tmpdir=${spool}`];
  await duringWork(log, 'copying by skopeo', () =>
    runSkopeo([...globalOptions, ...args, '--quiet', from, to], signal),
  );
}

function platformOptions({ platform }: TransportOptions): readonly string[] {
  if (platform === undefined) {
    return [];
  }
  const { os, architecture, variant } = platform;
  const options = [`--override-os=${os}`, `--override-arch=${architecture}`];
  return variant === undefined ? options : [...options, `--override-variant=${variant}`];
}
