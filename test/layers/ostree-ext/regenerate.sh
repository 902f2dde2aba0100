#!/bin/bash
# Remakes layers.tar.br: the layers of test/support/odd-commit.ts as the real ostree-ext writes them
# when it exports the image that it has pulled. Needs `npm run build`, skopeo, ostree, and bootc 1.8
# or newer, whose `ostree-ext-cli` is passed by its path. `ostree` itself will do where
# `ostree container` works. Any other program that calls `ostree_ext::cli::run_from_iter` will, too.
set -eu
cli=$(realpath "$(command -v "${1:?usage: regenerate.sh PROGRAM}")")
here=$(dirname "$(realpath "$0")")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cd "$scratch"
cat > build.mjs <<'JS'
const [buildImage, oddCommit] = await Promise.all(
  ['build-image.js', 'odd-commit.js'].map((name) => import(`${process.argv[2]}/${name}`)),
);
const imgref = 'oci:ours:a';
await buildImage.buildImage(oddCommit.writeOddCommit, { imgref, formatVersion: 1 });
JS
node build.mjs "$here/../../../dist/test/support"

mkdir theirs
ostree --repo=repo init --mode=bare-user
"$cli" container image pull repo ostree-unverified-image:oci:ours:a
"$cli" container image reexport --repo=repo oci:ours:a oci:theirs:a

node --input-type=module - "$here/layers.tar.br" <<'JS'
import { readFileSync, writeFileSync } from 'node:fs';
import { brotliCompressSync, constants, gunzipSync } from 'node:zlib';

const blob = ({ digest }) => readFileSync(`theirs/blobs/${digest.replace(':', '/')}`);
const index = JSON.parse(readFileSync('theirs/index.json'));
const { layers } = JSON.parse(blob(index.manifests[0]));
const tars = Buffer.concat(layers.map((layer) => gunzipSync(blob(layer))));
const params = { [constants.BROTLI_PARAM_LGWIN]: 24 };
writeFileSync(process.argv[2], brotliCompressSync(tars, { params }));
JS
