#!/usr/bin/env bash
# Builds the image that the inputs describe by the program OSTRATA, gives it more tags, and writes
# outputs and the summary of the step. Values reach the program as arguments, never as shell text.
set -euo pipefail

here=$(dirname "${BASH_SOURCE[0]}")
arguments=(build --json)

fail() {
  printf '::error title=ostrata::%s\n' "$1"
  exit 1
}

require_boolean() {
  [[ $2 == true || $2 == false ]] || fail "the input $1 has to be true or false"
}

# Adds an option if it has a value.
add() {
  if [[ -n $2 ]]; then
    arguments+=("$1=$2")
  fi
}

# Prints each line of a text that is not empty, without spaces around it.
lines_of() {
  sed -E 's/^[[:space:]]+//; s/[[:space:]]+$//; /^$/d' <<< "$1"
}

add_each_line() {
  local line
  while IFS= read -r line; do
    add "$1" "$line"
  done < <(lines_of "$2")
}

# The output without its tag, as skopeo names it.
repository_of() {
  local name=${1#registry:}
  name=${name#docker://}
  sed -E 's/[@:][^/]*$//' <<< "docker://$name"
}

check_tags() {
  local tag
  for tag in "${tags[@]}"; do
    [[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || fail "not a tag: $tag"
  done
  if [[ ${#tags[@]} -gt 0 && ! $INPUT_OUTPUT =~ ^(registry:|docker://) ]]; then
    fail 'the input tags needs an output that begins with registry: or docker://'
  fi
}

require_boolean push "$INPUT_PUSH"
require_boolean sudo "$INPUT_SUDO"
read -r -d '' -a tags <<< "$INPUT_TAGS" || true
check_tags

if [[ -d $INPUT_SOURCE ]]; then
  add --rootfs "$INPUT_SOURCE"
else
  add --from "$INPUT_SOURCE"
fi
add_each_line --previous-build "$INPUT_PREVIOUS"
add --max-layers "$INPUT_MAX_LAYERS"
add --profile "$INPUT_PROFILE"
add --format "$INPUT_FORMAT"
add --compression "$INPUT_COMPRESSION"
add_each_line --label "$INPUT_LABELS"
add_each_line --delta-from "$INPUT_DELTA"
while IFS= read -r option; do
  [[ $option == -* ]] || fail "each line of the input options begins with a dash, not: $option"
  arguments+=("$option")
done < <(lines_of "$INPUT_OPTIONS")
if [[ $INPUT_PUSH == false ]]; then
  arguments+=(--dry-run)
fi

as_root=()
if [[ $INPUT_SUDO == true ]]; then
  # Root does not find the credentials of the user, and sudo does not keep the environment.
  as_root=(sudo env "PATH=$PATH")
  for file in "${REGISTRY_AUTH_FILE:-}" "${XDG_RUNTIME_DIR:-}/containers/auth.json" \
    "$HOME/.docker/config.json"; do
    if [[ -f $file ]]; then
      add --authfile "$file"
      break
    fi
  done
fi

result=$RUNNER_TEMP/ostrata-result.json
"${as_root[@]}" "$OSTRATA" "${arguments[@]}" -- "$INPUT_OUTPUT" > "$result"
digest=$(jq -r '.manifestDigest // ""' "$result")

if [[ -n $digest ]]; then
  repository=$(repository_of "$INPUT_OUTPUT")
  for tag in "${tags[@]}"; do
    skopeo copy --quiet --all --preserve-digests "$repository@$digest" "$repository:$tag"
  done
fi

jq -r -f "$here/outputs.jq" "$result" >> "$GITHUB_OUTPUT"
jq -r -f "$here/summary.jq" "$result" >> "$GITHUB_STEP_SUMMARY"
