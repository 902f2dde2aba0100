/** An HTTP proxy between a client and a registry that injects faults of networks and servers. */
import {
  createServer,
  request as forward,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /**
   * The connection ends when the request comes, or after the registry has handled it. The proxy
   * uses destroy, because after resetAndDestroy a process of Node 20 sometimes does not end.
   */
  | { readonly reset: 'before' | 'after' }
  /** The connection ends after that many bytes of the request's body. */
  | { readonly resetInRequest: number }
  /** After that many bytes of its body, the answer is reset, stalls, or goes on endlessly. */
  | { readonly cut: number; readonly end: 'reset' | 'stall' | 'endless' }
  /** The request is never answered. */
  | { readonly stall: true }
  /** One bit of the byte at `at` in the body is flipped. */
  | { readonly flip: 'request' | 'answer'; readonly at: number }
  /** These headers replace those of the answer. */
  | { readonly headers: Readonly<Record<string, string>> }
  /** This answer is sent, and the registry does not see the request. */
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
  /** Returns the fault for a request; undefined lets it pass. */
  fault: (request: SeenRequest) => Fault | undefined;
  stop(): Promise<void>;
}

/** Starts a proxy to the registry at `upstream` (HOST:PORT), which injects no faults at first. */
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
      // The host header stays: the registry makes locations of it, which lead back to the proxy.
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
}

/** Sends the registry's answer on, with the fault that is to happen to it. */
async function reply(
  request: IncomingMessage,
  response: ServerResponse,
  answer: IncomingMessage,
  fault: Fault | undefined,
): Promise<void> {
  if (fault && 'cut' in fault) {
    return replyCut(request, response, answer, fault);
  }

  const changes = fault && 'headers' in fault ? fault.headers : {};
  response.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...changes });
  let passed = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (fault && 'flip' in fault && fault.flip === 'answer') {
      flip(chunk, fault.at - passed);
    }
    passed += chunk.length;
    await write(response, chunk);
  }
  response.end();
}

/** Sends the first bytes of an answer's body, then resets, stalls or goes on endlessly. */
async function replyCut(
  request: IncomingMessage,
  response: ServerResponse,
  answer: IncomingMessage,
  { cut, end }: { readonly cut: number; readonly end: 'reset' | 'stall' | 'endless' },
): Promise<void> {
  const headers = { ...answer.headers };
  if (end === 'endless') {
    delete headers['content-length'];
  }
  response.writeHead(answer.statusCode ?? 500, headers);

  let passed = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    await write(response, chunk.subarray(0, Math.max(0, cut - passed)));
    passed += chunk.length;
    if (passed >= cut) {
      return endBadly(request, response, end);
    }
  }
  response.end();
}

async function endBadly(
  request: IncomingMessage,
  response: ServerResponse,
  end: 'reset' | 'stall' | 'endless',
): Promise<void> {
  if (end === 'reset') {
    request.socket.destroy();
  }
  while (end === 'endless' && !response.destroyed) {
    // Newer Node calls back at once when the connection is gone, which only the event loop notices.
    await new Promise((resolve) => response.write(noise, () => setImmediate(resolve)));
  }
}

function write(response: ServerResponse, chunk: Buffer): Promise<void> {
  return new Promise((resolve) => {
    response.write(chunk, () => resolve());
  });
}

const noise = Buffer.alloc(1 << 16, 'endless ');

function flip(chunk: Buffer, at: number): void {
  if (at >= 0 && at < chunk.length) {
    chunk.writeUInt8((chunk[at] as number) ^ 1, at);
  }
}
