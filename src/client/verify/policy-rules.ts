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

const SYSTEM_POLICIES = ['/etc/containers/policy.json', '/usr/share/containers/policy.json'];
const SYSTEM_REGISTRIES_D = ['/etc/containers/registries.d', '/usr/share/containers/registries.d'];
export const ACCEPT_ANYTHING = 'insecureAcceptAnything';
/**
 * cosign signs repositories, not tags. With these identities, its signatures count for every tag.
 */
const COSIGN_IDENTITIES = new Set(['matchRepository', 'exactRepository', 'remapIdentity']);

const requirements = v.pipe(
  v.array(
    v.object({
      type: v.string(),
      keyPath: v.optional(v.string()),
      keyPaths: v.optional(v.array(v.string())),
      signedIdentity: v.optional(v.object({ type: v.string() })),
    }),
  ),
  v.minLength(1),
);
const schema = v.object({
  default: requirements,
  transports: v.optional(v.record(v.string(), v.record(v.string(), requirements)), {}),
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
  const candidates = [join(userConfigDirectory(), 'policy.json'), ...SYSTEM_POLICIES];
  const path = candidates.find((candidate) => existsSync(candidate));
  if (path === undefined) {
    throw new OstrataError('NOT_FOUND', `there is no signature policy: ${candidates.join(', ')}`);
  }
  return path;
}

function userConfigDirectory(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'containers');
}

/** Throws `CORRUPT` unless the file has the form of a policy. */
export function readPolicy(path: string): Policy {
  return inContext(`reading ${path}`, () => parseJson(readFileSync(path, 'utf8'), schema));
}

/** The rule that decides about `imgref`: the one with the most specific scope. */
export function policyRule(policy: Policy, imgref: string): PolicyRule {
  const { transport, scopes } = scopesOf(imgref);
  const rulesOf = new Map(Object.entries(policy.transports));
  const rules = new Map(Object.entries(rulesOf.get(transport) ?? {}));
  for (const scope of [...scopes, '']) {
    const requirements = rules.get(scope);
    if (requirements !== undefined) {
      return { scope: `${transport} ${scope}`.trimEnd(), requirements };
    }
  }
  return { scope: 'default', requirements: policy.default };
}

/** Returns sentences that say why a rule does not do what its author probably wants. */
export function ruleProblems(
  policy: Policy,
  { scope, requirements }: PolicyRule,
): readonly string[] {
  const problems = requirements.flatMap((requirement) => requirementProblems(scope, requirement));
  return policy.default.some(({ type }) => type === ACCEPT_ANYTHING)
    ? [`the default is ${ACCEPT_ANYTHING}: ostree-image-signed is refused`, ...problems]
    : problems;
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
  return paths.filter((path) => !existsSync(path)).map((path) => `key ${path} is missing`);
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
  const directories = [join(userConfigDirectory(), 'registries.d'), ...SYSTEM_REGISTRIES_D];
  return directories
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory).map((name) => join(directory, name)))
    .filter((file) => file.endsWith('.yaml'))
    .some((file) => /use-sigstore-attachments['"]?\s*:\s*true\b/.test(readFileSync(file, 'utf8')));
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
    const { host, repository, tag, digest } = reference;
    const name = `${host}/${repository}`;
    const image = digest === undefined ? `${name}:${tag}` : `${name}@${digest}`;
    const hostName = host.replace(/:\d+$/, '');
    return {
      transport: 'docker',
      scopes: [image, ...parentScopes(name), ...wildcardScopes(hostName)],
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

/** `a/b/c`, `a/b`, `a` for `a/b/c`. */
function parentScopes(path: string): string[] {
  const scopes: string[] = [];
  let scope = path;
  while (scope !== '' && scope !== '.') {
    scopes.push(scope);
    scope = scope.slice(0, Math.max(0, scope.lastIndexOf('/')));
  }
  return scopes;
}

/** `*.b.c` and `*.c` for `a.b.c`. */
function wildcardScopes(hostName: string): string[] {
  const [, ...parents] = hostName.split('.');
  return parents.map((_, i) => `*.${parents.slice(i).join('.')}`);
}
