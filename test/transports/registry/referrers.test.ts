// Lists of the artifacts that refer to an image, as registries of all kinds keep them.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { canonicalJson, sha256Digest } from '../../../src/oci/json.js';
import { OCI_INDEX, OCI_MANIFEST } from '../../../src/oci/media-types.js';
import { openImage } from '../../../src/transports/image-reference.js';
import { withServer } from '../../support/fault-bench.js';
import { describeImage, noise } from '../../support/random-images.js';

const TYPE = 'application/vnd.example+delta';
const { manifest } = describeImage([noise('a', 100)]);
const digest = sha256Digest(manifest);
const tag = digest.replace(':', '-');

const entry = (name: string, artifactType: string) => ({
  mediaType: OCI_MANIFEST,
  digest: sha256Digest(Buffer.from(name)),
  size: 3,
  artifactType,
  annotations: { name },
});
const listOf = (...manifests: readonly object[]) =>
  canonicalJson({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
const kept = listOf(entry('delta', TYPE), entry('signature', 'application/vnd.example+sig'));

interface Answer {
  readonly status?: number;
  readonly body?: Uint8Array;
  /** The header `Link`. */
  readonly link?: string;
}

interface Answers {
  /** What the registry responds to a request for the list. */
  readonly referrers: Answer;
  /** What it has with the tag of the list. */
  readonly tagged?: Answer;
  /** More that it has, by the path below the repository. */
  readonly others?: Readonly<Record<string, Answer>>;
}

/** Returns what a registry with these answers lists, and the requests that it saw. */
async function list({ referrers, tagged = { status: 404 }, others = {} }: Answers) {
  const seen: string[] = [];
  const answers = new Map<string, Answer>([
    ['manifests/x', { body: manifest }],
    [`referrers/${digest}?artifactType=${encodeURIComponent(TYPE)}`, referrers],
    [`manifests/${tag}`, tagged],
    ...Object.entries(others),
  ]);
  let names: readonly unknown[] = [];
  await withServer(
    ({ url = '' }, response) => {
      const request = url.replace('/v2/os/x/', '');
      seen.push(request);
      const { status = 200, body = '', link = '' } = answers.get(request) ?? { status: 404 };
      response.writeHead(status, { link }).end(body);
    },
    async (url) => {
      const options = { tlsVerify: false, retries: 0 };
      const image = await openImage(`docker:${url.slice('http:'.length)}/os/x:x`, options);
      try {
        const found = (await image.referrers?.(TYPE)) ?? assert.fail();
        names = found.flatMap(({ annotations }) => Object.values(annotations ?? {}));
      } finally {
        await image.close?.();
      }
    },
  );
  return { names, asksForTag: seen.includes(`manifests/${tag}`) };
}

suite('artifacts that refer to an image', () => {
  test('are those of the wanted type in the list of the registry', async () => {
    const referrers = { body: kept };
    assert.deepEqual(await list({ referrers }), { names: ['delta'], asksForTag: false });
  });

  const page = (at: number) => `referrers/${digest}?page=${at}`;
  const linkTo = (at: number) => `</v2/os/x/${page(at)}>; rel="next"`;

  test('are those of all pages of the list', async () => {
    const referrers = { body: kept, link: linkTo(2) };
    const others = {
      [page(2)]: { body: listOf(), link: `<?page=3>; rel="next"` },
      [page(3)]: { body: listOf(entry('other', TYPE)) },
    };
    const found = await list({ referrers, others });
    assert.deepEqual(found, { names: ['delta', 'other'], asksForTag: false });
  });

  const badPages: readonly [string, Answer, string, RegExp][] = [
    ['is missing', { status: 404 }, 'NOT_FOUND', /HTTP status 404/],
    ['leads back to itself', { body: listOf(), link: linkTo(2) }, 'LIMIT', /on 100 pages/],
    ['has a bad link', { body: listOf(), link: '<//>; rel=next' }, 'CORRUPT', /Link has no URL/],
  ];
  for (const [what, answer, code, message] of badPages) {
    test(`are an error if a page of the list ${what}`, async () => {
      const referrers = { body: kept, link: linkTo(2) };
      await assert.rejects(list({ referrers, others: { [page(2)]: answer } }), { code, message });
    });
  }

  for (const status of [400, 403, 404, 405]) {
    test(`are in the list with a tag if the registry responds with ${status}`, async () => {
      const found = await list({ referrers: { status }, tagged: { body: kept } });
      assert.deepEqual(found, { names: ['delta'], asksForTag: true });
    });
  }

  test('are none if there is no list', async () => {
    const found = await list({ referrers: { status: 404 } });
    assert.deepEqual(found, { names: [], asksForTag: true });
  });

  test('are an error if the registry has one', async () => {
    await assert.rejects(list({ referrers: { status: 500 } }), {
      code: 'IO',
      message: /^artifacts that refer to docker:.*HTTP status 500/,
    });
    const tagged = { status: 403 };
    await assert.rejects(list({ referrers: { status: 403 }, tagged }), { code: 'IO' });
  });

  const malformed = [
    Buffer.from('hello'),
    Buffer.from('[]'),
    manifest,
    listOf({ ...entry('delta', TYPE), digest: 'sha256:1' }),
  ];
  for (const [i, body] of malformed.entries()) {
    test(`are an error if the list is malformed, case ${i}`, async () => {
      await assert.rejects(list({ referrers: { body } }), { code: 'CORRUPT' });
    });
  }
});
