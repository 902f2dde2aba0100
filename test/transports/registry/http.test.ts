/** Requests with a body that the server answers before it has read all of it. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Agents } from '../../../src/transports/registry/agents.js';
import { HttpClient } from '../../../src/transports/registry/http.js';

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

test('no timer is left after a response that comes before the body ends', async () => {
  const server = createServer((request, response) => {
    response.writeHead(413, { connection: 'close' }).end(() => request.socket.destroySoon());
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/`);
  const certificates = () => assert.fail('no certificate is needed for HTTP');
  const client = new HttpClient({
    agents: new Agents({ certificates, tlsVerify: true, origin: url.origin }),
    signal: new AbortController().signal,
    onRequest: () => {},
    onSilence: () => {},
  });
  const before = timers();

  let hasEnded = () => {};
  const bodyEnded = new Promise<void>((resolve) => {
    hasEnded = resolve;
  });
  async function* slowBody() {
    yield Buffer.from('all');
    await setTimeout(200);
    hasEnded();
  }
  const response = await client.send(
    { method: 'PUT', url, body: { length: 3, stream: slowBody } },
    undefined,
  );
  assert.equal(response.status, 413);
  response.message.resume();
  await bodyEnded;
  await new Promise<void>((closed) => server.close(() => closed()));
  assert.equal(timers(), before);
});
