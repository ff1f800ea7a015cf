#!/bin/sh
# cache.sh   what was paid for once is there for good: found by its content, checked, removed
set -eu
# shellcheck source=examples/mount.sh
. "$(dirname "$0")/mount.sh"
ask() {
	echo '{"prompt": "What is a cache?"}' >"$M/prompts/$1.json"
	cat "$M/responses/$1/text"
}
ask example-first
ask example-second # another name, the same question: nothing is bought
grep -o '"cached": *[a-z]*' "$M/responses/example-second/response.json"

# the name of an entry is the SHA-256 of its request
entry=$(readlink -f "$M/responses/example-first/entry")
echo "${entry##*/}  $entry/request.json" | sha256sum -c --quiet && echo "key and request agree"

rm -r "$entry" # evicted; the two responses keep their answer
cat "$M/responses/example-second/text"
rm "$M/prompts/example-first.json" "$M/prompts/example-second.json"
