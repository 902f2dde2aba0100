/** The options of `build --format=ostree`: which commit the image holds. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { OstrataError } from '../../errors.js';
import { MIN_LAYERS } from '../../layout/max-layers.js';
import { isChecksum } from '../../ostree/objects/object-name.js';
import type { CommitSigner } from '../../ostree/sign/sign.js';
import { SELINUX_RULES, type SelinuxRule } from '../../tree/labels.js';
import type { NewCommit } from '../../tree/new-commit.js';
import { formatVersionOption } from '../container/encapsulate-options.js';
import type { SigningOptions } from '../options/signing.js';
import { repeated } from '../options/values.js';

const FORMATS = ['plain', 'ostree'] as const;

/** Which commit the image holds, if it holds one. */
export interface CommitOptions extends SigningOptions {
  /** By default, the image is plain. */
  readonly format?: (typeof FORMATS)[number] | undefined;
  readonly formatVersion?: '1' | '2' | undefined;
  /** By default `auto`. */
  readonly selinux?: SelinuxRule | undefined;
  /** `KEY=VALUE` each. */
  readonly commitMetadata?: readonly string[] | undefined;
  readonly parent?: string | undefined;
  readonly subject?: string | undefined;
  /** Path of an ostree repository. */
  readonly writeCommitTo?: string | undefined;
  readonly commitRef?: string | undefined;
  /** The keys that the options name, once they are read. */
  readonly signers?: readonly CommitSigner[] | undefined;
}

export function commitOptions(command: Command): Command {
  return command
    .optionsGroup('Image that holds an ostree commit:')
    .addOption(
      new Option(
        '--format <format>',
        'plain: files at their paths; ostree: an encapsulated image, which holds the tree as an ' +
          'ostree commit (/etc as /usr/etc, nothing below /sysroot)',
      )
        .choices(FORMATS)
        .default('plain'),
    )
    .addOption(formatVersionOption())
    .addOption(
      new Option(
        '--selinux <rule>',
        'who labels the files: the SELinux policy of the tree if it has one (auto), nobody, so ' +
          'that they keep their labels (none), or the policy, without which the build fails ' +
          '(require) (default: auto)',
      ).choices(SELINUX_RULES),
    )
    .option(
      '--commit-metadata <key=value>',
      'a string in the metadata of the commit (repeatable)',
      metadata,
    )
    .option('--parent <checksum>', 'the parent of the commit', checksum)
    .option('--subject <text>', 'the subject of the commit (default: none)')
    .option('--write-commit-to <repo>', 'also keep the commit in this ostree repository')
    .option('--commit-ref <ref>', 'with --write-commit-to: the ref that names the commit there');
}

function metadata(text: string, previous: readonly string[] = []): readonly string[] {
  const key = keyOf(text);
  if (key === '') {
    throw new InvalidArgumentError('expected KEY=VALUE.');
  }
  if (previous.some((other) => keyOf(other) === key)) {
    throw new InvalidArgumentError(`the key ${key} is given twice.`);
  }
  return repeated(text, previous);
}

/** Returns what is before the first `=`; empty without one. */
function keyOf(text: string): string {
  return text.slice(0, Math.max(0, text.indexOf('=')));
}

function checksum(text: string): string {
  if (!isChecksum(text)) {
    throw new InvalidArgumentError('expected the checksum of a commit, 64 hexadecimal digits.');
  }
  return text;
}

/** Options that only one of the formats has, as they are spelled. */
interface OneFormatOptions extends CommitOptions {
  readonly base?: string | undefined;
  readonly repo?: string | undefined;
  readonly maxLayers: number;
}

/**
 * Throws `USAGE` for options that do not go together.
 * @param isMtimeGiven whether the rule for times was chosen and is not the default
 */
export function checkFormat(options: OneFormatOptions, isMtimeGiven: boolean): void {
  if (options.format === 'ostree') {
    checkOstreeFormat(options, isMtimeGiven);
  } else {
    checkPlainFormat(options);
  }
}

function checkOstreeFormat(options: OneFormatOptions, isMtimeGiven: boolean): void {
  const { base, repo, maxLayers, writeCommitTo, commitRef } = options;
  if (isMtimeGiven) {
    throw refused('--mtime', 'needs --format=plain: a commit records no times');
  }
  if (base !== undefined) {
    throw refused('--base', 'needs --format=plain');
  }
  if (repo !== undefined) {
    throw refused('--repo', 'needs --format=plain, or `ostrata container-encapsulate`');
  }
  if (maxLayers < MIN_LAYERS) {
    throw refused('--max-layers', `of at least ${MIN_LAYERS} is needed`);
  }
  if (commitRef !== undefined && writeCommitTo === undefined) {
    throw refused('--commit-ref', 'needs --write-commit-to');
  }
}

/** Options that say something about a commit, as they are spelled. */
const COMMIT_OPTIONS = [
  ['formatVersion', '--format-version'],
  ['selinux', '--selinux'],
  ['commitMetadata', '--commit-metadata'],
  ['parent', '--parent'],
  ['subject', '--subject'],
  ['writeCommitTo', '--write-commit-to'],
  ['commitRef', '--commit-ref'],
  ['signCommit', '--sign-commit'],
  ['gpgSign', '--gpg-sign'],
] as const;

function checkPlainFormat(options: CommitOptions): void {
  for (const [name, option] of COMMIT_OPTIONS) {
    if (options[name] !== undefined) {
      throw refused(option, 'needs --format=ostree');
    }
  }
}

function refused(option: string, rule: string): OstrataError {
  return new OstrataError('USAGE', `option ${option} ${rule}`);
}

/** Returns what the options say about the commit, except its time. */
export function newCommitOf(options: CommitOptions): Omit<NewCommit, 'timestamp'> {
  const { commitMetadata = [], parent, subject } = options;
  const entries = commitMetadata.map((text) => {
    const key = keyOf(text);
    const value = text.slice(key.length + 1);
    return [key, { type: 's', value }] as const;
  });
  return { metadata: new Map(entries), parent, subject };
}
