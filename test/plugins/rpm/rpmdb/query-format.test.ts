/**
 * Query formats, compared with the rpm of this machine over the packages of a fixture; invalid
 * ones.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import initSqlJs from 'sql.js';
import { openRpmdbAt, QueryFormat, Tag, TagType } from '../../../../plugins/rpm/rpmdb/index.js';
import { RpmPackage } from '../../../../plugins/rpm/rpmdb/package.js';
import { buildHeader, type HeaderEntry, namedHeader } from '../../../support/build-header.js';
import { repoRoot } from '../../../support/root.js';
import { scratchDirectory } from '../../../support/scratch.js';
import { needs } from '../../../support/tools.js';

const fixture = join(repoRoot, 'rpmdb-fixtures/bookworm-sqlite');
const database = await openRpmdbAt(fixture);
const packages = [...database.packages()];
const ours = (format: string, pkgs: readonly RpmPackage[] = packages) => {
  const parsed = new QueryFormat(format);
  return pkgs.map((pkg) => parsed.print(pkg)).join('');
};

const FORMATS = [
  '%{NEVRA} %{NVR} %{NVRA} %{NEVR} %{EVR} %{EPOCHNUM} %{ARCHSUFFIX} %{DBINSTANCE} %{HEADERCOLOR} %{VERBOSE}\\n',
  '%{NAME} %{version} %{RPMTAG_RELEASE} %{N}-%{V}-%{R} %{E}\\n',
  '%-20{NAME}|%20{NAME}|%1{NAME}|%-1{EPOCH}|%08{SIZE}|%%|\\t\\a\\\\\\q\\n',
  '%{SUMMARY} %{GROUP} %{DESCRIPTION}\\n',
  '%{BUILDTIME:date}|%{BUILDTIME:day}|%{BUILDTIME:hex}|%{BUILDTIME:octal}|%{NAME:date}|%{NAME:hex}|%{SIGMD5:hex}\\n',
  '%{SIZE:humansi} %{SIZE:humaniec} %{LONGSIZE:humaniec} %{SIZE:perms} %{NAME:perms} %{NAME:humansi}\\n',
  '%{SIGMD5} %{SIGMD5:base64}%{NAME:base64} %{SIGMD5:shescape} %{SUMMARY:shescape} %{SIZE:shescape}\\n',
  '%{#FILENAMES} %{FILENAMES:arraysize} %{NAME:arraysize} %{NAME:tagname} %{filenames:tagnum}\\n',
  '%|EPOCH?{epoch %{EPOCH}}:{no epoch}| %|EPOCH?{x}| %|NAME?{%|EPOCH?{both}:{name}|}|\\n',
  '[%{FILENAMES} %{FILEMODES:perms} %{FILEMODES:octal} %{FILEFLAGS:fflags} %{FILESTATES:fstate} %{FILESIZES:humansi}\\n]',
  '[%{=NAME} %{BASENAMES} %{#BASENAMES} %{LONGFILESIZES} %{FILEDIGESTS} %{FILELINKTOS} %{FILECOLORS}\\n]',
  '[%{INSTFILENAMES}\\n][%{DIRNAMES} ][%{DIRINDEXES} ][%{FILELANGS}\\n]',
  '[%{PROVIDENEVRS}\\n][%{REQUIRENEVRS}\\n][%{REQUIRENAME} %{REQUIREFLAGS:depflags} %{REQUIREVERSION}\\n]',
  '[%{P}|][%{PROVIDES}|][%{REQUIRES}|][%{OBSOLETENEVRS}|][%{CONFLICTS}|]\\n',
  '[%{CHANGELOGTIME:day} %{CHANGELOGNAME}\\n%{CHANGELOGTEXT}\\n]',
  '[%{RECOMMENDNEVRS}|][%{SUGGESTNEVRS}|][%{SUPPLEMENTNEVRS}|][%{ENHANCENEVRS}|][%{OBSOLETENEVRS}|][%{CONFLICTNEVRS}\\n]',
  '%{PREIN}|%{PREINPROG}|%{POSTINPROG}|%{PRETRANSPROG}|%{PRETRANS}|%{VERIFYSCRIPT}|[%{PREFIXES} ]|[%{FILECAPS} ]\\n',
  '[%{TRIGGERNAME} %{TRIGGERVERSION} %{TRIGGERFLAGS:depflags} %{TRIGGERINDEX}\\n][%{FILETRIGGERNAME} ][%{TRIGGERSCRIPTS}\\n]',
  '[%{NAME}][%{EPOCH}][x][[%{NAME}]]\\n',
  '[%{FILENAMES:xml}%{FILEMODES:xml}\\n][%{FILENAMES}%{FILEMODES:xml}]%{SIGMD5:xml}%{EPOCH:xml}%{PREIN:xml}[%{EPOCH:xml}]\\n',
  '[%{REQUIREFLAGS:deptype} ][%{PROVIDEFLAGS:deptype} ][%{TRIGGERFLAGS:triggertype} ]%{NAME:deptype} %{SIZE:deptype}\\n',
  '[%{FILEVERIFYFLAGS:vflags} %{FILEVERIFYFLAGS:fstatus}\\n]%{SIZE:vflags} %{SIZE:fstate} %{NAME:vflags} %{SIGMD5:fstate}\\n',
  '%{SIGMD5:pgpsig} %{NAME:pgpsig} %{SIZE:pgpsig} %{RSAHEADER:pgpsig}\\n',
  '%{FILENAMES} %{FILEDIGESTALGO} %{MODULARITYLABEL} %{SOURCERPM} %{PREIN} %{INSTALLTID} %{HEADERI18NTABLE}\\n',
];

/** Made by gpg. */
const RSA_SIGNATURE =
  '8901430400010a002d162104a18400e575094e4d97b60b4b030159dcb10cb8f305026b0a65510f1c746573742d72' +
  '7361323034384078000a0910030159dcb10cb8f3af2c07ff64f2c613cd70ac822b3d01df25e12717aac850e5899d' +
  '795ce94ec4e0815f27dede0ca6f4245d5b02cad019c715678b08e23132c28e8f44b637a601ea80667f8ae297a510' +
  'f247e0c80c7869701b23d9b69f4f71f79d7c3f14d1731db73b730260f686483a5e736edf1fa56e9a6a3a0f283040' +
  '6a1fa951ba456b4fb7ba4aba7d5a25b4a23875039f895335d539fccf89b1e3dc8211d9788404d837012618ce2718' +
  'd0a809baf7c7e1182c2471e7bded6f4c903836c172ab2b68b2247a7d4b95ba2e42cb3ac1af5fb3f60fc828650c13' +
  '2f4a07d693744760a2563d9db3a6fbf9fb0f97cee63aaa9c8c07419382afddb680dcf9c5874df38ef8c76d2d8a88' +
  '4f4f5056';
