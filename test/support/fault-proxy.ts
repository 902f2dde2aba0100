// Stands between a client and a registry and does to requests what networks and servers do at their worst.
import {
  createServer,
  request as forward,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /**
   * The connection is ended: when the request comes, within its body, or after the registry has done what it asks. (By
   * destroy, not resetAndDestroy: with that, Node 20 sometimes does not end when all is done.)
   */
  | { readonly reset: 'before' | 'after' }
  | { readonly resetInRequest: number }
  /** The answer's body ends after that many bytes: by a reset, by nothing more coming, or endlessly going on. */
  | { readonly cut: number; readonly end: 'reset' | 'stall' | 'endless' }
  /** No answer at all. */
  | { readonly stall: true }
  /** One byte of the request or the answer is another. */
  | { readonly flip: 'request' | 'answer'; readonly at: number }
  /** The answer's headers are others. */
  | { readonly headers: Readonly<Record<string, string>> }
  /** This answer instead of the registry's. */
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    };

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

export interface FaultProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly seen: SeenRequest[];
  /** What to do with a request; undefined: let it pass. */
  fault: (request: SeenRequest) => Fault | undefined;
  stop(): Promise<void>;
}

/** A proxy to the registry at `upstream` (HOST:PORT), without faults at first. */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const one = { method: request.method ?? '', path: request.url ?? '', headers: request.headers };
    seen.push(one);
    handle(request, response, proxy.fault(one)).catch(() => request.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: FaultProxy = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    fault: () => undefined,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return proxy;

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    fault: Fault | undefined,
  ): Promise<void> {
    if (fault && 'reset' in fault && fault.reset === 'before') {
      return void request.socket.destroy();
    }
    if (fault && 'stall' in fault) {
      return;
    }
    if (fault && 'status' in fault) {
      for await (const _ of request) {
      }
      response.writeHead(fault.status, fault.headers);
      return void response.end(fault.body);
    }
    const answer = await pass(request, fault);
    if (fault && 'reset' in fault) {
      return void request.socket.destroy();
    }
    await reply(request, response, answer, fault);
  }

  function pass(request: IncomingMessage, fault: Fault | undefined): Promise<IncomingMessage> {
    const { method, url, headers } = request;
    const [host, port] = upstream.split(':');
    return new Promise((resolve, reject) => {
      // The registry makes locations of the host it sees: they lead back here.
      const out = forward({ host, port, method, path: url, headers, agent: false });
      out.on('response', resolve).on('error', reject);
      let passed = 0;
      request.on('data', (chunk: Buffer) => {
        if (fault && 'flip' in fault && fault.flip === 'request') {
          flip(chunk, fault.at - passed);
        }
        passed += chunk.length;
        if (fault && 'resetInRequest' in fault && passed > fault.resetInRequest) {
          request.socket.destroy();
          return out.destroy();
        }
        return out.write(chunk);
      });
      request.on('end', () => out.end());
      request.on('error', () => out.destroy());
    });
  }

  async function reply(
    request: IncomingMessage,
    response: ServerResponse,
    answer: IncomingMessage,
    fault: Fault | undefined,
  ): Promise<void> {
    const headers = { ...answer.headers, ...(fault && 'headers' in fault && fault.headers) };
    const cut = fault && 'cut' in fault ? fault : undefined;
    if (cut?.end === 'endless') {
      delete headers['content-length'];
    }
    response.writeHead(answer.statusCode ?? 500, headers);
    let passed = 0;
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (fault && 'flip' in fault && fault.flip === 'answer') {
        flip(chunk, fault.at - passed);
      }
      const left = cut ? Math.max(0, cut.cut - passed) : chunk.length;
      passed += chunk.length;
      await new Promise<void>((resolve) =>
        response.write(chunk.subarray(0, left), () => resolve()),
      );
      if (cut === undefined || passed < cut.cut) {
        continue;
      }
      if (cut.end === 'reset') {
        return void request.socket.destroy();
      }
      if (cut.end === 'stall') {
        return;
      }
      // Newer Node calls back at once where the connection is gone, which only the event loop finds out.
      while (!response.destroyed) {
        await new Promise((resolve) => response.write(noise, () => setImmediate(resolve)));
      }
      return;
    }
    response.end();
  }
}

const noise = Buffer.alloc(1 << 16, 'endless ');

function flip(chunk: Buffer, at: number): void {
  if (at >= 0 && at < chunk.length) {
    chunk.writeUInt8((chunk[at] as number) ^ 1, at);
  }
}
