/** Damages single packages in copies of real package databases. */
import assert from 'node:assert/strict';
import { openRpmdb, type RpmPackage, Tag } from '../../plugins/rpm/rpmdb/index.js';
import { discoverFixtures, type Fixture } from './rpmdb-fixtures.js';

/** So many bytes of a header lie in one piece in every fixture, and tell headers apart. */
const HEADER_START_SIZE = 300;
/** A data type that the entry does not have. */
const WRONG_TYPE = 6;

/** Returns the fixture called `name`. */
export function fixtureOf(name: string): Fixture {
  const fixture = discoverFixtures().find((each) => each.name === name);
  return fixture ?? assert.fail(`no fixture ${name}`);
}

/** Returns the packages of a sound fixture. */
export async function packagesOf(fixture: Fixture): Promise<readonly RpmPackage[]> {
  return [...(await openRpmdb(fixture.read())).packages()];
}

/** Returns a copy of the database in which the header of `pkg` cannot be read. */
export function breakHeader(database: Uint8Array, pkg: RpmPackage): Uint8Array {
  const copy = Buffer.from(database);
  const start = pkg.header.bytes().subarray(0, HEADER_START_SIZE);
  // Free pages of the database may hold copies of the header.
  for (let at = copy.indexOf(start); at >= 0; at = copy.indexOf(start, at + 1)) {
    copy.fill(0xff, at, at + 4);
  }
  return copy;
}

/** Returns a copy in which the files of `pkg` cannot be read, but its name can. */
export function breakFiles(database: Uint8Array, pkg: RpmPackage): Uint8Array {
  const copy = Buffer.from(database);
  const header = Buffer.from(pkg.header.bytes());
  const tag = Buffer.alloc(4);
  tag.writeUInt32BE(Tag.FILESTATES);
  const entry = header.indexOf(tag);
  assert.ok(entry > 0 && entry % 16 === 8, `${pkg.nevra} has file states`);
  copy.writeUInt32BE(WRONG_TYPE, locateIn(copy, header.subarray(entry, entry + 16)) + 4);
  return copy;
}

/** Returns a copy in which everything of `pkg` can be read, but its digest is wrong. */
export function breakDigest(database: Uint8Array, pkg: RpmPackage): Uint8Array {
  const copy = Buffer.from(database);
  const digest = pkg.header.text(Tag.SHA256HEADER) ?? assert.fail(`${pkg.nevra} has a digest`);
  const first = digest.startsWith('0') ? '1' : '0';
  copy.write(first, locateIn(copy, Buffer.from(digest)));
  return copy;
}

/** Returns the only offset of `bytes`. */
function locateIn(database: Buffer, bytes: Uint8Array): number {
  const at = database.indexOf(bytes);
  assert.ok(at > 0 && database.indexOf(bytes, at + 1) < 0, 'the bytes are there, once');
  return at;
}
