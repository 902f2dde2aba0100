/** Labels are those of libselinux: its program matchpathcon is the judge. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { type ErrorCode, OstrataError } from '../../src/errors.js';
import { parseFileContexts } from '../../src/selinux/file-contexts.js';
import { type Pattern, parsePattern } from '../../src/selinux/pattern.js';
import { loadSelinuxPolicy, type SelinuxPolicy } from '../../src/selinux/policy.js';
import { pick, type Random, randomNumbers } from '../support/random-damage.js';
import { matchingText, nearMiss, randomPattern } from '../support/random-paths.js';
import { run, tryRun } from '../support/run.js';
import { scratchDirectory } from '../support/scratch.js';
import { needs } from '../support/tools.js';

/** How matchpathcon calls file types, and the modes. */
const TYPES: readonly (readonly [string, number])[] = [
  ['file', 0o100644],
  ['dir', 0o040755],
  ['lnk', 0o120777],
  ['chr', 0o020600],
  ['blk', 0o060600],
  ['pipe', 0o010600],
  ['sock', 0o140600],
];

/** Each construct that policies have, and the order of contexts. */
const OWN_POLICY: Readonly<Record<string, string>> = {
  '': `
# comment
/.*                            sys:default
/                      -d      sys:root
/dev/.*                        <<none>>
/dev/[shv]d[^/]*       -b      sys:disk
/dev/tty[0-9]{1,2}     -c      sys:tty
/dev/log               -s      sys:log_socket
/dev/log                       sys:log
/dev/init(ctl)?        -p      sys:initctl
/usr(/.*)?                     sys:usr
/usr/(.*/)?s?bin(/.*)?         sys:bin
/usr/lib(64)?/[^/]+\\.so(\\.[^/]*)*  --  sys:lib
/usr/lib/.*\\.so       -l      sys:lib_link
/usr/lib/(a|bc|)/x+            sys:choice
/usr/lib/\\d\\w[[:upper:]]     sys:classes
/usr/bin/tool-1\\.0            sys:tool
/usr/bin/tool.*                sys:tools
/usr/bin/a*?b                  sys:lazy
/home/[^/]+/\\.ssh(/.*)?       sys:ssh
/var/(db|adm)/x|/var/y         sys:unanchored
/tmp/.*                        <<none>>
/tmp/keep                      sys:keep
`,
  '.homedirs': '/home/[^/]+/.+ user:home\n/home/[^/]+ -d user:home_dir\n',
  '.local': '/usr/bin/tool-1\\.0 local:tool\n/srv/? local:srv\n',
  '.subs': '/opt/usr /usr\n',
  '.subs_dist': '/bin /usr/bin\n/lib64 /usr/lib\n/lib64/deep /usr\n/export /home\n',
};

/** Substitutions of the own policy lead from these folders. */
const MOVED = ['/opt/usr', '/bin', '/lib64', '/lib64/deep', '/export', '//usr//'];
const FIXED = ['/', '/usr/bin/tool-1.0', '/bin/tool-1.0', '/srv', '/srv/', '/srv/a', '/tmp/keep'];

/** Loads the policy whose `file_contexts` is at `path`. */
async function policyAt(path: string): Promise<SelinuxPolicy> {
  const policy = await loadSelinuxPolicy(async (wanted) => {
    if (wanted === '/etc/selinux/config') {
      return Buffer.from('SELINUX=enforcing\nSELINUXTYPE=test\n');
    }
    const suffix = wanted.replace('/etc/selinux/test/contexts/files/file_contexts', '');
    return existsSync(path + suffix) ? readFileSync(path + suffix) : undefined;
  });
  assert.ok(policy);
  return policy;
}

/** Writes the files of a policy; returns the path of its `file_contexts`. */
function writePolicy(parts: Readonly<Record<string, string>>): string {
  const path = join(scratchDirectory(), 'file_contexts');
  for (const [suffix, text] of Object.entries(parts)) {
    writeFileSync(path + suffix, text);
  }
  return path;
}

/** The labels that matchpathcon prints, `<<none>>` for paths that get none. */
function labelsByJudge(policy: string, type: string, paths: readonly string[]): string[] {
  const output = run('matchpathcon', ['-N', '-n', '-f', policy, '-m', type, ...paths]);
  return output.split('\n').slice(0, -1);
}

