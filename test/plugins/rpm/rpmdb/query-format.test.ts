/**
 * Query formats, compared with the rpm of this machine over the packages of a fixture; invalid
 * ones.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRpmdbAt, QueryFormat, Tag, TagType } from '../../../../plugins/rpm/rpmdb/index.js';
import { RpmPackage } from '../../../../plugins/rpm/rpmdb/package.js';
import { namedHeader } from '../../../support/build-header.js';
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
  '%{FILENAMES} %{FILEDIGESTALGO} %{MODULARITYLABEL} %{SOURCERPM} %{PREIN} %{INSTALLTID} %{HEADERI18NTABLE}\\n',
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

test('a format prints what rpm prints, and so does every tag', needs('rpm'), () => {
  const tags = spawnSync('rpm', ['--querytags'], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(Boolean);
  const supported = tags.filter(isSupported);
  assert.ok(supported.length > 0.9 * tags.length, `${supported.length} of ${tags.length} tags`);
  const copy = scratchDirectory();
  cpSync(fixture, copy, { recursive: true });
  for (const format of [
    ...FORMATS,
    supported.map((tag) => `${tag} [%{${tag}},] %{${tag}} %{#${tag}}`).join('\\n'),
  ]) {
    const args = ['--dbpath', copy, '-qa', '--qf', `\x01%{DBINSTANCE}=${format}`];
    const env = { ...process.env, LC_ALL: 'C' };
    const { status, stdout, stderr } = spawnSync('rpm', args, {
      encoding: 'latin1',
      env,
      maxBuffer: 1 << 28,
    });
    assert.equal(status, 0, stderr);
    // rpm prints the packages in another order.
    const parts = stdout.split('\x01').filter(Boolean);
    const theirs = new Map(
      parts.map((part) => [Number.parseInt(part, 10), part.slice(part.indexOf('=') + 1)]),
    );
    assert.equal(theirs.size, packages.length, format);
    for (const pkg of packages) {
      assert.equal(ours(format, [pkg]), theirs.get(pkg.number), `${format} of ${pkg.nevra}`);
    }
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
  const refused = (format: string, message: RegExp, code = 'USAGE') =>
    assert.throws(() => new QueryFormat(format), { code, message }, format);
  refused('%{NAME', /^query format: expected %\{TAG\} \(at character 1\)$/);
  refused('ab%', /expected %\{TAG\} \(at character 3\)/);
  refused('%{}', /unknown tag /);
  refused('%{NOSUCH}', /unknown tag NOSUCH/);
  refused('%{constructor}', /unknown tag constructor/);
  refused('%x{NAME}', /invalid field width/);
  refused('%99999{NAME}', /invalid field width/);
  refused('%{NAME:}', /unknown conversion :, there are string, date/);
  refused('%{NAME:toString}', /unknown conversion :toString/);
  refused('%{NAME:xml}', /unknown conversion :xml/);
  refused('[%{NAME}', /\] expected \(at character 9\)/);
  refused(']', /unexpected \]/);
  refused('}', /unexpected \}/);
  refused('%|NAME|', /expected %\|TAG\?\{\.\.\.\}:\{\.\.\.\}\|/);
  refused('%|NAME?{x}', /\| expected at the end of the condition/);
  refused('%|NOSUCH?{x}|', /unknown tag NOSUCH/);
  refused('%{FILEPROVIDE}', /tag FILEPROVIDE is not supported/, 'UNSUPPORTED');
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