const ED25519_SIGNATURE =
  '888504001608002d162104d2ae4eceed5162f8eee873abeddae64bf55ce52605026b0a65510f1c746573742d6564' +
  '32353531394078000a0910eddae64bf55ce526bb3400fe2843b5c349da6dd7a31f625ffdbcb31090d352f3c1f916' +
  '95fc08a52b58ebb23f01008eaaf5932e10506841880c30349d18ead972642f338f76c1a8cb475e31a3740b';

/** They print all tags; rpm reads no more than the first token of them. */
const FORMATS_OF_EVERY_TAG = [
  '[%{*:xml}\\n]',
  '[%{*:tagname}\\n]%{NAME}',
  '[%{*:tagnum} %{=NAME:xml}|]',
  '%{*:xml}\\n',
];

/** Whether this reader knows the tag. */
function isSupported(tag: string): boolean {
  try {
    new QueryFormat(`%{${tag}}`);
    return true;
  } catch {
    return false;
  }
}

/** Asserts that rpm prints the same of each package in the database `directory`. */
function assertLikeRpm(directory: string, pkgs: readonly RpmPackage[], format: string): void {
  const args = [
    '--dbpath',
    directory,
    '--nosignature',
    '-qa',
    '--qf',
    `\x01%{DBINSTANCE}=${format}`,
  ];
  const env = { ...process.env, LC_ALL: 'C' };
  const options = { encoding: 'latin1', env, maxBuffer: 1 << 28 } as const;
  const { status, stdout, stderr } = spawnSync('rpm', args, options);
  assert.equal(status, 0, stderr);
  // rpm prints the packages in another order.
  const parts = stdout.split('\x01').filter(Boolean);
  const theirs = new Map(
    parts.map((part) => [Number.parseInt(part, 10), part.slice(part.indexOf('=') + 1)]),
  );
  assert.equal(theirs.size, pkgs.length, `${format}: ${stderr}`);
  for (const pkg of pkgs) {
    assert.equal(ours(format, [pkg]), theirs.get(pkg.number), `${format} of ${pkg.nevra}`);
  }
}

