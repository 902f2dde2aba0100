/**
 * One installed package: the properties that most callers want, by name, and everything else by
 * tag.
 */
import { OstrataError } from '../../../src/errors.js';
import { type RpmFile, readFiles } from './file.js';
import { RpmHeader } from './header.js';
import { formatEvr, formatNevra, type Nevra, sourceNameOf } from './nevra.js';
import { Tag } from './tags.js';

/**
 * One installed package. It keeps its header and decodes entries when they are asked for; a broken
 * entry throws `CORRUPT` then.
 */
export class RpmPackage implements Nevra {
  /** The package number: unique in the database, growing with every installation. */
  readonly number: number;
  /** Everything else that the database knows, by tag. */
  readonly header: RpmHeader;
  readonly name: string;
  readonly epoch: number | undefined;
  readonly version: string;
  readonly release: string;
  /** Undefined for `gpg-pubkey` entries. */
  readonly arch: string | undefined;

  /**
   * Reads a header blob. Throws `CORRUPT` if it is not one, or if it lacks a name, version or
   * release.
   */
  constructor(number: number, bytes: Uint8Array) {
    const header = RpmHeader.parse(bytes);
    this.number = number;
    this.header = header;
    this.name = requiredText(header, Tag.NAME, 'name');
    this.version = requiredText(header, Tag.VERSION, 'version');
    this.release = requiredText(header, Tag.RELEASE, 'release');
    this.epoch = header.number(Tag.EPOCH);
    this.arch = header.text(Tag.ARCH);
  }

  /** `[epoch:]version-release`. */
  get evr(): string {
    return formatEvr(this);
  }
  /** As `rpm -qa --qf '%{NEVRA}'` prints it. */
  get nevra(): string {
    return formatNevra(this);
  }
  /**
   * File name of the source package, e.g. `bash-5.2-1.src.rpm`; undefined if it was not built from
   * one.
   */
  get sourceRpm(): string | undefined {
    const file = this.header.text(Tag.SOURCERPM);
    // The headers that rpm makes for keys contain this text.
    return file === '(none)' ? undefined : file;
  }
  /**
   * Name of the source package, e.g. `bash`; undefined if {@link sourceRpm} is, or has an unusual
   * form.
   */
  get sourceName(): string | undefined {
    return sourceNameOf(this.sourceRpm ?? '');
  }
  /** Installed size in bytes, as packaged. */
  get size(): number {
    return this.header.number(Tag.LONGSIZE) ?? this.header.number(Tag.SIZE) ?? 0;
  }
  /** Seconds since 1970. */
  get buildTime(): number | undefined {
    return this.header.number(Tag.BUILDTIME);
  }
  /** Seconds since 1970. */
  get installTime(): number | undefined {
    return this.header.number(Tag.INSTALLTIME);
  }
  /** Seconds since 1970 for every changelog entry, in the header's order: newest first. */
  get changelogTimes(): readonly number[] {
    return this.header.numbers(Tag.CHANGELOGTIME) ?? [];
  }
  /** The module it belongs to, `name:stream:version:context`. */
  get modularityLabel(): string | undefined {
    return this.header.text(Tag.MODULARITYLABEL);
  }
  /**
   * Its file entries in the header's order, including directories and ghosts. Can be walked any
   * number of times.
   */
  files(): Iterable<RpmFile> {
    return { [Symbol.iterator]: () => readFiles(this.header) };
  }
}

function requiredText(header: RpmHeader, tag: number, what: string): string {
  const value = header.text(tag);
  if (value === undefined) {
    throw new OstrataError('CORRUPT', `rpm header: no ${what}`);
  }
  return value;
}
