#!/bin/sh
# ask.sh [QUESTION]   three ways to ask one question
set -eu
# shellcheck source=examples/mount.sh
. "$(dirname "$0")/mount.sh"
question=${1:-Why is the sky blue?}

# a file: it stays, with its answer, until it is removed
printf '%s\n' "$question" >"$M/prompts/example-ask.txt"
cat "$M/responses/example-ask/text"

# a JSON request, for everything that is more than a prompt
printf '{"system": "Be brief.", "temperature": 0, "prompt": "%s"}\n' "$question" >"$M/prompts/example-ask2.json"
cat "$M/responses/example-ask2/text"

# no file at all
inferctl ask "$question"

rm "$M/prompts/example-ask.txt" "$M/prompts/example-ask2.json"