/** Our labels of `paths` are those of matchpathcon, each for a file of some type. */
async function assertLabels(file: string, paths: readonly string[], random: Random): Promise<void> {
  const policy = await policyAt(file);
  const typed = paths.map((path) => ({ path, type: pick(TYPES, random) }));
  for (const type of TYPES) {
    const [name, mode] = type;
    const chosen = typed.filter((each) => each.type === type).map(({ path }) => path);
    const expected = labelsByJudge(file, name, chosen);
    const actual = chosen.map((path) => policy.labelOf(path, mode) ?? '<<none>>');
    const shown = (labels: readonly string[]) =>
      labels.map((label, index) => `${chosen[index]} ${label}`);
    assert.deepEqual(shown(actual), shown(expected), name);
  }
}

/** Paths that the patterns of a `file_contexts` file match, and some that they nearly do. */
function pathsFor(file: string, count: number, random: Random): string[] {
  const contexts = parseFileContexts(readFileSync(file), file);
  const patterns = contexts.map(({ pattern }) => parsePattern(pattern));
  const paths: string[] = [];
  while (paths.length < count) {
    const text = matchingText(pick(patterns, random), random);
    const path = random(3) === 0 && text !== '' ? nearMiss(text, random) : text;
    // For /proc, labels are those of ostree.
    if (path.startsWith('/') && path !== '/proc') {
      paths.push(path);
    }
  }
  return paths;
}

/** Parses a pattern; returns the code of the error if that fails. */
function parsedOrCode(pattern: string): Pattern | ErrorCode {
  try {
    return parsePattern(pattern);
  } catch (error) {
    assert.ok(error instanceof OstrataError, `${pattern}: ${error}`);
    return error.code;
  }
}

/** The `file_contexts` of the policies that are installed on this machine. */
function installedPolicies(): string[] {
  const folder = '/etc/selinux';
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const files = names.map((name) => join(folder, name, 'contexts/files/file_contexts'));
  return files.filter(existsSync);
}

suite('paths get the labels that libselinux gives them', needs('selinux'), () => {
  test('by a policy that has each construct', async () => {
    const file = writePolicy(OWN_POLICY);
    const random = randomNumbers(1);
    const paths = pathsFor(file, 2000, random);
    const moved = paths.map((path) => path.replace(/^\/(usr|home)(?=\/)/, pick(MOVED, random)));
    await assertLabels(file, [...paths, ...moved, ...FIXED], random);
  });

  for (const file of installedPolicies()) {
    test(`by the policy of this machine, ${file}`, async () => {
      const random = randomNumbers(2);
      await assertLabels(file, pathsFor(file, 5000, random), random);
    });
  }

  test('by random patterns', async () => {
    const random = randomNumbers(3);
    let contexts = '/ root\n';
    const paths: string[] = [];
    for (let number = 0; number < 2000; number++) {
      const pattern = `/p${number}/${randomPattern(random)}`;
      const parsed = parsedOrCode(pattern);
      if (typeof parsed !== 'string') {
        contexts += `${pattern} hit\n`;
        const texts = Array.from({ length: 10 }, () => matchingText(parsed, random));
        const others = texts.map((text) => nearMiss(text, random));
        paths.push(...[...texts, ...others].map((path) => path.replace(/\/+$/, 'x')));
      }
    }
    assert.ok(paths.length > 1800 * 20);
    await assertLabels(writePolicy({ '': contexts }), paths, random);
  });

  test('and random patterns that we take for wrong match nothing', () => {
    const random = randomNumbers(4);
    let refused = 0;
    while (refused < 100) {
      const pattern = `/${randomPattern(random)}`;
      if (parsedOrCode(pattern) === 'CORRUPT') {
        refused++;
        const file = writePolicy({ '': `${pattern} hit\n` });
        const paths = [pattern, pattern.slice(0, -1), pattern.replace(/[^/\w]/g, ''), '/a', '/b'];
        const { stdout } = tryRun('matchpathcon', ['-N', '-n', '-f', file, ...paths]);
        assert.doesNotMatch(stdout, /hit/, pattern);
      }
    }
  });
});
