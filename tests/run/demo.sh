#!/usr/bin/env bash
# demo.sh   the whole idea in a minute: mount a model that needs no key and no network, ask it, look at the files
set -u
cd "$(dirname "$0")/../.." || exit 1

refuse() {
	echo "demo: $1" >&2
	exit 1
}

[ -c /dev/fuse ] || refuse "this machine has no /dev/fuse, so nothing can be mounted (a container needs --device /dev/fuse --cap-add SYS_ADMIN)."
if ! { [ -r /dev/fuse ] && [ -w /dev/fuse ]; }; then
	refuse "you may not open /dev/fuse, so nothing can be mounted."
fi
tests/run/deps.sh install build run || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL
mkdir -p build/logs
echo "building (build/logs/demo.log)"
make -j"$(nproc)" all >build/logs/demo.log 2>&1 || refuse "the build failed; build/logs/demo.log says why."

tmp=$(mktemp -d)
mnt=$tmp/llm
mkdir "$mnt"
finish() {
	cd / || return
	fusermount3 -u "$mnt" 2>/dev/null || fusermount3 -uz "$mnt" 2>/dev/null
	# removing needs the mount gone: never walk into it
	mountpoint -q "$mnt" || rm -rf --one-file-system "$tmp"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() { printf '\n$ %s\n' "$1"; }

say "inferfs llm -o model=echo/echo"
timeout 30 build/inferfs "$mnt" -o "model=echo/echo,state=$tmp/state,cache=disk:$tmp/cache" ||
	refuse "inferfs could not mount (its reason stands above)."
cd "$tmp" || exit 1
fail=0
run() { # COMMAND: print it, run it
	say "$1"
	timeout 30 bash -c "$1" || fail=1
}
# shellcheck disable=SC2016  # the commands are printed as a user would type them
{
	run 'echo '\''{"prompt":"Why is the sky blue?"}'\'' > llm/prompts/sky.json'
	run 'cat llm/responses/sky/text'
	run 'find llm | sort | head -n 60'
	run 'readlink llm/responses/sky/entry; cd -P llm/responses/sky/entry && sha256sum request.json'
}
key=$(basename "$(readlink llm/responses/sky/entry)")
sum=$(sha256sum llm/responses/sky/entry/request.json | cut -d' ' -f1)
[ -n "$key" ] && [ "$key" = "$sum" ] || fail=1
cd / || exit 1
say "fusermount3 -u llm"
[ $fail = 0 ] || refuse "something above did not work."
echo "That is all there is to it; README.md has the rest."
