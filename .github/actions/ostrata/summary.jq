# Makes the summary of the action, in Markdown, from what `ostrata build --json` prints.
def MAX_LAYERS: 50;
def MAX_COMPONENTS: 8;

# Text from outside can neither end the code nor the cell of a table that it stands in.
def code: gsub("[`|\\p{Cc}]"; " ") | "`\(.)`";

def size:
  if . == null then "unknown"
  elif . < 1000 then "\(.) B"
  elif . < 1000000 then "\(. / 100 | round / 10) kB"
  elif . < 1000000000 then "\(. / 100000 | round / 10) MB"
  else "\(. / 100000000 | round / 10) GB"
  end;

# Without push, new layers have no size, only their files have.
def download: if .size then ": \(.size | size)" else ", with files of \(.contentSize | size)" end;

def update:
  (.layers | length) as $total
  | if .update.previousBuild then
      "Clients of \(.update.previousBuild | code) download \(.update.layers) of \($total) layers"
      + (.update | download) + if .update.size then " of \(.size | size)." else "." end
    else
      "Clients download all \($total) layers\(download)."
    end;

def names:
  (.[:MAX_COMPONENTS] | map(code) | join(", "))
  + if length > MAX_COMPONENTS then ", and \(length - MAX_COMPONENTS) more" else "" end;

def layers:
  [.layers | to_entries[] | select(.value | .reused or .base | not)]
  | sort_by(-(.value | .size // .contentSize))
  | if length == 0 then empty else
      "",
      "| Layer | \(if .[0].value.size then "Size" else "Size of files" end) | Components |",
      "| ---: | ---: | --- |",
      (.[:MAX_LAYERS][] | [
        .key, (.value | .size // .contentSize | size), (.value.components | names)
      ] | "| \(join(" | ")) |"),
      if length > MAX_LAYERS then "", "\(length - MAX_LAYERS) smaller layers are new." else empty end
    end;

def deltas:
  (.deltas // [])[]
  | select(.isWritten)
  | "",
    "By delta, clients of \(.source | code) download \(.size | size) "
    + "instead of \(.layersSize | size).";

def warnings:
  select(.warnings != null and .warnings != [])
  | "", (.warnings[] | "- Warning: \(code)");

def image: "", update, deltas, layers;

"### \(.reference | code)",
"",
if .manifestDigest then "Digest: \(.manifestDigest | code)" else "No image was written." end,
if .images then .images[] | "", "#### \(.platform | code)", image else image end,
warnings
