/**
 * The host's signature policy, containers-policy.json(5), enforced by the installed skopeo, which knows all kinds of
 * signatures there are. No layer is fetched for that: skopeo copies into a layout that claims to have them.
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
 * Throws unless the policy accepts exactly the manifest that `image` has. A default that accepts anything is refused: whoever
 * forgets an entry for a registry would verify nothing. Where an entry accepts anything, that is meant, and a warning tells.
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
    await withTemporaryDirectory('ostrata-policy-', async (directory) => {
      const layout = join(directory, 'layout');
      claimLayers(layout, image);
      const authfile = await writeAuthFile(imgref, directory, options);
      await copy(canonicalImgref(imgref), layout, authfile, options);
      const [accepted] = parseIndex(readFileSync(join(layout, INDEX_FILE))).manifests;
      if (accepted?.digest !== image.manifestDigest) {
        throw new OstrataError(
          'CORRUPT',
          `it accepts manifest ${accepted?.digest}, this is ${image.manifestDigest}`,
        );
      }
    });
  });
}

/** Files of the right names and sizes, without content: skopeo takes them for layers that need no copying. */
function claimLayers(directory: string, { manifest }: ImageReader): void {
  mkdirSync(join(directory, BLOBS_DIRECTORY), { recursive: true });
  for (const { digest, size } of manifest.layers) {
    const path = join(directory, blobPath(digest));
    writeFileSync(path, '');
    truncateSync(path, size);
  }
}

/** What we show the registry ourselves, in a private file: an argument everyone on this machine could see. */
async function writeAuthFile(imgref: string, directory: string, options: TransportOptions) {
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

async function copy(
  source: string,
  directory: string,
  authfile: string | undefined,
  options: TransportOptions,
): Promise<void> {
  const { tlsVerify, certDirectory, signal } = options;
  const args = [
    'copy',
    '--quiet',
    '--preserve-digests',
    // Verified all the same; a layout could not hold them.
    '--remove-signatures',
    ...(authfile === undefined ? [] : [`--authfile=${authfile}`]),
    ...(tlsVerify === undefined ? [] : [`--src-tls-verify=${tlsVerify}`]),
    ...(certDirectory === undefined ? [] : [`--src-cert-dir=${certDirectory}`]),
  ];
  const policy = process.env.CONTAINERS_POLICY_JSON;
  const global = policy ? [`--policy=${policy}`] : [];
  const { code, stderr } = await runProgram(
    'skopeo',
    [...global, ...args, source, `oci:${directory}:accepted`],
    {
      purpose: 'enforcing it',
      signal,
    },
  );
  if (code !== 0) {
    throw new OstrataError('CORRUPT', `refused: ${lastMessage(stderr) || `exit code ${code}`}`);
  }
}
