/** Certificates for a registry: containers-certs.d(5). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { inContext, OstrataError } from '../../errors.js';

/** Certificates and keys, all in PEM. */
export interface Certificates {
  /** Certificate authorities to trust. */
  readonly ca: string[];
  /** Client certificates. */
  readonly cert: string[];
  /** The keys of the client certificates, in the same order. */
  readonly key: string[];
}

/** Bundles of the authorities that the system trusts: Debian, Fedora, SUSE, Alpine. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * Reads the certificates for `host` (HOST[:PORT]).
 * @param directory is read instead of the default directories for the host; it must exist
 */
export function readCertificates(host: string, directory: string | undefined): Certificates {
  const trusted = readTrustedAuthorities();
  const chosen = directory ?? defaultDirectories(host).find((path) => existsSync(path));
  if (chosen === undefined) {
    return { ca: trusted, cert: [], key: [] };
  }

  return inContext(`certificates in ${chosen}`, () => {
    const names = readdirSync(chosen).sort();
    const read = (name: string) => readFileSync(join(chosen, name), 'utf8');
    const authorities = names.filter((name) => name.endsWith('.crt'));
    const clients = clientNames(names);
    return {
      ca: [...trusted, ...authorities.map(read)],
      cert: clients.map((name) => read(`${name}.cert`)),
      key: clients.map((name) => read(`${name}.key`)),
    };
  });
}

function readTrustedAuthorities(): string[] {
  const bundles = [process.env.SSL_CERT_FILE ?? '', ...SYSTEM_BUNDLES];
  const bundle = bundles.find((path) => existsSync(path));
  return bundle === undefined ? [...rootCertificates] : [readFileSync(bundle, 'utf8')];
}

/**
 * Returns each NAME that has both a NAME.cert and a NAME.key; one without the other is an error.
 */
function clientNames(names: readonly string[]): readonly string[] {
  const without = (suffix: string) =>
    names.filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length));
  const requireFile = (required: string, existing: string) => {
    if (!names.includes(required)) {
      throw new OstrataError('NOT_FOUND', `found ${existing}, but not ${required}`);
    }
  };

  for (const name of without('.key')) {
    requireFile(`${name}.cert`, `${name}.key`);
  }
  const clients = without('.cert');
  for (const name of clients) {
    requireFile(`${name}.key`, `${name}.cert`);
  }
  return clients;
}

function defaultDirectories(host: string): readonly string[] {
  const roots = [join(homedir(), '.config/containers'), '/etc/containers', '/etc/docker'];
  return roots.map((root) => join(root, 'certs.d', host));
}
