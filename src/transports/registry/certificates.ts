/** Certificates for a registry: containers-certs.d(5). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { inContext, OstrataError } from '../../errors.js';

export interface Certificates {
  /** PEM of everyone to trust; undefined: whom Node trusts. */
  readonly ca: string[] | undefined;
  /** PEM of client certificates and, in the same order, their keys. */
  readonly cert: string[];
  readonly key: string[];
}

/** What the system trusts: Debian, Fedora, SUSE, Alpine. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Of `directory`, which must be there, or else of the usual folder for `host` (HOST[:PORT]) if there is one. */
export function readCertificates(host: string, directory: string | undefined): Certificates {
  const folder = directory ?? usualFolders(host).find((path) => existsSync(path));
  const bundle = [process.env.SSL_CERT_FILE ?? '', ...SYSTEM_BUNDLES].find((path) =>
    existsSync(path),
  );
  const trusted = bundle === undefined ? rootCertificates : [readFileSync(bundle, 'utf8')];
  if (folder === undefined) {
    return { ca: [...trusted], cert: [], key: [] };
  }
  return inContext(`certificates in ${folder}`, () => {
    const names = readdirSync(folder).sort();
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    const partner = (name: string, from: string, to: string) => {
      const other = `${name.slice(0, -from.length)}${to}`;
      if (!names.includes(other)) {
        throw new OstrataError('NOT_FOUND', `${name} is there, ${other} is not`);
      }
      return other;
    };
    const certs = names.filter((name) => name.endsWith('.cert'));
    for (const name of names) {
      if (name.endsWith('.key')) {
        partner(name, '.key', '.cert');
      }
    }
    return {
      ca: [...trusted, ...names.filter((name) => name.endsWith('.crt')).map(read)],
      cert: certs.map(read),
      key: certs.map((name) => read(partner(name, '.cert', '.key'))),
    };
  });
}

function usualFolders(host: string): readonly string[] {
  const roots = [join(homedir(), '.config/containers'), '/etc/containers', '/etc/docker'];
  return roots.map((root) => join(root, 'certs.d', host));
}
