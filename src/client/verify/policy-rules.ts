/**
 * Finds the rule of a signature policy, containers-policy.json(5), that decides about an image, and
 * the mistakes in it. Scopes are those of containers/image. skopeo decides whether a signature is
 * good (see policy.ts).
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContext, OstrataError } from '../../errors.js';
import { parseImgref } from '../../transports/image-reference.js';
import type { ImageReference } from '../../transports/registry/reference.js';

const SYSTEM_DIRECTORIES = ['/etc/containers', '/usr/share/containers'];
export const ACCEPT_ANYTHING = 'insecureAcceptAnything';
/**
 * cosign signs repositories, not tags. With these identities, its signatures count for every tag.
 */
const COSIGN_IDENTITIES = new Set(['matchRepository', 'exactRepository', 'remapIdentity']);

/** How the configuration of a registry asks for signatures beside the image. */
const USES_ATTACHMENTS = /use-sigstore-attachments['"]?\s*:\s*true\b/;

const requirement = v.object({
  type: v.string(),
  keyPath: v.optional(v.string()),
  keyPaths: v.optional(v.array(v.string())),
  signedIdentity: v.optional(v.object({ type: v.string() })),
});
const requirements = v.pipe(v.array(requirement), v.minLength(1));
const scopeRules = v.record(v.string(), requirements);
const transportRules = v.record(v.string(), scopeRules);
const schema = v.object({
  default: requirements,
  transports: v.optional(transportRules, {}),
});
export type Policy = v.InferOutput<typeof schema>;
type Requirement = Policy['default'][number];

/** The part of a policy that decides about an image. */
export interface PolicyRule {
  /** `default`, a transport, or a transport and a scope such as `docker quay.io/os`. */
  readonly scope: string;
  /** All of them must be met. */
  readonly requirements: readonly Requirement[];
}

/** The policy file that containers/image would use; throws `NOT_FOUND` if there is none. */
export function policyPath(): string {
  const fromEnvironment = process.env.CONTAINERS_POLICY_JSON;
  if (fromEnvironment) {
    return fromEnvironment;
  }
  const candidates = configPaths('policy.json');
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    const listed = candidates.join(', ');
    throw new OstrataError('NOT_FOUND', `there is no signature policy: ${listed}`);
  }
  return path;
}

/** Returns where the configuration `name` of containers may be, that of the user first. */
function configPaths(name: string): string[] {
  const userConfig = process.env.XDG_CONFIG_HOME || join(homedir(), '.config');
  const directories = [join(userConfig, 'containers'), ...SYSTEM_DIRECTORIES];
  return directories.map((directory) => join(directory, name));
}

/** Throws `CORRUPT` unless the file has the form of a policy. */
export function readPolicy(path: string): Policy {
  return inContext(`reading ${path}`, () => {
    const text = readFileSync(path, 'utf8');
    return parseJson(text, schema);
  });
}

/** The rule that decides about `imgref`: the one with the most specific scope. */
export function policyRule(policy: Policy, imgref: string): PolicyRule {
  const { transport, scopes } = scopesOf(imgref);
  const rulesOf = new Map(Object.entries(policy.transports));
  const ofTransport = rulesOf.get(transport) ?? {};
  const rules = new Map(Object.entries(ofTransport));
  for (const scope of [...scopes, '']) {
    const requirements = rules.get(scope);
    if (requirements !== undefined) {
      const title = `${transport} ${scope}`.trimEnd();
      return { scope: title, requirements };
    }
  }
  return { scope: 'default', requirements: policy.default };
}

/** Returns sentences that say why a rule does not do what its author probably wants. */
export function ruleProblems(
  policy: Policy,
  { scope, requirements }: PolicyRule,
): readonly string[] {
  const problems: string[] = [];
  const acceptsAnything = policy.default.some(({ type }) => type === ACCEPT_ANYTHING);
  if (acceptsAnything) {
    problems.push(`the default is ${ACCEPT_ANYTHING}: ostree-image-signed is refused`);
  }
  for (const requirement of requirements) {
    const ofRequirement = requirementProblems(scope, requirement);
    problems.push(...ofRequirement);
  }
  return problems;
}