test('a format prints what rpm prints, and so does every tag', needs('rpm'), () => {
  const { stdout } = spawnSync('rpm', ['--querytags'], { encoding: 'utf8' });
  const tags = stdout.split('\n').filter(Boolean);
  const supported = tags.filter(isSupported);
  assert.ok(supported.length > 0.99 * tags.length, `${supported.length} of ${tags.length} tags`);
  const copy = scratchDirectory();
  cpSync(fixture, copy, { recursive: true });
  const everyTag = supported.map((tag) => `${tag} [%{${tag}},] %{${tag}} %{#${tag}}`).join('\\n');
  for (const format of [...FORMATS, everyTag]) {
    assertLikeRpm(copy, packages, format);
  }
});

test('all tags of a package are printed as rpm prints them, also as XML', needs('rpm'), () => {
  const copy = scratchDirectory();
  cpSync(fixture, copy, { recursive: true });
  for (const format of FORMATS_OF_EVERY_TAG) {
    for (const pkg of packages) {
      const args = ['--dbpath', copy, '-q', '--querybynumber', `${pkg.number}`, '--qf', format];
      const { stdout } = spawnSync('rpm', args, { encoding: 'latin1', maxBuffer: 1 << 28 });
      assert.equal(ours(format, [pkg]), stdout, `${format} of ${pkg.nevra}`);
    }
  }
});

test('tags that few packages have are computed as rpm computes them', needs('rpm'), async () => {
  const directory = scratchDirectory();
  const file = join(directory, 'rpmdb.sqlite');
  // rpm needs the indexes that the fixture has.
  const { Database } = await initSqlJs();
  const indexed = new Database(readFileSync(join(fixture, 'rpmdb.sqlite')));
  indexed.run('DELETE FROM Packages');
  indexed.run('INSERT INTO Packages(hnum, blob) VALUES (1, ?)', [rareHeader()]);
  writeFileSync(file, indexed.export());
  indexed.close();
  const rare = [...(await openRpmdbAt(directory)).packages()];
  const arrays = ['FILECLASS', 'FILEPROVIDE', 'FILEREQUIRE', 'FILENLINKS', 'ORIGFILENAMES'];
  const triggers = ['TRIGGER', 'FILETRIGGER', 'TRANSFILETRIGGER'].flatMap((kind) => [
    `${kind}CONDS`,
    `${kind}TYPE`,
  ]);
  for (const tag of [...arrays, ...triggers]) {
    assertLikeRpm(directory, rare, `[%{${tag}}\\n]%{#${tag}}`);
  }
  assertLikeRpm(directory, rare, '[%{FILESTATES:fstate} ][%{FILERDEVS:fstate} ]');
  assertLikeRpm(directory, rare, '[%{REQUIREFLAGS:deptype}|][%{FILEVERIFYFLAGS:vflags}|]');
  assertLikeRpm(directory, rare, '[%{FILEVERIFYFLAGS:fstatus}|][%{TRIGGERFLAGS:triggertype}|]');
  assertLikeRpm(directory, rare, '%{RSAHEADER:pgpsig}|%{DSAHEADER:pgpsig}|%{SIGPGP:pgpsig}');
  assertLikeRpm(directory, rare, '%{SIGGPG:pgpsig}|%{SUMMARY:xml}|%{HEADERIMMUTABLE}');
});

