/**
 * What a signature policy, containers-policy.json(5), says of an image: which of its scopes the image is in, and what is
 * wrong with that. Scopes are those of containers/image; whether a signature is good is for skopeo to say.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseJson } from '../../bytes/json.js';
import { inContext, OstrataError } from '../../errors.js';
import { parseImgref } from '../../transports/image-reference.js';

const SYSTEM_POLICIES = ['/etc/containers/policy.json', '/usr/share/containers/policy.json'];
const SYSTEM_LOOKASIDE = ['/etc/containers/registries.d', '/usr/share/containers/registries.d'];
export const ACCEPT_ANYTHING = 'insecureAcceptAnything';
/** What cosign signs is a repository: with these its signatures are accepted for a tag. */
const IDENTITIES_OF_COSIGN = new Set(['matchRepository', 'exactRepository', 'remapIdentity']);

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

/** The part of a policy that holds for an image. */
export interface PolicyRule {
  /** `default`, a transport, or a transport and a scope: `docker quay.io/os`. */
  readonly scope: string;
  readonly requirements: readonly Requirement[];
}

/** Found as containers/image does; `NOT_FOUND` where there is none. */
export function policyPath(): string {
  const fromEnvironment = process.env.CONTAINERS_POLICY_JSON;
  if (fromEnvironment) {
    return fromEnvironment;
  }
  const path = [join(userConfig(), 'policy.json'), ...SYSTEM_POLICIES].find((each) =>
    existsSync(each),
  );
  if (path === undefined) {
    throw new OstrataError('NOT_FOUND', `no policy.json in ${SYSTEM_POLICIES.join(' or ')}`);
  }
  return path;
}

const userConfig = () =>
  join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'containers');

export function readPolicy(path: string): Policy {
  return inContext(`reading ${path}`, () => parseJson(readFileSync(path, 'utf8'), schema));
}

/** The most specific rule for `imgref`. */
export function policyRule(policy: Policy, imgref: string): PolicyRule {
  const { transport, scopes } = scopesOf(imgref);
  const rules = policy.transports[transport] ?? {};
  for (const scope of [...scopes, '']) {
    const found = Object.hasOwn(rules, scope) ? rules[scope] : undefined;
    if (found !== undefined) {
      return { scope: `${transport} ${scope}`.trimEnd(), requirements: found };
    }
  }
  return { scope: 'default', requirements: policy.default };
}

/** What keeps a rule from doing what its author will have meant, one line each. */
export function ruleProblems(
  policy: Policy,
  { scope, requirements }: PolicyRule,
): readonly string[] {
  const problems: string[] = [];
  if (policy.default.some(({ type }) => type === ACCEPT_ANYTHING)) {
    problems.push(`the default is ${ACCEPT_ANYTHING}: ostree-image-signed is refused`);
  }
  for (const requirement of requirements) {
    const { type, keyPath, keyPaths = [], signedIdentity } = requirement;
    if (type === ACCEPT_ANYTHING && scope !== 'default') {
      problems.push(`${scope} is ${ACCEPT_ANYTHING}: no signature is verified`);
    }
    if (type === 'reject') {
      problems.push(`${scope} is reject: no image is accepted`);
    }
    for (const path of keyPath === undefined ? keyPaths : [keyPath]) {
      if (!existsSync(path)) {
        problems.push(`key ${path} is missing`);
      }
    }
    if (type !== 'sigstoreSigned') {
      continue;
    }
    if (!IDENTITIES_OF_COSIGN.has(signedIdentity?.type ?? '')) {
      problems.push(
        'cosign signs repositories, not tags: signedIdentity should be of type matchRepository',
      );
    }
    if (!findsAttachments()) {
      problems.push(
        'no file in registries.d has use-sigstore-attachments: true: signatures are not looked for',
      );
    }
  }
  return problems;
}

/** Whether any registry's configuration asks for signatures beside the image; which, is not looked at. */
function findsAttachments(): boolean {
  const directories = [join(userConfig(), 'registries.d'), ...SYSTEM_LOOKASIDE].filter((each) =>
    existsSync(each),
  );
  const files = directories.flatMap((directory) =>
    readdirSync(directory)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => join(directory, name)),
  );
  return files.some((file) =>
    /use-sigstore-attachments['"]?\s*:\s*true\b/.test(readFileSync(file, 'utf8')),
  );
}

/** From the most specific; of transports that are not listed here only the transport itself counts. */
function scopesOf(imgref: string): {
  readonly transport: string;
  readonly scopes: readonly string[];
} {
  const { transport, location } = parseImgref(imgref);
  const reference = transport.reference?.(location);
  if (reference !== undefined) {
    const { host, repository, tag, digest } = reference;
    const name = `${host}/${repository}`;
    const scopes = [
      digest === undefined ? `${name}:${tag}` : `${name}@${digest}`,
      ...upwards(name),
    ];
    return { transport: 'docker', scopes: [...scopes, ...wildcards(host.replace(/:\d+$/, ''))] };
  }
  if (!['oci', 'oci-archive', 'dir'].includes(transport.name)) {
    return { transport: transport.name, scopes: [] };
  }
  // What is behind the colon is not looked at: a layout's only image need not be named.
  const path = location.split(':', 1)[0] as string;
  return {
    transport: transport.name,
    scopes: upwards(existsSync(path) ? realpathSync(path) : path),
  };
}

/** `a/b/c`, `a/b`, `a`. */
function upwards(path: string): string[] {
  const scopes = [];
  for (let at = path; at !== '' && at !== '.'; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    scopes.push(at);
  }
  return scopes;
}

/** `*.b.c` and `*.c` for `a.b.c`. */
function wildcards(host: string): string[] {
  const labels = host.split('.');
  return labels.slice(1).map((_, i) => `*.${labels.slice(i + 1).join('.')}`);
}