function requirementProblems(scope: string, requirement: Requirement): readonly string[] {
  switch (requirement.type) {
    case ACCEPT_ANYTHING:
      return scope === 'default'
        ? []
        : [`${scope} is ${ACCEPT_ANYTHING}: no signature is verified`];
    case 'reject':
      return [`${scope} is reject: no image is accepted`];
    case 'sigstoreSigned':
      return [...missingKeys(requirement), ...sigstoreProblems(requirement)];
    default:
      return missingKeys(requirement);
  }
}

function missingKeys({ keyPath, keyPaths = [] }: Requirement): readonly string[] {
  const paths = keyPath === undefined ? keyPaths : [keyPath];
  const missing = paths.filter((path) => !existsSync(path));
  return missing.map((path) => `key ${path} is missing`);
}

function sigstoreProblems({ signedIdentity }: Requirement): readonly string[] {
  const problems: string[] = [];
  if (!COSIGN_IDENTITIES.has(signedIdentity?.type ?? '')) {
    problems.push(
      'cosign signs repositories, not tags: signedIdentity should be of type matchRepository',
    );
  }
  if (!usesAttachments()) {
    problems.push(
      'no file in registries.d has use-sigstore-attachments: true: signatures are not looked for',
    );
  }
  return problems;
}

/** Whether the configuration of any registry asks for signatures beside the image. */
function usesAttachments(): boolean {
  const directories = configPaths('registries.d');
  const files = directories.flatMap(yamlFilesIn);
  return files.some((file) => {
    const text = readFileSync(file, 'utf8');
    return USES_ATTACHMENTS.test(text);
  });
}

function yamlFilesIn(directory: string): string[] {
  if (!existsSync(directory)) {
    return [];
  }
  const names = readdirSync(directory).filter((name) => name.endsWith('.yaml'));
  return names.map((name) => join(directory, name));
}

interface ImageScopes {
  /** As policies name it. */
  readonly transport: string;
  /** The most specific first, without the transport itself. */
  readonly scopes: readonly string[];
}

/** The scopes that an image is in; for transports not listed here, only the transport counts. */
function scopesOf(imgref: string): ImageScopes {
  const { transport, location } = parseImgref(imgref);
  const reference = transport.reference?.(location);
  if (reference !== undefined) {
    return {
      transport: 'docker',
      scopes: registryScopes(reference),
    };
  }
  if (!['oci', 'oci-archive', 'dir'].includes(transport.name)) {
    return { transport: transport.name, scopes: [] };
  }

  // The tag is not part of a scope: it can be left out if an OCI image layout has only one image.
  const path = location.replace(/:.*/s, '');
  const realPath = existsSync(path) ? realpathSync(path) : path;
  return { transport: transport.name, scopes: parentScopes(realPath) };
}

function registryScopes({ host, repository, tag, digest }: ImageReference): string[] {
  const name = `${host}/${repository}`;
  const image = digest === undefined ? `${name}:${tag}` : `${name}@${digest}`;
  const hostName = host.replace(/:\d+$/, '');
  return [image, ...parentScopes(name), ...wildcardScopes(hostName)];
}

/** `a/b/c`, `a/b`, `a` for `a/b/c`. */
function parentScopes(path: string): string[] {
  const scopes: string[] = [];
  let scope = path;
  while (scope !== '' && scope !== '.') {
    scopes.push(scope);
    const slash = scope.lastIndexOf('/');
    scope = scope.slice(0, Math.max(0, slash));
  }
  return scopes;
}

/** `*.b.c` and `*.c` for `a.b.c`. */
function wildcardScopes(hostName: string): string[] {
  const [, ...parents] = hostName.split('.');
  return parents.map((_, i) => {
    const parent = parents.slice(i).join('.');
    return `*.${parent}`;
  });
}
