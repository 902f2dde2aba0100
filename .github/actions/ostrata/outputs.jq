# Makes the outputs of the action from what `ostrata build --json` prints. With --all-platforms,
# figures are those of all images together.
def changed_layers: if .update then .update.layers else .layers | length end;
def changed_bytes: if .update then .update.size else .size end;

(.images // [.]) as $images
| ($images | map(changed_bytes)) as $bytes
| "digest=\(.manifestDigest // "")",
  "layers-changed=\($images | map(changed_layers) | add)",
  "bytes-changed=\(if all($bytes[]; . != null) then $bytes | add else "" end)"
