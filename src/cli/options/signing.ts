/** Options of commands that make images of ostree commits: who signs the commit. */
import type { Command } from 'commander';
import { OstrataError } from '../../errors.js';
import { type CommitSigner, gpgSigner, keyFileSigner } from '../../ostree/sign/sign.js';
import { repeated } from './values.js';

export interface SigningOptions {
  /** `KIND=FILE` */
  readonly signCommit?: readonly string[] | undefined;
  readonly gpgSign?: readonly string[] | undefined;
  readonly gpgHomedir?: string | undefined;
}

/** `--sign-commit`, `--gpg-sign` and `--gpg-homedir`. */
export function signingOptions(command: Command): Command {
  return command
    .optionsGroup('Signing:')
    .option(
      '--sign-commit <kind=file>',
      'sign the commit in the image by each secret key in this file: ed25519=FILE has keys as ' +
        '`ostree sign` takes them, one per line; spki=FILE has keys in PEM, PKCS #8 (repeatable)',
      repeated,
    )
    .option(
      '--gpg-sign <key-id>',
      'sign the commit in the image by this key of GnuPG; each build then has another commit ' +
        'layer, since such signatures hold the time (repeatable)',
      repeated,
    )
    .option('--gpg-homedir <dir>', 'the directory of GnuPG that has the key');
}

/** Reads the keys that the options name. No message shows them. */
export function readSigners({
  signCommit = [],
  gpgSign = [],
  gpgHomedir,
}: SigningOptions): readonly CommitSigner[] {
  const byFile = signCommit.map((text) => {
    const [, kind, path] = /^(\w+)=(.+)$/s.exec(text) ?? [];
    if (kind === undefined || path === undefined) {
      // The value is not shown, because it may be a key by mistake.
      throw new OstrataError('USAGE', 'option --sign-commit: expected ed25519=FILE or spki=FILE');
    }
    return keyFileSigner(kind, path);
  });
  const byGpg = gpgSign.map((key) => gpgSigner(key, gpgHomedir));
  return [...byFile, ...byGpg];
}
