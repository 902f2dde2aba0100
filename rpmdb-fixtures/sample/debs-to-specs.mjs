#!/usr/bin/env node
// debs-to-specs.mjs WORK: writes WORK/specs/SOURCE.spec, one rpm spec per Debian source package with one
// (sub)package per binary package, from the unpacked debs in WORK/debs/PACKAGE (control file in DEBIAN/),
// and WORK/jobs with lines `SPEC BUILDTIME`. The real versions, epochs, changelogs and build times are kept.
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

const CHANGELOG_ENTRIES = 10;
const work = process.argv[2];
const debs = join(work, 'debs');
/** Symlinks in the target, so no package may own them as directories. */
const MERGED = new Set(['/bin', '/sbin', '/lib', '/lib64', '/home', '/mnt', '/opt', '/root', '/srv', '/media']);

const escape = (text) => text.replaceAll('%', '%%');

function readControl(name) {
  const fields = new Map();
  let key = '';
  for (const line of readFileSync(join(debs, name, 'DEBIAN/control'), 'utf8').split('\n')) {
    const field = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (field) fields.set((key = field[1]), field[2]);
    else if (line.trim() !== '') fields.set(key, `${fields.get(key)}\n${line.trim()}`);
  }
  return fields;
}

/** Debian [epoch:]upstream[-revision] as rpm's epoch, version and release. */
function evr(version) {
  const [, epoch = '', upstream, revision = '1'] = /^(?:(\d+):)?(.*?)(?:-([^-]*))?$/.exec(version);
  const clean = (part) => part.replace(/[^A-Za-z0-9._+~^]/g, '.');
  return { epoch, version: clean(upstream), release: clean(revision) };
}

/** [{seconds, who, version, lines}] of the newest entries. */
function readChangelog(name) {
  const doc = join(debs, name, 'usr/share/doc', name);
  const file = ['changelog.Debian.gz', 'changelog.Debian.amd64.gz', 'changelog.gz'].find((f) =>
    existsSync(join(doc, f)),
  );
  if (!file || lstatSync(join(doc, file)).isSymbolicLink()) return [];
  const entries = [];
  let version, lines;
  for (const line of gunzipSync(readFileSync(join(doc, file)))
    .toString('utf8')
    .split('\n')) {
    const head = /^\S+ \(([^)]+)\) /.exec(line);
    const tail = /^ -- (.*?) {2}(.*)$/.exec(line);
    if (head) [version, lines] = [head[1], []];
    else if (tail && version) {
      const seconds = Date.parse(tail[2]) / 1000;
      if (Number.isFinite(seconds)) entries.push({ seconds, who: tail[1], version, lines });
      version = undefined;
      if (entries.length === CHANGELOG_ENTRIES) break;
    } else if (version && line.trim() !== '') lines.push(line.replace(/^[\s*#]+/, ''));
  }
  return entries.sort((a, b) => b.seconds - a.seconds);
}

function formatChangelog(entries) {
  const date = (seconds) =>
    new Date(seconds * 1000).toUTCString().replace(/^(\w+), (\d+) (\w+) (\d+).*/, '$1 $3 $2 $4');
  return entries.flatMap(({ seconds, who, version, lines }) => {
    const { epoch, version: v, release } = evr(version);
    return [
      `* ${date(seconds)} ${escape(who)} - ${epoch && `${epoch}:`}${v}-${release}`,
      ...lines.map((l) => `- ${escape(l)}`),
      '',
    ];
  });
}

function* walk(dir, prefix = '') {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = `${prefix}/${entry.name}`;
    if (path === '/DEBIAN') continue;
    yield { path, isDirectory: entry.isDirectory() };
    if (entry.isDirectory()) yield* walk(join(dir, entry.name), path);
  }
}

const packages = readdirSync(debs)
  .sort()
  .map((name) => {
    const control = readControl(name);
    const [, source, sourceVersion] = /^(\S+)(?: \((\S+)\))?$/.exec(control.get('Source') ?? name);
    const conffiles = existsSync(join(debs, name, 'DEBIAN/conffiles'))
      ? readFileSync(join(debs, name, 'DEBIAN/conffiles'), 'utf8').split('\n')
      : [];
    return {
      name,
      control,
      source,
      sourceVersion: sourceVersion ?? control.get('Version'),
      conffiles: new Set(conffiles),
      entries: [...walk(join(debs, name))],
    };
  });
const directoryOwners = new Map();
for (const { entries } of packages)
  for (const { path, isDirectory } of entries)
    if (isDirectory) directoryOwners.set(path, (directoryOwners.get(path) ?? 0) + 1);

function fileList({ name, conffiles, entries }) {
  const quote = (path) => (/\s/.test(path) ? `"${escape(path)}"` : escape(path).replace(/[[\]{}*?]/g, '?'));
  const lines = ['%defattr(-,-,-,-)'];
  for (const { path, isDirectory } of entries)
    if (!isDirectory) lines.push(`${conffiles.has(path) ? '%config(noreplace) ' : ''}${quote(path)}`);
    else if (!MERGED.has(path) && (name === 'base-files' || directoryOwners.get(path) === 1))
      lines.push(`%dir ${quote(path)}`);
  return lines;
}

const sources = new Map();
for (const item of packages) sources.set(item.source, [...(sources.get(item.source) ?? []), item]);
mkdirSync(join(work, 'specs'), { recursive: true });
const jobs = [];
for (const [source, items] of sources) {
  const main = items.find((item) => item.name === source);
  const { epoch, version, release } = evr(main ? main.control.get('Version') : items[0].sourceVersion);
  const log = items.map((item) => readChangelog(item.name)).find((entries) => entries.length > 0) ?? [];
  const summary = (item) => escape(item.control.get('Description').split('\n')[0]);
  const isNoarch = (item) => item.control.get('Architecture') === 'all';
  const spec = [`Name: ${source}`, `Version: ${version}`, `Release: ${release}`];
  if (epoch) spec.push(`Epoch: ${epoch}`);
  if (items.every(isNoarch)) spec.push('BuildArch: noarch');
  spec.push(
    `Summary: ${main ? summary(main) : `Debian source ${source}`}`,
    'License: Various',
    'Vendor: Debian',
    'AutoReqProv: no',
    '%description',
    source,
    '',
  );
  spec.push(
    '%install',
    ...items.map((item) => `cp -a ${join(debs, item.name)}/. %{buildroot}/; rm -rf %{buildroot}/DEBIAN`),
    '',
  );
  for (const item of items) {
    if (item !== main) {
      const sub = evr(item.control.get('Version'));
      spec.push(
        `%package -n ${item.name}`,
        `Summary: ${summary(item)}`,
        `Version: ${sub.version}`,
        `Release: ${sub.release}`,
      );
      if (sub.epoch || epoch) spec.push(`Epoch: ${sub.epoch || '0'}`);
      if (isNoarch(item)) spec.push('BuildArch: noarch');
      spec.push('AutoReqProv: no', `%description -n ${item.name}`, item.name, '');
    }
    spec.push(item === main ? '%files' : `%files -n ${item.name}`, ...fileList(item), '');
  }
  spec.push('%changelog', ...formatChangelog(log));
  const file = join(work, 'specs', `${source}.spec`);
  writeFileSync(file, `${spec.join('\n')}\n`);
  jobs.push(`${file} ${log[0]?.seconds ?? 1686000000}`);
}
writeFileSync(join(work, 'jobs'), `${jobs.join('\n')}\n`);
console.log(`${packages.length} binary packages of ${sources.size} source packages`);
