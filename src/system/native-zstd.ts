/**
 * Compression by the C library of zstd with what only that offers: a prefix, and streams of one
 * frame. All calls compress in other threads.
 */
import { promisify } from 'node:util';
import { OstrataError } from '../errors.js';
import { howToInstall } from './native-addons.js';
import { openZstdLibrary, type ZstdLibrary } from './zstd-library.js';

export interface FrameOptions {
  readonly level: number;
  /** The window, as a power of two. */
  readonly windowLog: number;
  /** Whether long repetitions are found in the whole window; the level alone finds near ones. */
  readonly isLongDistance?: boolean | undefined;
  /** Bytes that matches may refer to; a decompressor needs them too. */
  readonly prefix?: Uint8Array | undefined;
}

/** Compresses one frame, piece by piece. */
export interface FrameStream {
  /** Returns what can be written by then. `bytes` must not change until the promise is settled. */
  write(bytes: Uint8Array): Promise<Uint8Array>;
  /** Returns the end of the frame, and frees the memory of the stream. */
  end(): Promise<Uint8Array>;
  /** Frees the memory of the stream. May be called any number of times. */
  close(): void;
}

export interface NativeZstd {
  /** Returns one frame that holds `content`. */
  compress(content: Uint8Array, options: FrameOptions): Promise<Uint8Array>;
  /** Begins one frame. */
  stream(options: FrameOptions): FrameStream;
}

/** Values of the enumeration `ZSTD_cParameter`. */
const LEVEL = 100;
const WINDOW_LOG = 101;
const ENABLE_LONG_DISTANCE_MATCHING = 160;

/** Values of the enumeration `ZSTD_EndDirective`. */
const CONTINUE = 0;
const END = 2;

/** Bytes of a `size_t`. */
const WORD_SIZE = 8;
const OUTPUT_SIZE = 1 << 17;

/**
 * Returns the library, or throws `UNSUPPORTED` except on Linux with glibc and with the optional
 * packages koffi and @cloudpss/zstd.
 * @param purpose what the library is needed for, in a gerund: the beginning of the message
 */
export function loadNativeZstd(purpose: string): NativeZstd {
  const library = openZstdLibrary();
  if (library === undefined) {
    throw new OstrataError(
      'UNSUPPORTED',
      `${purpose} needs Linux with glibc and the optional packages koffi and @cloudpss/zstd: ` +
        howToInstall('koffi', '@cloudpss/zstd@0.2.16'),
    );
  }
  const functions = declareFunctions(library);
  return {
    compress: (content, options) => compress(functions, content, options),
    stream: (options) => new NativeFrameStream(functions, options),
  };
}

/** A `ZSTD_CCtx` of the library. */
type NativeContext = unknown;

type Functions = ReturnType<typeof declareFunctions>;

function declareFunctions(library: ZstdLibrary) {
  const create = library.func('void *ZSTD_createCCtx()');
  const free = library.func('size_t ZSTD_freeCCtx(void *context)');
  const setParameter = library.func(
    'size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)',
  );
  const refPrefix = library.func(
    'size_t ZSTD_CCtx_refPrefix(void *context, const void *prefix, size_t size)',
  );
  const bound = library.func('size_t ZSTD_compressBound(size_t size)');
  const compress2 = library.func(
    'size_t ZSTD_compress2(' +
      'void *context, void *output, size_t capacity, const void *input, size_t size)',
  );
  const compressStream = library.func(
    'size_t ZSTD_compressStream2_simpleArgs(' +
      'void *context, void *output, size_t capacity, void *outputAt, ' +
      'const void *input, size_t size, void *inputAt, int directive)',
  );
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');

  /** Returns what a function returned. Error codes are far above any size. */
  const checked = (result: number | bigint): number => {
    if (result > Number.MAX_SAFE_INTEGER) {
      throw new OstrataError('IO', `zstd: ${errorName(result)}`);
    }
    return Number(result);
  };
  return {
    create: (): NativeContext => create(),
    free: (context: NativeContext) => free(context),
    set: (context: NativeContext, parameter: number, value: number) =>
      checked(setParameter(context, parameter, value)),
    refPrefix: (context: NativeContext, prefix: Uint8Array) =>
      checked(refPrefix(context, prefix, prefix.length)),
    bound: (size: number) => checked(bound(size)),
    compress: promisify(compress2.async),
    compressStream: promisify(compressStream.async),
    checked,
  };
}

function createContext(functions: Functions, options: FrameOptions): NativeContext {
  const { level, windowLog, isLongDistance = false, prefix } = options;
  const context = functions.create();
  try {
    functions.set(context, LEVEL, level);
    functions.set(context, WINDOW_LOG, windowLog);
    if (isLongDistance) {
      functions.set(context, ENABLE_LONG_DISTANCE_MATCHING, 1);
    }
    if (prefix !== undefined) {
      functions.refPrefix(context, prefix);
    }
    return context;
  } catch (error) {
    functions.free(context);
    throw error;
  }
}

/** What other threads read and write: the garbage collector must not free it meanwhile. */
const inUse = new Set<readonly (Uint8Array | undefined)[]>();

async function compress(
  functions: Functions,
  content: Uint8Array,
  options: FrameOptions,
): Promise<Uint8Array> {
  const output = Buffer.allocUnsafeSlow(functions.bound(content.length));
  const memory = [content, options.prefix, output];
  const context = createContext(functions, options);
  inUse.add(memory);
  try {
    const result = await functions.compress(
      context,
      output,
      output.length,
      content,
      content.length,
    );
    const size = functions.checked(result);
    return Buffer.from(output.subarray(0, size));
  } finally {
    functions.free(context);
    inUse.delete(memory);
  }
}

class NativeFrameStream implements FrameStream {
  readonly #functions: Functions;
  readonly #context: NativeContext;
  readonly #output = Buffer.allocUnsafeSlow(OUTPUT_SIZE);
  readonly #outputAt = Buffer.alloc(WORD_SIZE);
  readonly #inputAt = Buffer.alloc(WORD_SIZE);
  #isClosed = false;

  constructor(functions: Functions, options: FrameOptions) {
    this.#functions = functions;
    this.#context = createContext(functions, options);
  }

  write(bytes: Uint8Array): Promise<Uint8Array> {
    const isTaken = () => Number(this.#inputAt.readBigUInt64LE()) === bytes.length;
    return this.#run(bytes, CONTINUE, isTaken);
  }

  async end(): Promise<Uint8Array> {
    const end = await this.#run(new Uint8Array(), END, (left) => left === 0);
    this.close();
    return end;
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#functions.free(this.#context);
    }
  }

  /** @param isDone gets how many bytes the library still has to write */
  async #run(
    input: Uint8Array,
    directive: number,
    isDone: (left: number) => boolean,
  ): Promise<Uint8Array> {
    const outputs: Uint8Array[] = [];
    this.#inputAt.writeBigUInt64LE(0n);
    for (;;) {
      this.#outputAt.writeBigUInt64LE(0n);
      const result = await this.#functions.compressStream(
        this.#context,
        this.#output,
        this.#output.length,
        this.#outputAt,
        input,
        input.length,
        this.#inputAt,
        directive,
      );
      const left = this.#functions.checked(result);
      const written = Number(this.#outputAt.readBigUInt64LE());
      outputs.push(Buffer.from(this.#output.subarray(0, written)));
      if (isDone(left)) {
        return Buffer.concat(outputs);
      }
    }
  }
}
