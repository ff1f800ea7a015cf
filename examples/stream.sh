#!/bin/sh
# stream.sh   the answer while it is being written
set -eu
# shellcheck source=examples/mount.sh
. "$(dirname "$0")/mount.sh"
cat >"$M/prompts/example-stream.json" <<'JSON'
{"prompt": "one two three four five six seven eight", "extra_body": {"tokens_per_s": 20}, "model": "echo/echo"}
JSON
cat "$M/responses/example-stream/stream"
inferctl status example-stream
rm "$M/prompts/example-stream.json"
