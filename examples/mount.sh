# shellcheck shell=sh
# mount.sh   sourced by the examples: $M is a mount, $INFERFS_MOUNT if that is set, else one of the echo model in a
# temporary directory that goes away at the end
PATH=$PATH:$(dirname "$0")/../build
if [ -n "${INFERFS_MOUNT:-}" ]; then
	M=$INFERFS_MOUNT
else
	example_tmp=$(mktemp -d)
	M=$example_tmp/llm
	mkdir "$M"
	example_end() {
		cd /
		fusermount3 -u "$M" 2>/dev/null || fusermount3 -u -z "$M" 2>/dev/null
		mountpoint -q "$M" || rm -rf --one-file-system "$example_tmp"
	}
	trap example_end EXIT
	trap 'exit 1' INT TERM
	inferfs "$M" -o "model=echo/echo,state=$example_tmp/state,cache=disk:$example_tmp/cache" || exit 1
fi
export INFERFS_MOUNT="$M"