/** A header with triggers, file dependencies, hard links, a relocation and signatures. */
function rareHeader(): Buffer {
  const number = (tag: number, ...values: number[]): HeaderEntry => [tag, TagType.INT32, values];
  const short = (tag: number, ...values: number[]): HeaderEntry => [tag, TagType.INT16, values];
  const texts = (tag: number, ...values: string[]): HeaderEntry => [
    tag,
    TagType.STRING_ARRAY,
    values,
  ];
  const letter = (name: string, place: number) => name.charCodeAt(0) * (1 << 24) + place;
  const bits = Array.from({ length: 30 }, (_, bit) => 2 ** bit);
  const each = (value: (i: number) => number) => bits.map((_, i) => value(i));
  const trigger = (first: number, [scripts, names, indexes, versions, flags]: number[]) => [
    texts(scripts as number, 'a', 'b', 'c'),
    texts(names as number, 'x', 'y', '/z', 'w'),
    number(flags as number, first, (1 << 17) | 12, 1 << 18, 1 << 25),
    number(indexes as number, 0, 2, 0, 1),
    texts(versions as number, '', '1:2-3', '', ''),
  ];
  const entries: HeaderEntry[] = [
    [Tag.NAME, TagType.STRING, ['rare']],
    [Tag.VERSION, TagType.STRING, ['1']],
    [Tag.RELEASE, TagType.STRING, ['2']],
    [Tag.SUMMARY, TagType.I18NSTRING, ['a < b & c > "d"']],
    [Tag.OS, TagType.STRING, ['linux']],
    [Tag.ARCH, TagType.STRING, ['noarch']],
    number(Tag.FILESIZES, ...each(() => 1)),
    short(Tag.FILEMODES, ...each((i) => ((i % 16) << 12) | 0o644)),
    short(Tag.FILERDEVS, ...each((i) => (i === 9 ? 0xffff : i))),
    number(Tag.FILEMTIMES, ...each(() => 1)),
    texts(Tag.FILEDIGESTS, ...bits.map(() => '')),
    texts(Tag.FILELINKTOS, ...bits.map((_, i) => (i % 16 === 10 ? 'target' : ''))),
    number(Tag.FILEFLAGS, ...each((i) => (i === 24 ? 64 : 0))),
    texts(Tag.FILEUSERNAME, ...bits.map(() => 'root')),
    texts(Tag.FILEGROUPNAME, ...bits.map(() => 'root')),
    number(Tag.FILEVERIFYFLAGS, ...bits),
    texts(Tag.PROVIDENAME, 'p', 'q'),
    number(Tag.REQUIREFLAGS, ...bits),
    texts(Tag.REQUIRENAME, ...bits.map((_, i) => `r${i}`)),
    texts(Tag.REQUIREVERSION, ...bits.map((_, i) => (i < 4 ? `${i}` : ''))),
    ...trigger((1 << 16) | 2, [1065, 1066, 1069, 1067, 1068]),
    number(Tag.FILEDEVICES, ...each(() => 1)),
    number(Tag.FILEINODES, ...each((i) => (i % 16 === 8 ? 7 : i))),
    texts(Tag.FILELANGS, ...bits.map(() => '')),
    number(Tag.PROVIDEFLAGS, 0, 8),
    texts(Tag.PROVIDEVERSION, '', '5'),
    number(Tag.DIRINDEXES, ...each(() => 0)),
    texts(Tag.BASENAMES, ...bits.map((_, i) => `f${i}`)),
    texts(Tag.DIRNAMES, '/opt/'),
    number(Tag.ORIGDIRINDEXES, ...each(() => 0)),
    texts(Tag.ORIGBASENAMES, ...bits.map((_, i) => `f${i}`)),
    texts(Tag.ORIGDIRNAMES, '/usr/'),
    number(Tag.FILECLASS, ...each((i) => (i === 5 ? 1 : 0))),
    texts(Tag.CLASSDICT, '', 'ELF 64-bit'),
    number(Tag.FILEDEPENDSX, ...each((i) => (i === 1 ? 0 : 3))),
    number(Tag.FILEDEPENDSN, ...each((i) => (i === 1 || i === 2 ? 3 : 0))),
    number(
      Tag.DEPENDSDICT,
      letter('P', 1),
      letter('R', 3),
      letter('R', 5),
      letter('R', 0),
      letter('P', 9),
      letter('P', 0),
    ),
    ...trigger((1 << 16) | 4, [5066, 5069, 5070, 5071, 5072]),
    ...trigger((1 << 18) | 8, [5076, 5079, 5080, 5081, 5082]),
  ];
  return buildHeader(entries, [
    [Tag.SIGPGP, TagType.BIN, [Buffer.from('not a signature')]],
    [Tag.SIGGPG, TagType.BIN, [signatureOfVersion3()]],
    [Tag.DSAHEADER, TagType.BIN, [Buffer.from(ED25519_SIGNATURE, 'hex')]],
    [Tag.RSAHEADER, TagType.BIN, [Buffer.from(RSA_SIGNATURE, 'hex')]],
    [Tag.FILESTATES, TagType.CHAR, each((i) => (i === 8 ? 255 : i))],
  ]);
}

