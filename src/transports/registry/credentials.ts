/**
 * Finds the credentials for a registry: containers-auth.json(5), Docker's config.json, and the
 * credential helpers that both name.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { decodeJson, parseJson } from '../../bytes/json.js';
import { errnoOf, inContextAsync, OstrataError } from '../../errors.js';
import { runProgram } from '../../system/program.js';
import type { Credentials } from '../transport.js';
import type { ImageReference } from './reference.js';

/** A password, or a token that token servers accept instead (Docker's `identitytoken`). */
export type RegistryCredentials = Credentials | { readonly identityToken: string };

/** Limit for an auth file, in characters. */
const MAX_FILE_SIZE = 4 << 20;
/** Time for a credential helper, which may ask a service or the user. */
const HELPER_TIMEOUT_MS = 60_000;
/** The user that a helper names for an identity token. */
const TOKEN_USER = '<token>';
const DOCKER_HUB = 'docker.io';
/** Other names of Docker Hub in auth files; the first is from the time of version 1. */
const DOCKER_HUB_KEYS = ['index.docker.io', 'registry-1.docker.io'];
/**
 * Errors for which a default file is passed over: it does not exist, or belongs to another user.
 */
const IGNORED_ERRNOS = ['ENOENT', 'ENOTDIR', 'EACCES'];

const authEntry = v.object({
  auth: v.nullish(v.string()),
  username: v.nullish(v.string()),
  password: v.nullish(v.string()),
  identitytoken: v.nullish(v.string()),
});
const authFile = v.object({
  auths: v.nullish(v.record(v.string(), authEntry)),
  credHelpers: v.nullish(v.record(v.string(), v.string())),
  credsStore: v.nullish(v.string()),
});
type AuthEntry = v.InferOutput<typeof authEntry>;
type AuthFile = v.InferOutput<typeof authFile>;

/**
 * Returns the credentials in `authfile`, which must exist; without it, those in the first default
 * file that has any. Returns undefined if there are none.
 */
export async function findCredentials(
  reference: ImageReference,
  authfile: string | undefined,
): Promise<RegistryCredentials | undefined> {
  const named = namedFile(authfile);
  for (const path of credentialFiles(authfile)) {
    const credentials = await inContextAsync(`credentials in ${path}`, async () => {
      const text = await readAuthFile(path, named !== undefined);
      return text === undefined ? undefined : lookUp(parseAuthFile(text), reference);
    });
    if (credentials) {
      return credentials;
    }
  }
  return undefined;
}

/** Returns the files that {@link findCredentials} looks into. */
export function credentialFiles(authfile: string | undefined): readonly string[] {
  const named = namedFile(authfile);
  return named === undefined ? defaultFiles() : [named];
}

function namedFile(authfile: string | undefined): string | undefined {
  return authfile ?? (process.env.REGISTRY_AUTH_FILE || undefined);
}

/** Returns an auth file that contains these credentials and nothing else. */
export function encodeAuthFile(host: string, credentials: RegistryCredentials | undefined): string {
  const auths = credentials === undefined ? {} : { [host]: encodeEntry(credentials) };
  return JSON.stringify({ auths });
}

function encodeEntry(credentials: RegistryCredentials): AuthEntry {
  const encode = (user: string, password: string) =>
    Buffer.from(`${user}:${password}`).toString('base64');
  return 'identityToken' in credentials
    ? { auth: encode(TOKEN_USER, ''), identitytoken: credentials.identityToken }
    : { auth: encode(credentials.username, credentials.password) };
}

/** The files of ostree's container tools (for root only), of podman and skopeo, and of Docker. */
function defaultFiles(): readonly string[] {
  const { XDG_RUNTIME_DIR: runtime, XDG_CONFIG_HOME: config, DOCKER_CONFIG: docker } = process.env;
  const uid = process.getuid?.();
  const home = homedir();

  const ostree = ['/run/ostree', '/etc/ostree', '/usr/lib/ostree'];
  const files = uid === 0 ? ostree.map((directory) => join(directory, 'auth.json')) : [];
  files.push(
    runtime ? join(runtime, 'containers/auth.json') : `/run/containers/${uid}/auth.json`,
    join(config || join(home, '.config'), 'containers/auth.json'),
    join(docker || join(home, '.docker'), 'config.json'),
  );
  return files;
}

async function readAuthFile(path: string, isRequired: boolean): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (!isRequired && IGNORED_ERRNOS.includes(errnoOf(error) ?? '')) {
      return undefined;
    }
    throw error;
  }
}

