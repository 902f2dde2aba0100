/** Credentials for a registry: containers-auth.json(5), Docker's config.json and its credential helpers. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { inContextAsync, OstrataError } from '../../errors.js';
import { runProgram } from '../../system/program.js';
import type { Credentials } from '../transport.js';
import type { ImageReference } from './reference.js';

/** With a password, or with a token that a token server takes instead (Docker's `identitytoken`). */
export type RegistryCredentials = Credentials | { readonly identityToken: string };

const MAX_FILE_SIZE = 4 << 20;
/** Helpers may ask a service, or the user. In milliseconds. */
const HELPER_TIMEOUT = 60_000;
/** What a helper calls the user of an identity token. */
const TOKEN_USER = '<token>';
/** As Docker has written it for docker.io since there was a version 1. */
const DOCKER_HUB_KEY = 'index.docker.io';

const authFile = v.object({
  auths: v.nullish(
    v.record(
      v.string(),
      v.object({
        auth: v.nullish(v.string()),
        username: v.nullish(v.string()),
        password: v.nullish(v.string()),
        identitytoken: v.nullish(v.string()),
      }),
    ),
  ),
  credHelpers: v.nullish(v.record(v.string(), v.string())),
  credsStore: v.nullish(v.string()),
});
type AuthFile = v.InferOutput<typeof authFile>;

/** Of `authfile`, which must be there, or else of the first of the usual files that has any; undefined without. */
export async function findCredentials(
  reference: ImageReference,
  authfile: string | undefined,
): Promise<RegistryCredentials | undefined> {
  const named = authfile ?? (process.env.REGISTRY_AUTH_FILE || undefined);
  for (const path of named === undefined ? usualFiles() : [named]) {
    const found = await inContextAsync(`credentials in ${path}`, async () => {
      const file = await readAuthFile(path, named !== undefined);
      return file && lookUp(file, reference);
    });
    if (found) {
      return found;
    }
  }
  return undefined;
}

/** A file that holds these credentials and nothing else. */
export function encodeAuthFile(host: string, credentials: RegistryCredentials | undefined): string {
  if (credentials === undefined) {
    return '{"auths":{}}';
  }
  const encode = (user: string, password: string) =>
    Buffer.from(`${user}:${password}`).toString('base64');
  const entry =
    'identityToken' in credentials
      ? { auth: encode(TOKEN_USER, ''), identitytoken: credentials.identityToken }
      : { auth: encode(credentials.username, credentials.password) };
  return JSON.stringify({ auths: { [host]: entry } });
}

/** Those of ostree's container tools for root, of containers, and Docker's. */
function usualFiles(): readonly string[] {
  const { XDG_RUNTIME_DIR: runtime, XDG_CONFIG_HOME: config, DOCKER_CONFIG: docker } = process.env;
  const uid = process.getuid?.();
  const home = homedir();
  return [
    ...(uid === 0
      ? ['/run/ostree', '/etc/ostree', '/usr/lib/ostree'].map((path) => join(path, 'auth.json'))
      : []),
    runtime ? join(runtime, 'containers/auth.json') : `/run/containers/${uid}/auth.json`,
    join(config || join(home, '.config'), 'containers/auth.json'),
    join(docker || join(home, '.docker'), 'config.json'),
  ];
}

async function readAuthFile(path: string, isRequired: boolean): Promise<AuthFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    // Someone else's file is not for us.
    if (
      !isRequired &&
      ['ENOENT', 'ENOTDIR', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')
    ) {
      return;
    }
    throw error;
  }
  if (text.length > MAX_FILE_SIZE) {
    throw new OstrataError('LIMIT', `${text.length} characters, at most ${MAX_FILE_SIZE}`);
  }
  // Messages of JSON.parse and of the schema may quote the text.
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new OstrataError('CORRUPT', 'is not JSON');
  }
  const { success, output, issues } = v.safeParse(authFile, json);
  if (success) {
    return output;
  }
  throw new OstrataError(
    'CORRUPT',
    `${v.getDotPath(issues[0]) ?? 'document'}: expected ${issues[0].expected}`,
  );
}

/** The entry of the longest name that begins the image's; a helper of the host comes first. */
async function lookUp(
  { auths, credHelpers, credsStore }: AuthFile,
  { host, repository }: ImageReference,
): Promise<RegistryCredentials | undefined> {
  const isHost = (key: string) => normalKey(key) === host;
  const helper = Object.entries(credHelpers ?? {}).find(([key]) => isHost(key))?.[1];
  if (helper !== undefined) {
    return askHelper(helper, host);
  }
  const entries = Object.entries(auths ?? {});
  const parts = [host, ...repository.split('/')];
  for (let length = parts.length; length > 0; length--) {
    const name = parts.slice(0, length).join('/');
    const entry = (entries.find(([key]) => key === name) ??
      entries.find(([key]) => normalKey(key) === name))?.[1];
    const credentials = entry && decodeEntry(entry);
    if (credentials) {
      return credentials;
    }
  }
  return credsStore
    ? askHelper(credsStore, entries.find(([key]) => isHost(key))?.[0] ?? host)
    : undefined;
}

/** Docker's keys may be URLs. */
function normalKey(key: string): string {
  const url = /^https?:\/\/([^/]+)/.exec(key);
  const name = url ? (url[1] as string) : key;
  return name === DOCKER_HUB_KEY || name === 'registry-1.docker.io' ? 'docker.io' : name;
}

function decodeEntry(
  entry: NonNullable<AuthFile['auths']>[string],
): RegistryCredentials | undefined {
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

const helperAnswer = v.object({ Username: v.string(), Secret: v.string() });

/** https://github.com/docker/docker-credential-helpers: the host on standard input, JSON on standard output. */
async function askHelper(name: string, host: string): Promise<RegistryCredentials | undefined> {
  if (!/^[\w-]+(\.[\w-]+)*$/.test(name)) {
    throw new OstrataError('CORRUPT', `${JSON.stringify(name)} is no credential helper`);
  }
  const program = `docker-credential-${name}`;
  return inContextAsync(program, async () => {
    const signal = AbortSignal.timeout(HELPER_TIMEOUT);
    const { code, stdout } = await runProgram(program, ['get'], {
      purpose: 'the auth file',
      input: host,
      signal,
    });
    if (code !== 0) {
      if (/credentials not found/i.test(stdout)) {
        return undefined;
      }
      throw new OstrataError('IO', `ended with exit code ${code}`);
    }
    try {
      const { Username, Secret } = v.parse(helperAnswer, JSON.parse(stdout));
      return Username === TOKEN_USER
        ? { identityToken: Secret }
        : { username: Username, password: Secret };
    } catch {
      throw new OstrataError('CORRUPT', 'its answer is not JSON with Username and Secret');
    }
  });
}
