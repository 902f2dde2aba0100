/**
 * Starts the real docker-registry (https://github.com/distribution/distribution), one process a
 * call.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './run.js';

const LOG_POLL_MS = 20;

export interface Registry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  stop(): Promise<void>;
}

export interface RegistryConfig {
  /** Whether manifests can be deleted; by default they can. */
  readonly canDelete?: boolean;
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientCa?: string };
  /** The path of a file that htpasswd wrote. */
  readonly htpasswd?: string;
  readonly token?: {
    readonly realm: string;
    readonly service: string;
    readonly issuer: string;
    readonly rootCert: string;
  };
}

/** Starts a registry that keeps its data below `directory`. */
export async function startRegistry(
  directory: string,
  { tls, htpasswd, token, canDelete = true }: RegistryConfig = {},
): Promise<Registry> {
  mkdirSync(directory, { recursive: true });
  // The configuration is YAML, of which JSON is a part.
  const config = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: join(directory, 'data') },
      delete: { enabled: canDelete },
    },
    http: {
      addr: '127.0.0.1:0',
      ...(tls && {
        tls: {
          certificate: tls.certificate,
          key: tls.key,
          ...(tls.clientCa && { clientcas: [tls.clientCa] }),
        },
      }),
    },
    ...(htpasswd && { auth: { htpasswd: { realm: 'test', path: htpasswd } } }),
    ...(token && {
      auth: {
        token: {
          realm: token.realm,
          service: token.service,
          issuer: token.issuer,
          rootcertbundle: token.rootCert,
        },
      },
    }),
  };
  const file = join(directory, 'config.yml');
  writeFileSync(file, JSON.stringify(config));
  // A file, not a pipe: nobody would empty a pipe while a test waits for a program.
  const log = join(directory, 'log');
  const stderr = openSync(log, 'w');
  const child = spawn('docker-registry', ['serve', file], { stdio: ['ignore', 'ignore', stderr] });
  closeSync(stderr);
  const port = await listeningPort(child, log);
  return {
    host: `127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill();
      }),
  };
}

async function listeningPort(child: ChildProcess, log: string): Promise<string> {
  for (;;) {
    const text = readFileSync(log, 'latin1');
    const port = /listening on 127\.0\.0\.1:(\d+)/.exec(text)?.[1];
    if (port) {
      return port;
    }
    if (child.exitCode !== null) {
      throw new Error(`docker-registry ended: ${text}`);
    }
    await sleep(LOG_POLL_MS);
  }
}

export interface TestCertificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
}

/** Makes a private CA, a certificate for 127.0.0.1 and `registry.test`, and one for a client. */
export function makeCertificates(directory: string): TestCertificates {
  mkdirSync(directory, { recursive: true });
  const path = (name: string) => join(directory, name);
  const openssl = (...args: readonly string[]) => run('openssl', args, { cwd: directory });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.crt', '-subj', '/CN=Test CA');
  for (const [name, extension] of [
    ['server', 'subjectAltName=IP:127.0.0.1,DNS:registry.test,DNS:localhost'],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    openssl(
      'req',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
    );
    writeFileSync(path(`${name}.ext`), extension);
    openssl(
      ...[
        'x509',
        '-req',
        '-in',
        `${name}.csr`,
        '-CA',
        'ca.crt',
        '-CAkey',
        'ca.key',
        '-CAcreateserial',
      ],
      ...['-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`],
    );
  }
  return {
    ca: path('ca.crt'),
    certificate: path('server.pem'),
    key: path('server.key'),
    clientCertificate: path('client.pem'),
    clientKey: path('client.key'),
  };
}
