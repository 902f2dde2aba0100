/**
 * Enforces the host's signature policy, containers-policy.json(5), by the installed skopeo, which
 * knows every kind of signature. No layer is fetched: skopeo copies the image to an OCI image
 * layout that seems to have all layers already.
 */
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inContextAsync, OstrataError } from '../../errors.js';
import type { ImageReader } from '../../oci/image.js';
import { BLOBS_DIRECTORY, blobPath, INDEX_FILE } from '../../oci/image-layout.js';
import { parseIndex } from '../../oci/types.js';
import { runProgram } from '../../system/program.js';
import { withTemporaryDirectory } from '../../system/temporary-directory.js';
import { parseImgref } from '../../transports/image-reference.js';
import { encodeAuthFile, findCredentials } from '../../transports/registry/credentials.js';
import { lastMessage } from '../../transports/skopeo/program.js';
import type { TransportOptions } from '../../transports/transport.js';
import { canonicalImgref } from './ostree-image-reference.js';
import { ACCEPT_ANYTHING, policyPath, policyRule, readPolicy } from './policy-rules.js';

/**
 * Throws unless the policy accepts the manifest of `image`. Also throws, with `USAGE`, if the
 * policy's default accepts anything: registries without an entry would not be verified. If the
 * entry for this image accepts anything, that is intended, and only a warning says so.
 */
export async function enforcePolicy(
  imgref: string,
  image: ImageReader,
  options: TransportOptions,
): Promise<void> {
  await inContextAsync(`signature policy for ${imgref}`, async () => {
    const path = policyPath();
    const policy = readPolicy(path);
    if (policy.default.some(({ type }) => type === ACCEPT_ANYTHING)) {
      throw new OstrataError(
        'USAGE',
        `${path} has the default ${ACCEPT_ANYTHING}: nothing would be verified`,
      );
    }
    const { scope, requirements } = policyRule(policy, imgref);
    if (requirements.some(({ type }) => type === ACCEPT_ANYTHING)) {
      options.log?.warn(`${path}: ${scope} is ${ACCEPT_ANYTHING}: no signature is verified`);
    }

    const accepted = await acceptedManifest(imgref, image, options);
    if (accepted !== image.manifestDigest) {
      throw new OstrataError(
        'CORRUPT',
        `it accepts manifest ${accepted}, but the image has ${image.manifestDigest}`,
      );
    }
  });
}

/** Digest of the manifest that skopeo copied under the policy. */
async function acceptedManifest(
  imgref: string,
  image: ImageReader,
  options: TransportOptions,
): Promise<string | undefined> {
  return withTemporaryDirectory('ostrata-policy-', async (directory) => {
    const layout = join(directory, 'layout');
    pretendLayers(layout, image);
    const authfile = await writeAuthFile(imgref, directory, options);
    await copyUnderPolicy(canonicalImgref(imgref), layout, authfile, options);

    const [manifest] = parseIndex(readFileSync(join(layout, INDEX_FILE))).manifests;
    return manifest?.digest;
  });
}

/** Creates empty files with the names and sizes of the layers: skopeo then does not copy those. */
function pretendLayers(layout: string, { manifest }: ImageReader): void {
  mkdirSync(join(layout, BLOBS_DIRECTORY), { recursive: true });
  for (const { digest, size } of manifest.layers) {
    const path = join(layout, blobPath(digest));
    writeFileSync(path, '');
    truncateSync(path, size);
  }
}

/** Writes the registry's credentials to a private file: all users could see them in arguments. */
async function writeAuthFile(
  imgref: string,
  directory: string,
  options: TransportOptions,
): Promise<string | undefined> {
  const { transport, location } = parseImgref(imgref);
  const reference = transport.reference?.(location);
  if (reference === undefined) {
    return undefined;
  }
  const credentials = options.credentials ?? (await findCredentials(reference, options.authfile));
  const path = join(directory, 'auth.json');
  writeFileSync(path, encodeAuthFile(reference.host, credentials), { mode: 0o600 });
  return path;
}

async function copyUnderPolicy(
  source: string,
  layout: string,
  authfile: string | undefined,
  { tlsVerify, certDirectory, signal }: TransportOptions,
): Promise<void> {
  const args: string[] = [];
  const policy = process.env.CONTAINERS_POLICY_JSON;
  if (policy) {
    args.push(`--policy=${policy}`);
  }

  // Signatures are verified all the same, but an OCI image layout could not hold them.
  args.push('copy', '--quiet', '--preserve-digests', '--remove-signatures');
  if (authfile !== undefined) {
    args.push(`--authfile=${authfile}`);
  }
  if (tlsVerify !== undefined) {
    args.push(`--src-tls-verify=${tlsVerify}`);
  }
  if (certDirectory !== undefined) {
    args.push(`--src-cert-dir=${certDirectory}`);
  }
  args.push(source, `oci:${layout}:accepted`);

  const { code, stderr } = await runProgram('skopeo', args, { purpose: 'enforcing it', signal });
  if (code !== 0) {
    throw new OstrataError('CORRUPT', `refused: ${lastMessage(stderr) || `exit code ${code}`}`);
  }
}
