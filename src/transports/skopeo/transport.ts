import type { Transport } from '../transport.js';

export const skopeoTransports: readonly Transport[] = [];