function signatureOfVersion3(): Buffer {
  const packet = Buffer.from(RSA_SIGNATURE, 'hex');
  const value = packet.subarray(packet.length - 258);
  const body = Buffer.concat([
    Buffer.from('030500', 'hex'),
    Buffer.from('65a0b0c0', 'hex'),
    Buffer.from('0123456789abcdef', 'hex'),
    Buffer.from([1, 2, 0xab, 0xcd]),
    value,
  ]);
  const head = Buffer.from([0x89, body.length >> 8, body.length & 255]);
  return Buffer.concat([head, body]);
}

test('all tags are printed as JSON in the form of rpm 4.20', () => {
  const json = (pkg: RpmPackage) => ours('[%{*:json}]', [pkg]);
  const header = namedHeader(
    'x',
    [Tag.SUMMARY, TagType.I18NSTRING, ['a "b"\n\u0001', 'zwei']],
    [Tag.EPOCH, TagType.INT32, [3]],
    [Tag.SIGMD5, TagType.BIN, [Buffer.alloc(60, 255)]],
  );
  assert.equal(
    json(new RpmPackage(1, header)),
    `{
    "Sigmd5": \t"${'/'.repeat(80)}",
    "Name": \t"x",
    "Version": \t"1",
    "Release": \t"2",
    "Epoch": \t3,
    "Summary": [
\t"a \\"b\\"\\n\\u0001",
\t"zwei"
    ]
}
`,
  );
  for (const pkg of packages.filter(({ name }) => name !== 'odd-latin1')) {
    const parsed = JSON.parse(Buffer.from(json(pkg), 'latin1').toString());
    assert.deepEqual([parsed.Name, parsed.Release], [pkg.name, pkg.release]);
  }
});

test('bytes that are not UTF-8 are printed unchanged', () => {
  const latin1 = packages.find(({ name }) => name === 'odd-latin1') as RpmPackage;
  const paths = Array.from(latin1.files(), ({ pathBytes }) =>
    Buffer.from(pathBytes).toString('latin1'),
  );
  assert.ok(
    paths.some((path) => path.includes('caf\xe9')),
    paths.join(),
  );
  assert.equal(ours('[%{FILENAMES}\\n]', [latin1]), paths.map((path) => `${path}\n`).join(''));
  assert.equal(Buffer.from(ours('☃', [latin1]), 'latin1').toString(), '☃');
});

