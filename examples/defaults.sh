#!/bin/sh
# defaults.sh   one directory, one set of fields: the requests below it say only what differs
set -eu
# shellcheck source=examples/mount.sh
. "$(dirname "$0")/mount.sh"
dir=$M/prompts/example-defaults
mkdir "$dir"
echo '{"system": "Answer in French.", "temperature": 0, "max_tokens": 50}' >"$dir/.defaults.json"
echo 'What is a file?' >"$dir/file.txt"
echo '{"prompt": "What is a directory?", "max_tokens": 500}' >"$dir/directory.json"
inferctl wait "$dir/file.txt" "$dir/directory.json"

# request.json is what was really asked
grep -o '"max_tokens":[0-9]*' "$M/responses/example-defaults/file/request.json"
grep -o '"max_tokens":[0-9]*' "$M/responses/example-defaults/directory/request.json"
rm -r "$dir"
