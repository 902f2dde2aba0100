// Registries that respond with endless or stalled bodies, or not at all.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { suite, test } from 'node:test';
import type { Logger } from '../../../src/log.js';
import { createImage, openImage } from '../../../src/transports/image-reference.js';
import { withServer } from '../../support/fault-bench.js';
import { newTraffic } from '../../support/random-images.js';
import { ostrataProgram } from '../../support/run.js';

/** Half of the time after which a stalled request is given up. */
const KILL_AFTER_MS = 30_000;

/** Runs `ostrata` beside this process, whose servers it talks to, until it ends or hangs. */
async function ostrataEnds(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [ostrataProgram, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: KILL_AFTER_MS,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [status, signal] = await once(child, 'close');
  assert.deepEqual([status, signal], [1, null], stderr);
  return stderr;
}

/** Writes for as long as the connection is open. */
function writeForever(response: ServerResponse): void {
  const timer = setInterval(() => response.write('x'.repeat(1000)), 1);
  response.on('close', () => clearInterval(timer));
}

const stalled = (status: number, headers: Record<string, string> = {}) => {
  return (response: ServerResponse) => {
    response.writeHead(status, { 'content-length': '100000', ...headers }).write('{"errors":');
  };
};
const bearer = (realm: string) => ({ 'www-authenticate': `Bearer realm="${realm}"` });

suite('the program ends soon after an error response', { concurrency: true }, () => {
  const cases: readonly [string, (response: ServerResponse) => void, RegExp][] = [
    ['with a stalled body', stalled(403), /HTTP status 403/],
    ['with an endless body', (response) => writeForever(response.writeHead(404)), /status 404/],
    ['that names an invalid token server', stalled(401, bearer('http://[')), /invalid URL/],
    ['that names an insecure token server', stalled(401, bearer('ftp://x/')), /not secure/],
    ['that redirects to an invalid URL', stalled(302, { location: 'http://[' }), /invalid URL/],
    [
      'that stays open after a damaged manifest',
      (response) => response.writeHead(200, { 'content-length': '1' }).end('{'),
      /JSON|manifest/,
    ],
  ];
  for (const [name, respond, message] of cases) {
    test(name, () =>
      withServer(
        (_, response) => respond(response),
        async (url) => {
          const imgref = `${url.replace('http://', 'registry:')}/os/base:1`;
          const stderr = await ostrataEnds('container', 'info', '--tls-verify=false', imgref);
          assert.match(stderr, message);
        },
      ),
    );
  }
});

/** Runs `body` with a server that accepts connections and never says anything. */
async function withSilentServer(
  body: (host: string, sockets: Socket[]) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}).resume());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await body(`127.0.0.1:${port}`, sockets);
  } finally {
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
  }
}

suite('a silent registry', { concurrency: true }, () => {
  test('is told about at each attempt and given up after the last one', () =>
    withSilentServer(async (host, sockets) => {
      const warnings: string[] = [];
      const log: Logger = { warn: (text) => warnings.push(text), info() {}, progress() {} };
      const options = { log, noticeMs: 20, stallTimeoutMs: 200, retries: 1 };
      for (const tlsVerify of [true, false]) {
        for (const open of [openImage, createImage]) {
          const traffic = newTraffic();
          const imgref = `registry:${host}/os/base:1`;
          await assert.rejects(open(imgref, { ...options, tlsVerify, traffic }), {
            code: 'IO',
            message: /nothing happened for 0\.2 s/,
          });
          const notice = `still waiting for ${host}, which has sent nothing for 0.02 s `;
          const first = warnings[0];
          assert.equal(first, `${notice}(at most 2 attempts of 0.2 s)`);
          assert.deepEqual([warnings.splice(0).length, traffic.requests], [2, 2]);
          const closed = sockets.map((socket) => socket.closed || once(socket, 'close'));
          await Promise.all(closed);
        }
      }
    }));

  test('that sends a manifest one byte at a time is given up', () =>
    withServer(
      (_, response) => {
        response.writeHead(200);
        const timer = setInterval(() => response.write('{'), 20);
        response.on('close', () => clearInterval(timer));
      },
      async (url) => {
        const imgref = `${url.replace('http://', 'registry:')}/os/base:1`;
        const options = { tlsVerify: false, stallTimeoutMs: 1000, retries: 0 };
        await assert.rejects(openImage(imgref, options), {
          code: 'IO',
          message: /the response is not complete after 5 s/,
        });
      },
    ));
});