test('an invalid format is refused with the position of the mistake', () => {
  const refused = (format: string, message: RegExp) =>
    assert.throws(() => new QueryFormat(format), { code: 'USAGE', message }, format);
  refused('%{NAME', /^query format: expected %\{TAG\} \(at character 1\)$/);
  refused('ab%', /expected %\{TAG\} \(at character 3\)/);
  refused('%{}', /unknown tag /);
  refused('%{NOSUCH}', /unknown tag NOSUCH/);
  refused('%{constructor}', /unknown tag constructor/);
  refused('%x{NAME}', /invalid field width/);
  refused('%99999{NAME}', /invalid field width/);
  refused('%{NAME:}', /unknown conversion :, there are string, date/);
  refused('%{NAME:toString}', /unknown conversion :toString/);
  refused('%{NAME:expand}', /unknown conversion :expand/);
  refused('%{NAME}%{*}', /\* is not at the beginning/);
  refused('[%{NAME}', /\] expected \(at character 9\)/);
  refused(']', /unexpected \]/);
  refused('}', /unexpected \}/);
  refused('%|NAME|', /expected %\|TAG\?\{\.\.\.\}:\{\.\.\.\}\|/);
  refused('%|NAME?{x}', /\| expected at the end of the condition/);
  refused('%|NOSUCH?{x}|', /unknown tag NOSUCH/);
});

test('an array of tags with different numbers of values is refused, as rpm does', () => {
  const kernel = packages.find(({ name }) => name === 'kernel-core') as RpmPackage;
  assert.throws(() => ours('[%{FILENAMES} %{CHANGELOGTIME}\\n]', [kernel]), {
    code: 'USAGE',
    message: /tags with \d+ and 300 values in kernel-core.*; use %\{=TAG\}/,
  });
});

test('a small header that would print gigabytes is refused', () => {
  const count = 100_000;
  const header = namedHeader(
    'bomb',
    [Tag.BASENAMES, TagType.STRING_ARRAY, Array.from({ length: count }, () => 'x')],
    [Tag.DIRINDEXES, TagType.INT32, Array.from({ length: count }, () => 0)],
    [Tag.DIRNAMES, TagType.STRING_ARRAY, [`/${'d'.repeat(60_000)}/`]],
  );
  assert.throws(() => ours('[%{FILENAMES}]', [new RpmPackage(1, header)]), {
    code: 'LIMIT',
    message: /more than 268435456 characters of bomb-1-2/,
  });
});

test('files that share a long list of dependencies are refused', () => {
  const count = 30_000;
  const zeros = Array.from({ length: count }, () => 0);
  const header = namedHeader(
    'bomb',
    [Tag.BASENAMES, TagType.STRING_ARRAY, zeros.map(() => 'x')],
    [Tag.DIRINDEXES, TagType.INT32, zeros],
    [Tag.DIRNAMES, TagType.STRING_ARRAY, ['/']],
    [Tag.REQUIRENAME, TagType.STRING_ARRAY, ['r'.repeat(10_000)]],
    [Tag.FILEDEPENDSX, TagType.INT32, zeros],
    [Tag.FILEDEPENDSN, TagType.INT32, zeros.map(() => count)],
    [Tag.DEPENDSDICT, TagType.INT32, zeros.map(() => 'R'.charCodeAt(0) * 2 ** 24)],
  );
  const pkg = new RpmPackage(1, header);
  assert.throws(() => ours('[%{FILEREQUIRE}]', [pkg]), { code: 'LIMIT', message: /characters$/ });
  assert.throws(() => ours('[%{FILEPROVIDE}]', [pkg]), { code: 'LIMIT', message: /dependencies$/ });
});
