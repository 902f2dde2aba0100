/** The search for the cheapest delta leaves no connection behind when it is canceled. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { planDelta } from '../../src/client/import/delta.js';
import { planImport } from '../../src/client/import/plan.js';
import { pullImage } from '../../src/client/pull.js';
import { DELTA_TYPE, manifestDescriptor } from '../../src/delta/artifact.js';
import { silentLogger } from '../../src/log.js';
import { OCI_MANIFEST } from '../../src/oci/media-types.js';
import { openRepo } from '../../src/ostree/repo.js';
import { openImage } from '../../src/transports/image-reference.js';
import { type ForgedEntry, forgePlain } from '../support/forge-image.js';
import { importOptions, newRepo } from '../support/import-image.js';
import { noise } from '../support/random-images.js';
import { scratchDirectory } from '../support/scratch.js';
import { diffOf, writeDelta } from '../support/write-delta.js';

const file = (name: string): ForgedEntry => ({
  ...{ name, type: 'file', content: Buffer.from(noise(name, 50_000)), mode: 0o644 },
});

test('a search that is canceled at the second delta closes the first', async () => {
  const newLayer = [file('usr/same'), file('usr/new')];
  const old = forgePlain([[file('usr/same')]]).imgref;
  const target = await openImage(forgePlain([newLayer]).imgref);
  const place = `oci:${join(scratchDirectory(), 'delta')}`;
  const tarDiffs = new Map([[0, diffOf(newLayer, ['usr/same'])]]);
  await writeDelta(place, await openImage(old), target, tarDiffs);
  const delta = await openImage(place, { artifactType: DELTA_TYPE });
  const repository = newRepo();
  await pullImage(importOptions(repository, old));

  const controller = new AbortController();
  const { signal } = controller;
  let manifests = 0;
  const server = createServer(({ url }, response) => {
    manifests += url?.includes('/manifests/') ? 1 : 0;
    if (manifests === 2) {
      controller.abort();
      return;
    }
    response.setHeader('content-type', OCI_MANIFEST);
    response.end(delta.manifestBytes);
  });
  const sockets: Socket[] = [];
  server.on('connection', (socket) => sockets.push(socket));
  server.keepAliveTimeout = 0; // so that only the client closes connections
  after(() => server.closeAllConnections());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  after(() => server.close());
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');

  const { annotations } = delta.manifest;
  const listed = { ...manifestDescriptor(delta), artifactType: DELTA_TYPE, annotations };
  const repo = openRepo(repository);
  const plan = await planImport(repo, { ...target, referrers: async () => [listed, listed] });
  const imgref = `registry:127.0.0.1:${address.port}/os:new`;
  const options = { imgref, transport: { signal }, log: silentLogger, signal };
  await assert.rejects(planDelta(repo, plan, { ...options, choice: 'any' }));
  assert.equal(manifests, 2);
  const timeout = AbortSignal.timeout(10_000);
  const open = sockets.filter(({ closed }) => !closed);
  await Promise.all(open.map((socket) => once(socket, 'close', { signal: timeout })));
});
