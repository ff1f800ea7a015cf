#!/bin/sh
# failure.sh   what a script sees when a request fails, and how it asks again
set -eu
# shellcheck source=examples/mount.sh
. "$(dirname "$0")/mount.sh"
prompt=$M/prompts/example-failure.json
response=$M/responses/example-failure

# a bad field is refused by close(2); a shell's echo does not look at that, cp does
tmp=$(mktemp)
echo '{"prompt": "Hello", "temprature": 1}' >"$tmp"
if cp "$tmp" "$prompt"; then
	echo "cp should have failed" >&2
	exit 1
fi
rm "$tmp"
echo "status: $(cat "$response/status")"
grep -o '"message":"[^}]*"' "$response/error.json" || cat "$response/error.json"

# the same file, corrected, is a new request
echo '{"prompt": "Hello", "temperature": 1}' >"$prompt"
if inferctl wait "$prompt"; then
	cat "$response/text"
else
	inferctl retry "$prompt"
fi
rm "$prompt"