/** Messages of JSON.parse and of the schema are not shown, since they may quote a password. */
function parseAuthFile(text: string): AuthFile {
  if (text.length > MAX_FILE_SIZE) {
    throw new OstrataError('LIMIT', `${text.length} characters, at most ${MAX_FILE_SIZE}`);
  }
  let json: unknown;
  try {
    json = decodeJson(text);
  } catch {
    throw new OstrataError('CORRUPT', 'is not JSON');
  }
  const { success, output, issues } = v.safeParse(authFile, json);
  if (success) {
    return output;
  }
  const [issue] = issues;
  throw new OstrataError(
    'CORRUPT',
    `${v.getDotPath(issue) ?? 'document'}: expected ${issue.expected}`,
  );
}

/**
 * Asks the credential helper for the host, if there is one. Otherwise returns the entry with the
 * longest name that is a prefix of the image's name. Without such an entry it asks the default
 * helper.
 */
async function lookUp(
  { auths, credHelpers, credsStore }: AuthFile,
  { host, repository }: ImageReference,
): Promise<RegistryCredentials | undefined> {
  const isHost = (key: string) => normalizeKey(key) === host;
  const helper = Object.entries(credHelpers ?? {}).find(([key]) => isHost(key))?.[1];
  if (helper !== undefined) {
    return askHelper(helper, host);
  }

  const entries = Object.entries(auths ?? {});
  const credentials = findEntry(entries, [host, ...repository.split('/')]);
  if (credentials || !credsStore) {
    return credentials;
  }
  const key = entries.find(([name]) => isHost(name))?.[0] ?? host;
  return askHelper(credsStore, key);
}

function findEntry(
  entries: readonly (readonly [string, AuthEntry])[],
  nameParts: readonly string[],
): RegistryCredentials | undefined {
  for (let length = nameParts.length; length > 0; length--) {
    const name = nameParts.slice(0, length).join('/');
    const found =
      entries.find(([key]) => key === name) ?? entries.find(([key]) => normalizeKey(key) === name);
    const credentials = found && decodeEntry(found[1]);
    if (credentials) {
      return credentials;
    }
  }
  return undefined;
}

/** Docker writes URLs as keys, e.g. `https://index.docker.io/v1/`. */
function normalizeKey(key: string): string {
  const host = /^https?:\/\/([^/]+)/.exec(key)?.[1] ?? key;
  return DOCKER_HUB_KEYS.includes(host) ? DOCKER_HUB : host;
}

/** Returns undefined for an empty entry, which stands for a credential helper. */
function decodeEntry(entry: AuthEntry): RegistryCredentials | undefined {
  if (entry.identitytoken) {
    return { identityToken: entry.identitytoken };
  }
  if (entry.username && entry.password) {
    return { username: entry.username, password: entry.password };
  }
  if (!entry.auth) {
    return undefined;
  }

  const decoded = Buffer.from(entry.auth, 'base64').toString();
  const colon = decoded.indexOf(':');
  if (colon < 0) {
    throw new OstrataError('CORRUPT', 'an auth entry is not base64 of USER:PASSWORD');
  }
  return {
    username: decoded.slice(0, colon),
    password: decoded.slice(colon + 1).replace(/\0+$/, ''),
  };
}

/**
 * Runs a credential helper (https://github.com/docker/docker-credential-helpers), which reads the
 * host from its standard input and writes JSON to its standard output.
 */
async function askHelper(name: string, host: string): Promise<RegistryCredentials | undefined> {
  if (!/^[\w-]+(\.[\w-]+)*$/.test(name)) {
    throw new OstrataError(
      'CORRUPT',
      `${JSON.stringify(name)} is not the name of a credential helper`,
    );
  }
  const program = `docker-credential-${name}`;
  return inContextAsync(program, async () => {
    const { code, stdout } = await runProgram(program, ['get'], {
      purpose: 'the auth file',
      input: host,
      signal: AbortSignal.timeout(HELPER_TIMEOUT_MS),
    });
    if (code === 0) {
      return parseHelperOutput(stdout);
    }
    if (/credentials not found/i.test(stdout)) {
      return undefined;
    }
    throw new OstrataError('IO', `ended with exit code ${code}`);
  });
}

const helperOutput = v.object({ Username: v.string(), Secret: v.string() });

/** The errors of parsers are not shown, since they may quote the password. */
function parseHelperOutput(stdout: string): RegistryCredentials {
  try {
    const { Username, Secret } = parseJson(stdout, helperOutput);
    return Username === TOKEN_USER
      ? { identityToken: Secret }
      : { username: Username, password: Secret };
  } catch {
    throw new OstrataError('CORRUPT', 'its output is not JSON with Username and Secret');
  }
}
