/** Objects as `ostree commit` (libostree 2022.7) wrote them, named by their checksums. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCommit, encodeCommit, metadataValue } from '../../../src/ostree/objects/commit.js';
import { decodeDirmeta, encodeDirmeta } from '../../../src/ostree/objects/dirmeta.js';
import { decodeDirtree, encodeDirtree } from '../../../src/ostree/objects/dirtree.js';
import {
  decodeFilezHeader,
  decodeHeaderPrefix,
  filezHeaderBytes,
  startFileChecksum,
} from '../../../src/ostree/objects/file.js';
import {
  encodeObjectName,
  METADATA_KINDS,
  OBJECT_KINDS,
  objectPath,
  parseObjectName,
  sha256Hex,
} from '../../../src/ostree/objects/object-name.js';
import {
  decodeXattrs,
  encodeXattrs,
  XattrsInterner,
} from '../../../src/ostree/objects/xattr-list.js';

const COMMIT = {
  checksum: '99f9c0e81ec386af6a3c443999adc79782f51659b2eb001ea245526d7d19a1a4',
  hex:
    '76657273696f6e0031322d6f6c64000073080000000000006f73747265652e6c696e757800000000362e312e302d35302d616d6436340000' +
    '730d0000000000006f73747265652e626f6f7461626c650001006210000000006f73747265652e7265662d62696e64696e6700000000000064' +
    '697374726f2f6f6c64000b00617313123a548064697374726f206f6c640000000000006b0512124a2d6f94c361625cec6f7b1e7e959129961872' +
    'd819a5f7675e50c96c79bfdc8550773817e4519629fb061cb3cfe4ddae0a996c12336d087042481fbeab1a380cb8908f848484',
};
const DIRMETA = {
  checksum: '50773817e4519629fb061cb3cfe4ddae0a996c12336d087042481fbeab1a380c',
  hex: '0000000000000000000041ed73656375726974792e73656c696e75780073797374656d5f753a6f626a6563745f723a726f6f745f743a733000112e',
};
const DIRTREE = {
  checksum: 'b1c8b3ba1afc9a63f4fd8e3402b8abc81d0f3caeeb622d44f5908cc9dce774cc',
  hex:
    '52617700531d016543d2a467442fc1ceec13e4ef9e88694cf59f448c4a19470ba8cbf1f2ba41cbe01c2475fea465969ec79c31afd481d17b8e7da4' +
    'f91c3cbf3dccc7002024044600',
};
const SYMLINK = {
  checksum: '936f751855ebe4210d3fb59d3ffca58c2270dc4d6d89c4507abe40eb530ddd69',
  hex:
    '0000004f00000000000000000000000000000000000000000000a1ff000000007573722f62696e0073656375726974792e73656c696e7578007379' +
    '7374656d5f753a6f626a6563745f723a62696e5f743a733000112d20',
};
const FILE = {
  checksum: 'fa17e5aedc8c03429330ec4dd0c69a02ad89de19b119255b24e16b6e89a7d7e4',
  hex:
    '0000004800000000000000000000001e0000000000000000000081ed000000000073656375726974792e73656c696e75780073797374656d5f753a' +
    '6f626a6563745f723a62696e5f743a733000112d19',
  content: '#!/bin/sh\n\nexec grep -r "$@"\n\n',
};
const selinux = (label: string) =>
  new Map([['security.selinux', new TextEncoder().encode(`${label}\0`)]]);
const bytesOf = (object: { hex: string }) => Buffer.from(object.hex, 'hex');

test('a commit of libostree is decoded, and encoded to the same bytes', () => {
  const bytes = bytesOf(COMMIT);
  assert.equal(sha256Hex(bytes), COMMIT.checksum);
  const commit = decodeCommit(bytes);
  assert.deepEqual(
    { ...commit, metadata: [...commit.metadata.keys()] },
    {
      metadata: ['version', 'ostree.linux', 'ostree.bootable', 'ostree.ref-binding'],
      parent: undefined,
      related: [],
      subject: 'distro old',
      body: '',
      timestamp: 1795494418,
      dirtree: '4a2d6f94c361625cec6f7b1e7e959129961872d819a5f7675e50c96c79bfdc85',
      dirmeta: DIRMETA.checksum,
    },
  );
  assert.equal(metadataValue(commit.metadata, 'version', 's'), '12-old');
  assert.equal(metadataValue(commit.metadata, 'ostree.bootable', 'b'), true);
  assert.deepEqual(metadataValue(commit.metadata, 'ostree.ref-binding', 'as'), ['distro/old']);
  assert.equal(metadataValue(commit.metadata, 'version', 'b'), undefined);
  assert.deepEqual(Buffer.from(encodeCommit(commit)), bytes);
});

test('the parent and related objects of a commit are decoded as they were encoded', () => {
  const commit = {
    ...decodeCommit(bytesOf(COMMIT)),
    parent: 'a'.repeat(64),
    related: [['name', 'b'.repeat(64)] as const],
  };
  assert.deepEqual(decodeCommit(encodeCommit(commit)), commit);
});

test('a dirmeta of libostree is decoded, and encoded to the same bytes', () => {
  const bytes = bytesOf(DIRMETA);
  assert.equal(sha256Hex(bytes), DIRMETA.checksum);
  const dirmeta = decodeDirmeta(bytes);
  assert.deepEqual([dirmeta.uid, dirmeta.gid, dirmeta.mode], [0, 0, 0o40755]);
  assert.equal(
    Buffer.from(dirmeta.xattrs.get('security.selinux') ?? []).toString(),
    'system_u:object_r:root_t:s0\0',
  );
  assert.deepEqual(Buffer.from(encodeDirmeta(dirmeta)), bytes);
});

test('a dirtree of libostree is decoded, and encoded to the same bytes', () => {
  const bytes = bytesOf(DIRTREE);
  assert.equal(sha256Hex(bytes), DIRTREE.checksum);
  const dirtree = decodeDirtree(bytes);
  assert.deepEqual(dirtree, {
    files: [],
    dirs: [
      {
        name: 'Raw',
        dirtree: '531d016543d2a467442fc1ceec13e4ef9e88694cf59f448c4a19470ba8cbf1f2',
        dirmeta: 'ba41cbe01c2475fea465969ec79c31afd481d17b8e7da4f91c3cbf3dccc70020',
      },
    ],
  });
  assert.deepEqual(Buffer.from(encodeDirtree(dirtree)), bytes);
});

test('a symlink of libostree is decoded, and encoded to the same bytes', () => {
  const bytes = bytesOf(SYMLINK);
  assert.equal(decodeHeaderPrefix(bytes.subarray(0, 8)), bytes.length - 8);
  const header = decodeFilezHeader(bytes.subarray(8));
  assert.deepEqual(
    { ...header, xattrsBytes: undefined },
    { uid: 0, gid: 0, mode: 0o120777, size: 0, target: 'usr/bin', xattrsBytes: undefined },
  );
  assert.equal(startFileChecksum(header).digest('hex'), SYMLINK.checksum);
  assert.deepEqual(Buffer.from(filezHeaderBytes(header)), bytes);
});

test('the checksum of a file covers its header and its content', () => {
  const xattrsBytes = encodeXattrs(selinux('system_u:object_r:bin_t:s0'));
  const header = { uid: 0, gid: 0, mode: 0o100755, size: FILE.content.length, xattrsBytes };
  assert.deepEqual(Buffer.from(filezHeaderBytes(header)), bytesOf(FILE));
  assert.deepEqual(decodeFilezHeader(bytesOf(FILE).subarray(8)), {
    ...header,
    xattrsBytes: Buffer.from(xattrsBytes),
  });
  assert.equal(startFileChecksum(header).update(FILE.content).digest('hex'), FILE.checksum);
});

test('owners and sizes above 2^31 are decoded as they were encoded', () => {
  const header = {
    uid: 4294967294,
    gid: 2147483648,
    mode: 0o104755,
    size: 9e9,
    xattrsBytes: new Uint8Array(),
  };
  const bytes = filezHeaderBytes(header);
  assert.deepEqual(decodeFilezHeader(bytes.subarray(8)), header);
});

test('xattrs are sorted by the bytes of their names and may hold any bytes', () => {
  const xattrs = new Map([
    ['user.\u{10000}', Uint8Array.of(0, 255)],
    ['user.\uffff', new Uint8Array()],
    ['security.capability', Uint8Array.of(1, 0, 0, 2)],
  ]);
  const decoded = decodeXattrs(encodeXattrs(xattrs));
  assert.deepEqual([...decoded.keys()], ['security.capability', 'user.\uffff', 'user.\u{10000}']);
  assert.deepEqual(new Map([...decoded].sort()), new Map([...xattrs].sort()));
  assert.equal(encodeXattrs(new Map()).length, 0);
  assert.equal(decodeXattrs(new Uint8Array()).size, 0);
});

test('equal xattrs are interned once, as a copy of the bytes they were read from', () => {
  const interner = new XattrsInterner();
  const input = encodeXattrs(selinux('a'));
  const first = interner.intern(input);
  assert.equal(interner.intern(Uint8Array.from(input)), first);
  input.fill(0xff);
  assert.equal(Buffer.from(first.xattrs.get('security.selinux') ?? []).toString(), 'a\0');
});

test('the path of an object begins with two digits of its checksum', () => {
  assert.equal(objectPath(COMMIT.checksum, 'commit'), `99/${COMMIT.checksum.slice(2)}.commit`);
  assert.throws(() => objectPath('../../etc/passwd', 'commit'), { code: 'CORRUPT' });
  assert.throws(() => objectPath(COMMIT.checksum.toUpperCase(), 'commit'), { code: 'CORRUPT' });
});

test('the name of an object is parsed to its checksum and its kind', () => {
  const { checksum } = COMMIT;
  for (const kind of OBJECT_KINDS) {
    const name = encodeObjectName(checksum, kind);
    assert.deepEqual(parseObjectName(name, OBJECT_KINDS), { checksum, kind });
  }
});

test('a name of another kind than expected, and other text, is refused', () => {
  const { checksum } = COMMIT;
  const names = ['', checksum, `${checksum}.`, `${checksum}.file`, `x${checksum}.commit`];
  for (const name of [...names, `${checksum.toUpperCase()}.commit`, `${checksum}.commit.commit`]) {
    assert.throws(() => parseObjectName(name, METADATA_KINDS), { code: 'CORRUPT' }, name);
  }
});
