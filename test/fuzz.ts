/**
 * npm run fuzz [-- CASES [SEED]]: runs both fuzzers, that of images with CASES cases and that of
 * RPM databases, whose cases are faster, with 100 times as many. The case after one of seed N has
 * the seed N + 1, so that `npm run fuzz -- 1 SEED` repeats a case that failed.
 */
import { argv } from 'node:process';
import { fuzzImages } from './image/fuzz.js';
import { fuzz } from './plugins/rpm/rpmdb/fuzz.js';

const DATABASES_PER_IMAGE = 100;

const [cases = 2000, seed = Date.now() % 1_000_000] = argv.slice(2).map(Number);
const report = (done: number) => process.stdout.write(`\r${done}`);

console.log(`${cases} images, seed ${seed}`);
const images = await fuzzImages(cases, seed, report);
const { accepted, pulledOnly, refused } = images;
console.log(`\r${accepted} were accepted by all, ${refused} gave an error`);
console.log(`${pulledOnly} were pulled, and refused by verify for their paths`);

console.log(`${cases * DATABASES_PER_IMAGE} databases and headers, seed ${seed}`);
const databases = await fuzz(cases * DATABASES_PER_IMAGE, seed, report);
const slowest = `the slowest took ${databases.slowest.toFixed(0)} ms`;
console.log(`\r${databases.values} gave a value, ${databases.errors} an error; ${slowest}`);

const peak = process.resourceUsage().maxRSS / 1024;
console.log(`peak memory ${peak.toFixed(0)} MiB`);
