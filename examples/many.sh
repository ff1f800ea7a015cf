#!/bin/sh
# many.sh [FILE]   one request for each line of FILE, all at once; then a table of question and answer
set -eu
# shellcheck source=examples/mount.sh
. "$(dirname "$0")/mount.sh"
dir=$M/prompts/example-many
mkdir "$dir"
n=0
while IFS= read -r line; do
	n=$((n + 1))
	printf '%s\n' "$line" >"$dir/$n.txt"
done <"${1:-/dev/stdin}"

# nothing has waited so far: the requests run side by side, and opening `text` waits for each
i=0
while [ $i -lt $n ]; do
	i=$((i + 1))
	printf '%s\t%s\n' "$(cat "$dir/$i.txt")" "$(cat "$M/responses/example-many/$i/text")"
done
rm -r "$dir"
