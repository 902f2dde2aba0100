// Puts a blob into an executable of Node, where Node finds it when it starts: in an ELF note
// `NODE_SEA_BLOB`, as https://github.com/nodejs/postject writes it. What the system does not load
// (symbols, debug information, section headers) is left out, a seventh of the file.
//
// The note and a longer table of program headers are appended as a new segment. Linux before 5.18
// finds the table at the address of the first segment plus its offset in the file, so the segment
// begins at that address; between it and the former end of the file are zeros.

const NOTE_NAME = 'NODE_SEA_BLOB\0';
/** What follows it tells Node whether it has a blob. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:';

/** The largest page of the supported processors. */
const PAGE_SIZE = 0x10000;
const PROGRAM_HEADER_SIZE = 56;
const PT_LOAD = 1;
const PT_NOTE = 4;
const PT_PHDR = 6;
const READABLE = 4;

const align = (offset, size) => Math.ceil(offset / size) * size;

/** Returns a copy of an executable of Node for Linux with `blob` in it. */
export function withBlob(node, blob) {
  const headers = readProgramHeaders(node);
  const segments = headers.filter(({ type }) => type === PT_LOAD);
  const base = segments[0].address - segments[0].offset;
  const fileEnd = Math.max(...segments.map(({ offset, fileSize }) => offset + fileSize));
  const memoryEnd = Math.max(...segments.map(({ address, memorySize }) => address + memorySize));
  const start = align(Math.max(fileEnd, memoryEnd - base), PAGE_SIZE);

  const tableSize = (headers.length + 2) * PROGRAM_HEADER_SIZE;
  const note = encodeNote(blob);
  const place = (offset, size) => ({
    offset,
    address: base + offset,
    fileSize: size,
    memorySize: size,
  });
  const table = [
    ...headers.map((header) =>
      header.type === PT_PHDR ? { ...header, ...place(start, tableSize) } : header,
    ),
    {
      type: PT_LOAD,
      flags: READABLE,
      alignment: PAGE_SIZE,
      ...place(start, tableSize + note.length),
    },
    { type: PT_NOTE, flags: READABLE, alignment: 4, ...place(start + tableSize, note.length) },
  ];

  const parts = [Buffer.alloc(start), ...table.map(encodeProgramHeader), note];
  const executable = Buffer.concat(parts);
  node.copy(executable, 0, 0, fileEnd);
  writeElfHeader(executable, start, table.length);
  setFuse(executable);
  return executable;
}

/** Reads the program headers of a little-endian ELF file of 64 bits. */
function readProgramHeaders(elf) {
  if (elf.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') {
    throw new Error('not an executable of Linux for 64 bits');
  }
  const offset = Number(elf.readBigUInt64LE(32));
  const count = elf.readUInt16LE(56);
  return Array.from({ length: count }, (_, index) => {
    const header = elf.subarray(offset + index * PROGRAM_HEADER_SIZE);
    const word = (at) => Number(header.readBigUInt64LE(at));
    return {
      type: header.readUInt32LE(0),
      flags: header.readUInt32LE(4),
      offset: word(8),
      address: word(16),
      fileSize: word(32),
      memorySize: word(40),
      alignment: word(48),
    };
  });
}

function encodeProgramHeader({ type, flags, offset, address, fileSize, memorySize, alignment }) {
  const header = Buffer.alloc(PROGRAM_HEADER_SIZE);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(flags, 4);
  const words = [offset, address, address, fileSize, memorySize, alignment];
  for (const [index, word] of words.entries()) {
    header.writeBigUInt64LE(BigInt(word), 8 + index * 8);
  }
  return header;
}

/** Three numbers, the name and the content, each at a multiple of four bytes. */
function encodeNote(blob) {
  const numbers = Buffer.alloc(12);
  numbers.writeUInt32LE(NOTE_NAME.length, 0);
  numbers.writeUInt32LE(blob.length, 4);
  const name = Buffer.alloc(align(NOTE_NAME.length, 4));
  name.write(NOTE_NAME, 'latin1');
  return Buffer.concat([numbers, name, blob], align(12 + name.length + blob.length, 4));
}

function writeElfHeader(elf, tableOffset, tableCount) {
  elf.writeBigUInt64LE(BigInt(tableOffset), 32);
  elf.writeUInt16LE(tableCount, 56);
  // No section headers: their offset, their number, and which of them holds the names.
  elf.writeBigUInt64LE(0n, 40);
  elf.writeUInt16LE(0, 60);
  elf.writeUInt16LE(0, 62);
}

function setFuse(elf) {
  const at = elf.indexOf(`${FUSE}0`);
  if (at < 0 || elf.indexOf(`${FUSE}0`, at + 1) >= 0) {
    throw new Error('this Node cannot hold a program, or holds one already');
  }
  elf.write('1', at + FUSE.length, 'latin1');
}
