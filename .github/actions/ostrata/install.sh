#!/usr/bin/env bash
# Finds the program for build.sh and writes its path to the output `program`: the one that
# INPUT_PROGRAM names, else the release of this version, if checksums.txt has its checksum, else
# the sources around this folder, compiled by the runner's Node.
set -euo pipefail

fail() {
  printf '::error title=ostrata::%s\n' "$1"
  exit 1
}

processor() {
  case "$(uname -m)" in
    x86_64) echo x64 ;;
    aarch64 | arm64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# Downloads a program of a release to a file; nobody runs it before its checksum is verified.
download() {
  local version=$1 name=$2 checksum=$3 file=$4
  local repository=${ACTION_REPOSITORY:-$GITHUB_REPOSITORY}
  local url="${GITHUB_SERVER_URL:-https://github.com}/$repository/releases/download/v$version/$name"
  # Gives up on a server that does not answer, and on a transfer that stalls for a minute.
  curl --fail --silent --show-error --location --connect-timeout 30 --speed-time 60 \
    --speed-limit 1000 --retry 3 --output "$file" "$url" || fail "cannot download $url"
  if ! printf '%s  %s\n' "$checksum" "$file" | sha256sum --check --status; then
    rm -f "$file"
    fail "$url does not have the SHA-256 $checksum of checksums.txt"
  fi
  chmod +x "$file"
}

# Writes a program that runs the sources.
compile() {
  local sources=$1 file=$2
  command -v node > /dev/null ||
    fail 'this version of ostrata has no release for this machine, and to compile it Node is needed'
  node "$sources/.ci/prepare.mjs" || fail 'cannot compile ostrata: see the lines above'
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' \
    "$(command -v node)" "$sources/dist/src/cli/main.js" > "$file"
  chmod +x "$file"
}

command -v jq > /dev/null || fail 'this action needs jq'
program=$INPUT_PROGRAM
if [[ -z $program ]]; then
  program=$RUNNER_TEMP/ostrata
  sources=$(cd "$GITHUB_ACTION_PATH/../../.." && pwd)
  version=$(jq -r .version "$sources/package.json")
  name=ostrata-$version-linux-$(processor)
  checksum=$(awk -v name="$name" '$2 == name { print $1 }' "$GITHUB_ACTION_PATH/checksums.txt")
  if [[ -n $checksum ]]; then
    download "$version" "$name" "$checksum" "$program"
  else
    compile "$sources" "$program"
  fi
fi
"$program" --version || fail "cannot run $program"
printf 'program=%s\n' "$program" >> "$GITHUB_OUTPUT"
