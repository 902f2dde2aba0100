/**
 * The SELinux policy of a file system tree, and the labels that it gives to paths: what libselinux
 * and ostree do with the same files, without either. Compiled files (`file_contexts.bin`) are not
 * read: they hold the same as the text beside them.
 */
import { createHash } from 'node:crypto';
import { decodeUtf8 } from '../bytes/text.js';
import { inContext, OstrataError } from '../errors.js';
import {
  type FileContext,
  parseFileContexts,
  parseSubstitutions,
  type Substitution,
} from './file-contexts.js';
import { Labeler } from './labeler.js';

const FOLDERS = ['/etc/selinux', '/usr/etc/selinux'];
const MODE_SETTING = 'SELINUX=';
const ACTIVE = /^(?:enforcing|permissive)/i;
const TYPE_SETTING = 'SELINUXTYPE=';
/** In the order in which libselinux reads them: the last context that fits decides. */
const CONTEXT_SUFFIXES = ['', '.homedirs', '.local'];
/** Substitutions of the administrator come first. */
const SUBSTITUTION_SUFFIXES = ['.subs', '.subs_dist'];
const ROOT_MODE = 0o040755;
const NO_BYTES = new Uint8Array();

/** Returns the content of the regular file at an absolute path of a tree; undefined without one. */
export type ReadTreeFile = (path: string) => Promise<Uint8Array | undefined>;

export interface SelinuxPolicy {
  /** The value of `SELINUXTYPE` in `/etc/selinux/config`, e.g. `targeted`. */
  readonly name: string;
  /** A hash of the files of the policy: with the same id, every path has the same label. */
  readonly id: string;
  /**
   * Returns the label that ostree gives to a path, without a NUL at its end; undefined if no line
   * of the policy matches, or the last one that does is for files without labels (`<<none>>`).
   * Throws `LIMIT` if the patterns of the policy need too much time.
   * @param path absolute, without `.` and `..`
   * @param mode with the type of the file (`st_mode`); with 0 there, lines for all types match
   */
  labelOf(path: string, mode: number): string | undefined;
}

/**
 * Returns the policy that a tree has in `/etc/selinux` or, if there is no `config`, in
 * `/usr/etc/selinux`. Returns undefined if it has neither, or if `SELINUX` in it is neither
 * `enforcing` nor `permissive`, as for ostree.
 *
 * Throws `NOT_FOUND` if `file_contexts` is missing, `CORRUPT` if a line of it is wrong or `/` has
 * no label, `UNSUPPORTED` and `LIMIT` as {@link parsePattern} does. Errors name file and line.
 */
export async function loadSelinuxPolicy(read: ReadTreeFile): Promise<SelinuxPolicy | undefined> {
  for (const folder of FOLDERS) {
    const path = `${folder}/config`;
    const config = await read(path);
    if (config !== undefined) {
      const name = inContext(path, () => activePolicy(config));
      return name === undefined ? undefined : loadPolicy(read, folder, name);
    }
  }
  return undefined;
}

/** Returns the value of `SELINUXTYPE`; undefined if SELinux is disabled. */
function activePolicy(config: Uint8Array): string | undefined {
  const lines = decodeUtf8(config)?.split('\n');
  if (lines === undefined) {
    throw new OstrataError('CORRUPT', 'the file is not UTF-8');
  }
  const isActive = lines.some(
    (line) => line.startsWith(MODE_SETTING) && ACTIVE.test(line.slice(MODE_SETTING.length)),
  );
  if (!isActive) {
    return undefined;
  }
  const setting = lines.findLast((line) => line.startsWith(TYPE_SETTING));
  const name = setting?.slice(TYPE_SETTING.length).trim() ?? '';
  if (!/^[\w-][\w.-]*$/.test(name)) {
    throw new OstrataError('CORRUPT', `${TYPE_SETTING} is followed by no name of a policy`);
  }
  return name;
}

async function loadPolicy(
  read: ReadTreeFile,
  folder: string,
  name: string,
): Promise<SelinuxPolicy> {
  const hash = createHash('sha256').update(`${name}\0`);
  const what = `SELinux policy ${name}`;
  const base = `${folder}/${name}/contexts/files/file_contexts`;
  const readPart = async (suffix: string) => {
    const bytes = await read(`${base}${suffix}`);
    if (bytes !== undefined) {
      hash.update(`${suffix} ${bytes.length}\0`).update(bytes);
    }
    return bytes;
  };

  const contexts: FileContext[] = [];
  for (const suffix of CONTEXT_SUFFIXES) {
    const bytes = await readPart(suffix);
    if (bytes === undefined && suffix === '') {
      throw new OstrataError('NOT_FOUND', `${what}: ${base} is missing`);
    }
    contexts.push(...parseFileContexts(bytes ?? NO_BYTES, `${base}${suffix}`));
  }
  const substitutions: Substitution[][] = [];
  for (const suffix of SUBSTITUTION_SUFFIXES) {
    const bytes = await readPart(suffix);
    const parsed = inContext(`${base}${suffix}`, () => parseSubstitutions(bytes ?? NO_BYTES));
    substitutions.push(parsed);
  }

  const labeler = new Labeler(contexts, substitutions);
  const labelOf = (path: string, mode: number) =>
    // The policy has no label for /proc, where something is mounted; ostree wants one for the
    // folder itself, and takes that of another mount point.
    inContext(what, () => labeler.labelOf(path === '/proc' ? '/mnt' : path, mode));
  if (labelOf('/', ROOT_MODE) === undefined) {
    throw new OstrataError('CORRUPT', `${what}: ${base} gives / no label`);
  }
  return { name, id: hash.digest('hex'), labelOf };
}
