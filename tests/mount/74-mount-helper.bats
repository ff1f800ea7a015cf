#!/usr/bin/env bats
# mount(8) and fstab: mount-helpers/mount.inferfs
load ../lib/helpers

setup() {
	setup_dirs
	HELPER=$TOP/mount-helpers/mount.inferfs
	OPTIONS=model=echo/echo,state=$STATE,cache=disk:$CACHE,log_file=$LOG
}
teardown() { finish_test; }

helper() { PATH=$BUILD:$PATH timeout $((20 * SLOW)) "$HELPER" "$@" 3>&- </dev/null; }

@test "called as mount(8) calls it, it mounts and takes out what is mount(8)'s own" {
	helper none "$M" -o "rw,nosuid,noauto,nofail,_netdev,x-systemd.automount,comment=x,$OPTIONS"
	mounted
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'You said: hello'
	is "$(awk -v m="$M" '$2 == m { print $3 }' /proc/mounts)" fuse.inferfs
	umount "$M"
	until_true 5 nobody_left
}
nobody_left() { [ -z "$(daemon_pids)" ]; }

@test "a configuration file is the source" {
	printf '[inferfs]\nmodel = echo/echo\nstate = x\n' >"$W/bad.ini"
	run helper "$W/bad.ini" "$M" -o "state=$STATE,cache=disk:$CACHE,log_file=$LOG"
	[ "$status" != 0 ]
	like "$output" 'bad.ini:3'
	printf '[inferfs]\nmodel = echo/echo\n' >"$W/good.ini"
	helper "$W/good.ini" "$M" -o "state=$STATE,cache=disk:$CACHE,log_file=$LOG"
	mounted
}

@test "a comma behind a backslash belongs to the value" {
	mkdir "$W/a,b"
	helper none "$M" -o "model=echo/echo,state=$W/a\\,b/state,cache=disk:$CACHE,log_file=$LOG,noauto"
	[ -d "$W/a,b/state/prompts" ]
	mounted
}

@test "-f is a rehearsal, -v says what is run, wrong usage exits 1" {
	run helper none "$M" -f -v -o "$OPTIONS,setuid=root"
	is "$status" 0
	like "$output" 'runuser -u root .*inferfs none '
	if mounted; then return 1; fi
	run helper none
	is "$status" 1
	like "$output" usage
}

# in a mount namespace of its own the helper can stand where mount(8) looks for it
@test "mount -t inferfs none DIRECTORY, and umount" {
	local lower=$W/sbin rc=0

	[ "$(id -u)" = 0 ] || skip "needs root"
	mkdir "$lower" "$W/bin"
	cp "$HELPER" "$lower/"
	ln -s "$INFERFS" "$W/bin/inferfs"
	cat >"$W/inside" <<-SH
		set -e
		mount -t overlay overlay -o "lowerdir=$lower:/usr/sbin" /usr/sbin || exit 99
		mount -t overlay overlay -o "lowerdir=$W/bin:/usr/local/bin" /usr/local/bin || exit 99
		mount -t inferfs none "$M" -o "$OPTIONS,noauto,nofail"
		echo '{"prompt":"hello"}' >"$M/prompts/a.json"
		cat "$M/responses/a/text"
		umount "$M"
	SH
	timeout $((30 * SLOW)) unshare -m sh "$W/inside" >"$W/out" 2>&1 3>&- </dev/null || rc=$?
	[ $rc != 99 ] || skip "no overlay file system here"
	is "$(cat "$W/out")" 'You said: hello'
	is $rc 0
}
