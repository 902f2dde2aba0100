/** Options of commands that take an image reference: how registries are reached. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { withoutVerification } from '../../client/verify/ostree-image-reference.js';
import { OstrataError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { PlatformChoice } from '../../oci/platform.js';
import { openImage, registryHost } from '../../transports/image-reference.js';
import type { Credentials, ImageReader, TransportOptions } from '../../transports/transport.js';
import { interruptSignal } from '../run.js';

const STDIN = 0;

export interface RegistryOptions {
  readonly authfile?: string | undefined;
  readonly creds?: string | undefined;
  readonly tlsVerify?: 'true' | 'false' | undefined;
  readonly certDir?: string | undefined;
  readonly platform?: PlatformChoice | undefined;
  /** Path of a folder for layers on their way; only some commands have the option. */
  readonly spool?: string | undefined;
}

export type OpenImage = (imgref: string) => Promise<ImageReader>;

/** `--authfile`, `--creds`, `--tls-verify`, `--cert-dir` and `--platform`. */
export function registryOptions(command: Command): Command {
  return command
    .optionsGroup('Registries:')
    .option(
      '--authfile <file>',
      'credentials as `podman login` stores them ' +
        '(default: $REGISTRY_AUTH_FILE or the usual files)',
    )
    .option(
      '--creds <user:password>',
      'credentials for the registry; - reads them from standard input, because other users of ' +
        'this machine can see arguments',
    )
    .addOption(
      new Option(
        '--tls-verify <bool>',
        'false: do not verify certificates, and fall back to HTTP if there is no HTTPS; ' +
          'true: use HTTPS for localhost, too',
      ).choices(['true', 'false']),
    )
    .option(
      '--cert-dir <dir>',
      'CA certificates (*.crt) and client certificates (*.cert, *.key) for the registry',
    )
    .option(
      '--platform <os/arch>',
      'which image of a multi-platform index to read (default: linux on this architecture)',
      platformChoice,
    );
}

/**
 * Returns the transport options for each image of a command that is about `imgrefs`. `--creds`
 * belong to one registry, the first that `imgrefs` name: other registries never receive them.
 */
export function transportOptions(
  options: RegistryOptions,
  imgrefs: readonly string[],
  log: Logger,
): (imgref: string) => TransportOptions {
  const { authfile, creds, tlsVerify, certDir, platform, spool } = options;
  const hostOf = (reference: string) => registryHost(withoutVerification(reference));
  const host = imgrefs.map(hostOf).find((each) => each !== undefined);
  const credentials = creds === undefined ? undefined : readCredentials(creds);
  return (imgref) => ({
    authfile,
    credentials: hostOf(imgref) === host ? credentials : undefined,
    tlsVerify: tlsVerify === undefined ? undefined : tlsVerify === 'true',
    certDirectory: certDir,
    platform,
    spool,
    log,
    signal: interruptSignal,
  });
}

/**
 * Returns a function that opens the images of a command; see {@link transportOptions}. What a
 * reference says about verification is ignored.
 */
export function imageOpener(
  options: RegistryOptions,
  imgrefs: readonly string[],
  log: Logger,
): OpenImage {
  const optionsFor = transportOptions(options, imgrefs, log);
  return (reference) => openImage(withoutVerification(reference), optionsFor(reference));
}

/** What standard input holds: it can be read once, and a command may need it several times. */
let input: string | undefined;

function readInput(): string {
  input ??= readFileSync(STDIN, 'utf8');
  return input;
}

function readCredentials(creds: string): Credentials {
  const [text = ''] = creds === '-' ? readInput().split(/\r?\n/, 1) : [creds];
  const colon = text.indexOf(':');
  if (colon < 1) {
    throw new OstrataError('USAGE', 'option --creds: expected USER:PASSWORD');
  }
  return { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function platformChoice(text: string): PlatformChoice {
  const [, os, architecture, variant] =
    /^([a-z0-9]+)\/([a-z0-9_]+)(?:\/([a-z0-9.]+))?$/.exec(text) ?? [];
  if (os === undefined || architecture === undefined) {
    throw new InvalidArgumentError('expected OS/ARCH[/VARIANT].');
  }
  return { os, architecture, variant };
}
