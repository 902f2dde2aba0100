/** Scans trees on the disk with all their metadata, and compares them. */
import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { run } from './run.js';

/** What a scan found at one path of a tree. */
export interface Found {
  readonly type: 'directory' | 'file' | 'symlink' | 'other';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The sha256 of a file's bytes, or the target of a symlink. */
  readonly content: string;
  readonly size: bigint;
  readonly inode: bigint;
  /** Modification time in seconds since 1970. */
  readonly mtime: number;
  /** Lines of the form `name=0xvalue`, sorted. */
  readonly xattrs: readonly string[];
}
/** Entries by path relative to the root (`''` is the root itself), decoded as Latin-1. */
export type Scan = Map<string, Found>;

function typeOf(stats: BigIntStats): Found['type'] {
  if (stats.isDirectory()) {
    return 'directory';
  }
  if (stats.isFile()) {
    return 'file';
  }
  return stats.isSymbolicLink() ? 'symlink' : 'other';
}

const decodeName = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)));

function readXattrs(root: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const listing = run('getfattr', ['-R', '-P', '-h', '-d', '-m', '-', '-e', 'hex', '.'], {
    cwd: root,
  });
  for (const block of listing.split('\n\n')) {
    const [head, ...lines] = block.split('\n').filter((line) => line !== '');
    if (head) {
      found.set(decodeName(head.replace(/^# file: (\.$)?/, '')), lines.map(decodeName).sort());
    }
  }
  return found;
}

/** Scans `root` and everything below it, except the contents of the directories in `except`. */
export function scan(root: string, except: readonly string[] = []): Scan {
  const xattrs = readXattrs(root);
  const found: Scan = new Map();
  const visit = (path: string) => {
    const absolute = Buffer.from(path === '' ? root : `${root}/${path}`, 'latin1');
    const stats = lstatSync(absolute, { bigint: true });
    const type = typeOf(stats);
    let content = '';
    if (type === 'file') {
      content = createHash('sha256').update(readFileSync(absolute)).digest('hex');
    }
    if (type === 'symlink') {
      content = readlinkSync(absolute, 'latin1');
    }
    const { size, ino: inode } = stats;
    const mtime = Number(stats.mtimeNs / 1_000_000_000n);
    const mode = Number(stats.mode & 0o7777n);
    found.set(path, {
      ...{ type, mode, uid: Number(stats.uid), gid: Number(stats.gid) },
      ...{ content, size, inode, mtime, xattrs: xattrs.get(path) ?? [] },
    });
    if (type !== 'directory' || except.includes(path)) {
      return;
    }
    for (const name of readdirSync(absolute, 'latin1')) {
      visit(path === '' ? name : `${path}/${name}`);
    }
  };
  visit('');
  return found;
}

/**
 * Returns a line for each difference in type, mode, owner, content or xattrs; inodes may differ.
 */
export function differences(actual: Scan, expected: Scan): string[] {
  const text = (entry: Found | undefined) => {
    if (!entry) {
      return 'nothing';
    }
    const { type, mode, uid, gid, content, xattrs } = entry;
    return JSON.stringify({ type, mode: mode.toString(8), uid, gid, content, xattrs });
  };
  return [...new Set([...actual.keys(), ...expected.keys()])]
    .filter((path) => text(actual.get(path)) !== text(expected.get(path)))
    .map((path) => `${path}: is ${text(actual.get(path))}, should be ${text(expected.get(path))}`);
}

/** Returns the paths that are names of one file, for each file with several names. */
export function linkGroups(found: Scan): string[] {
  const names = new Map<bigint, string[]>();
  for (const [path, { type, inode }] of found) {
    if (type !== 'directory') {
      names.set(inode, [...(names.get(inode) ?? []), path]);
    }
  }
  const groups = [...names.values()].filter((paths) => paths.length > 1);
  return groups.map((paths) => paths.sort().join(' ')).sort();
}

/** Returns the paths that are in both trees and have different modification times. */
export function differentTimes(actual: Scan, expected: Scan): string[] {
  return [...actual]
    .filter(([path, { mtime }]) => mtime !== (expected.get(path)?.mtime ?? mtime))
    .map(([path, { mtime }]) => `${path}: is ${mtime}, should be ${expected.get(path)?.mtime}`);
}
