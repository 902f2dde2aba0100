/**
 * Reads the tar of an ostree layer and recomputes the checksum of every object in it: the rules by which clients import
 * (bootc's ostree-ext, `tar/import.rs`). See ostree.ts for the form.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import tar from 'tar-stream';
import { inContextAsync, OstrataError } from '../errors.js';
import { S_IFLNK, S_IFREG } from '../ostree/dirmeta.js';
import { startFileChecksum } from '../ostree/file.js';
import { isChecksum, MAX_METADATA_SIZE } from '../ostree/objects.js';
import { MAX_XATTRS_SIZE } from '../ostree/xattrlist.js';
import { REPO_DIRECTORY } from './ostree.js';

const OBJECTS = `${REPO_DIRECTORY}/objects/`;
const METADATA_KINDS = ['commit', 'commitmeta', 'dirtree', 'dirmeta'];

/** What a layer holds. Content objects are verified and forgotten, metadata objects are kept. */
export interface LayerContents {
  /** Metadata objects by `CHECKSUM.kind`, in the order of the layer. */
  readonly metadata: Map<string, Uint8Array>;
  /** Content objects of regular files and symlinks. */
  readonly files: Set<string>;
  /** Paths in the image and what they are: the content object they are linked to, or how they stand for themselves. */
  readonly paths: Map<string, string | 'directory' | 'empty' | 'copy'>;
}

/** Reads the layer to its end. Throws `CORRUPT` or `LIMIT`, naming the entry and the rule it breaks. */
export async function readOstreeLayer(stream: AsyncIterable<Uint8Array>): Promise<LayerContents> {
  const contents: LayerContents = { metadata: new Map(), files: new Set(), paths: new Map() };
  const reader = new LayerReader(contents);
  const extract = tar.extract();
  const source = Readable.from(stream, { objectMode: false });
  source.on('error', (error) => extract.destroy(error)).pipe(extract as unknown as NodeJS.WritableStream);
  try {
    for await (const entry of extract) {
      const header = entry.header as TarHeader;
      const content = entry as unknown as AsyncIterable<Uint8Array>;
      await inContextAsync(`entry ${JSON.stringify(header.name)}`, () => reader.entry(header, content));
    }
  } catch (error) {
    source.destroy();
    if (error instanceof OstrataError) throw error;
    throw new OstrataError('CORRUPT', (error as Error).message, { cause: error });
  }
  reader.end();
  return contents;
}

/** tar-stream applies PAX records of names and sizes; the others it hands on as text. */
type TarHeader = tar.Header & { readonly pax: Readonly<Record<string, string>> | null };

class LayerReader {
  readonly #contents: LayerContents;
  /** The .file-xattrs-link that was just read; its .file comes next. */
  #xattrs: { readonly checksum: string; readonly bytes: Uint8Array } | undefined;

  constructor(contents: LayerContents) {
    this.#contents = contents;
  }

  async entry(header: TarHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
    const name = header.name.replace(/\/$/, '');
    const isObject = name.startsWith(OBJECTS) && header.type !== 'directory';
    if (this.#xattrs && !(isObject && name.endsWith('.file')))
      throw new OstrataError('CORRUPT', `comes between the xattrs and the content of object ${this.#xattrs.checksum}`);
    if (isObject) return this.#object(name.slice(OBJECTS.length), header, content);
    this.#path(name, header);
    for await (const _ of content);
  }

  end(): void {
    if (this.#xattrs) throw new OstrataError('CORRUPT', `object ${this.#xattrs.checksum} has xattrs and no content`);
  }

  async #object(place: string, header: TarHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
    const [, directory, rest, kind = ''] = /^([0-9a-f]{2})\/([0-9a-f]{62})\.([a-z-]+)$/.exec(place) ?? [];
    const checksum = `${directory}${rest}`;
    if (!isChecksum(checksum)) throw new OstrataError('CORRUPT', 'is not the path of an object');
    if (kind === 'file') return this.#file(checksum, header, content);
    if (kind === 'file-xattrs-link') {
      this.#xattrs = { checksum, bytes: await whole(header, content, MAX_XATTRS_SIZE) };
      return;
    }
    if (!METADATA_KINDS.includes(kind)) throw new OstrataError('CORRUPT', `unknown kind of object: ${kind}`);
    const bytes = await whole(header, content, MAX_METADATA_SIZE);
    const computed = createHash('sha256').update(bytes).digest('hex');
    if (kind !== 'commitmeta' && computed !== checksum)
      throw new OstrataError('CORRUPT', `has the checksum ${computed}`);
    this.#contents.metadata.set(`${checksum}.${kind}`, bytes);
  }

  async #file(checksum: string, header: TarHeader, content: AsyncIterable<Uint8Array>): Promise<void> {
    if (this.#xattrs?.checksum !== checksum) throw new OstrataError('CORRUPT', 'no xattrs precede it');
    if (this.#contents.files.has(checksum)) throw new OstrataError('CORRUPT', 'is there twice');
    if (header.type !== 'file' && header.type !== 'symlink') throw new OstrataError('CORRUPT', `is a ${header.type}`);
    const hash = startFileChecksum({
      uid: Number(header.pax?.uid ?? header.uid),
      gid: Number(header.pax?.gid ?? header.gid),
      mode: header.mode | (header.type === 'file' ? S_IFREG : S_IFLNK),
      size: header.size,
      ...(header.type === 'symlink' && { target: header.linkname }),
      xattrsBytes: this.#xattrs.bytes,
    });
    for await (const chunk of content) hash.update(chunk);
    const computed = hash.digest('hex');
    if (computed !== checksum) throw new OstrataError('CORRUPT', `has the checksum ${computed}`);
    this.#contents.files.add(checksum);
    this.#xattrs = undefined;
  }

  #path(name: string, header: TarHeader): void {
    const { files, paths } = this.#contents;
    if (name.split('/').includes('..') || name.startsWith('/')) throw new OstrataError('CORRUPT', 'leaves the image');
    if (header.type === 'directory') return void paths.set(name, 'directory');
    if (paths.has(name)) throw new OstrataError('CORRUPT', 'is there twice');
    if (header.type !== 'link')
      return void paths.set(name, header.type === 'file' && header.size === 0 ? 'empty' : 'copy');
    const target = header.linkname.startsWith(OBJECTS)
      ? header.linkname
          .slice(OBJECTS.length)
          .replace('/', '')
          .replace(/\.file$/, '')
      : undefined;
    if (target !== undefined && !files.has(target))
      throw new OstrataError('CORRUPT', `is a link to ${header.linkname}, which does not precede it`);
    if (target === undefined && paths.get(header.linkname) !== 'copy')
      throw new OstrataError('CORRUPT', `is a link to ${header.linkname}, which is no object`);
    paths.set(name, target ?? 'copy');
  }
}

async function whole(header: TarHeader, content: AsyncIterable<Uint8Array>, limit: number): Promise<Uint8Array> {
  if (header.type !== 'file') throw new OstrataError('CORRUPT', `is a ${header.type}`);
  if (header.size > limit) throw new OstrataError('LIMIT', `${header.size} bytes, at most ${limit}`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
