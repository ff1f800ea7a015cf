# namespaces/ as a tree: made, listed, used, moved between, removed
load ../lib/helpers

setup() {
	setup_dirs
	mount_inferfs -o "allow_other"
	N=$M/namespaces
}
teardown() { finish_test; }

prompt() { printf '{"prompt":"%s"}' "$2" >"$1.json"; }

@test "mkdir makes one with prompts/, responses/ and usage.json; bad names are EINVAL" {
	is "$(ls "$N")" ""
	mkdir "$N/exp1"
	is "$(ls "$N")" exp1
	is "$(ls "$N/exp1" | tr '\n' ' ')" "prompts responses usage.json "
	[ -d "$STATE/namespaces/exp1/prompts" ]
	for bad in .exp "a b" 'a:b' "$(printf 'x%.0s' {1..129})"; do
		is "$(mkdir "$N/$bad" 2>&1)" "mkdir: cannot create directory '$N/$bad': Invalid argument"
	done
	like "$(mkdir "$N/exp1" 2>&1)" "File exists"
	mkdir -p "$N/exp2/prompts/sub"
	like "$(mkdir "$N/exp1/more" 2>&1)" "Operation not permitted"
	like "$(bash -c 'echo x >"$1"' x "$N/file" 2>&1)" "Read-only file system"
	jq -e . "$N/exp1/usage.json" >/dev/null
	is "$(stat -c %s "$N/exp1/usage.json")" "$(wc -c <"$N/exp1/usage.json")"
	like "$(bash -c 'echo x >"$1"' x "$N/exp1/usage.json" 2>&1)" "Read-only file system"
}

@test "a request inside is answered inside, and only there; entry leads into cache/" {
	mkdir "$N/exp1"
	prompt "$N/exp1/prompts/sky" blue
	is "$(cat "$N/exp1/responses/sky/text")" "You said: blue"
	[ ! -e "$M/responses/sky" ]
	mkdir "$N/exp1/prompts/d"
	prompt "$N/exp1/prompts/d/deep" green
	is "$(cat "$N/exp1/responses/d/deep/text")" "You said: green"
	is "$(cat "$N/exp1/responses/d/deep/entry/samples/0/text")" "You said: green"
	is "$(cat "$N/exp1/responses/sky/entry/samples/0/text")" "You said: blue"
	prompt "$M/prompts/plain" blue
	is "$(cat "$M/responses/plain/entry/samples/0/text")" "You said: blue"
	rm "$N/exp1/prompts/sky.json"
	[ ! -e "$N/exp1/responses/sky" ]
}

@test "it is there again after a remount, and so are its responses" {
	mkdir "$N/exp1"
	prompt "$N/exp1/prompts/sky" blue
	is "$(cat "$N/exp1/responses/sky/text")" "You said: blue"
	umount_inferfs
	remount
	is "$(ls "$N")" exp1
	is "$(cat "$N/exp1/responses/sky/status")" done
	is "$(cat "$N/exp1/responses/sky/text")" "You said: blue"
}

@test "files and directories move between prompts/ and namespaces; the response goes along" {
	mkdir "$N/a" "$N/b"
	prompt "$M/prompts/sky" blue
	is "$(cat "$M/responses/sky/text")" "You said: blue"
	mv "$M/prompts/sky.json" "$N/a/prompts/"
	[ ! -e "$M/responses/sky" ]
	is "$(cat "$N/a/responses/sky/status")" done
	is "$(cat "$N/a/responses/sky/text")" "You said: blue"
	mkdir "$N/a/prompts/d"
	mv "$N/a/prompts/sky.json" "$N/a/prompts/d/"
	mv "$N/a/prompts/d" "$N/b/prompts/e"
	is "$(cat "$N/b/responses/e/sky/status")" done
	is "$(cat "$N/b/responses/e/sky/entry/samples/0/text")" "You said: blue"
	is "$(mv "$N/a" "$N/c" 2>&1)" \
		"mv: cannot move '$N/a' to '$N/c': Operation not permitted"
	is "$(ls "$N" | tr '\n' ' ')" "a b "
}

@test "rm -r exits 0, whatever is in it, and it can be made anew" {
	mkdir "$N/exp1" "$N/exp2"
	mkdir -p "$N/exp1/prompts/d/e"
	for f in a d/b d/e/c; do
		prompt "$N/exp1/prompts/$f" "$f"
	done
	prompt "$N/exp2/prompts/stays" x
	is "$(cat "$N/exp1/responses/d/e/c/text")" "You said: d/e/c"
	: >"$N/exp1/prompts/draft.json"
	echo x >"$N/exp1/prompts/.hidden"
	like "$(rmdir "$N/exp1" 2>&1)" "Directory not empty"
	rm -r "$N/exp1"
	is "$(ls "$N")" exp2
	[ ! -e "$STATE/namespaces/exp1" ]
	is "$(cat "$N/exp2/responses/stays/text")" "You said: x"
	mkdir "$N/exp1"
	is "$(ls "$N/exp1" | tr '\n' ' ')" "prompts responses usage.json "
	is "$(find "$N/exp1/prompts" "$N/exp1/responses" -name '*json*')" ""
	rmdir "$N/exp1"
	rm -r "${N:?}"/*
	is "$(ls "$N")" ""
}

@test "what was removed in responses/ only is dismissed there, and the prompt stays" {
	mkdir "$N/exp1"
	prompt "$N/exp1/prompts/sky" blue
	is "$(cat "$N/exp1/responses/sky/text")" "You said: blue"
	rm -r "$N/exp1/responses/sky"
	[ ! -e "$N/exp1/responses/sky" ]
	[ -e "$N/exp1/prompts/sky.json" ]
}

@test "rm, cp, tar, find, xattrs, locks and df work in it" {
	mkdir "$N/exp1"
	prompt "$N/exp1/prompts/sky" blue
	is "$(cat "$N/exp1/responses/sky/text")" "You said: blue"
	tar -C "$N" -cf "$W/all.tar" exp1
	cp -a "$N/exp1" "$W/copy"
	is "$(cat "$W/copy/responses/sky/text")" "You said: blue"
	is "$(find "$N" -name sky.json | wc -l)" 1
	setfattr -n user.color -v red "$N/exp1/prompts/sky.json"
	is "$(getfattr -n user.color --only-values "$N/exp1/prompts/sky.json")" red
	flock "$N/exp1/prompts/sky.json" true
	is "$(stat -f -c %b "$N/exp1/prompts")" "$(stat -f -c %b "$M/prompts")"
	is "$(stat -f -c %b "$N")" "$(stat -f -c %b "$M/prompts")"
}

@test "a directory put into the state directory is found" {
	mkdir -p "$STATE/namespaces/new/prompts" "$STATE/namespaces/not one"
	echo '{"prompt":"x"}' >"$STATE/namespaces/new/prompts/a.json"
	is "$(ls "$N")" new
	is "$(cat "$N/new/responses/a/status")" draft
}

@test "POSIX cases agree with the disk's file system inside a namespace, too" {
	[ "$(id -u)" = 0 ] || skip "needs root, to act as other users"
	chmod 711 "$TMPDIR" "$W"
	mkdir "$N/exp1"
	mkdir -m 755 "$W/disk"
	"$BUILD/posixcmp" "$N/exp1/prompts" "$W/disk" >"$W/tap" 2>&1 || { grep -v '^ok' "$W/tap"; false; }
	[ "$(grep -c '^ok' "$W/tap")" -ge 300 ]
}
