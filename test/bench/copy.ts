// node copy.js FROM TO: copies an image with this project's transports, byte for byte, without TLS.
import { createImage, openImage } from '../../src/transports/image-reference.js';
import { copyImage } from '../support/copy-blobs.js';

const [from = '', to = ''] = process.argv.slice(2);
const options = { tlsVerify: false };
await copyImage(await openImage(from, options), await createImage(to, options));
