#!/usr/bin/env bats
# cache/: every answer that was paid for, by the content of its request; removing is evicting.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
	mount_inferfs
	ask_file a '{"prompt":"Why is the sky blue?"}'
	ask_file b '{"prompt":"Why is grass green?"}'
	answer a >/dev/null
	answer b >/dev/null
	KEY=$(jq -r .key "$M/responses/a/response.json")
	ENTRY=$M/cache/${KEY:0:2}/$KEY
}
teardown() { finish_test; }

cached() { getfattr --only-values --absolute-names -n user.inferfs.cached "$M/responses/$1"; }
# bought anew: one more call, and it is in the cache again
bought_anew() { # CALLS
	is "$(provider_count)" 2
	ask_file again '{"prompt":"Why is the sky blue?"}'
	is "$(answer again)" 'echo: Why is the sky blue?'
	is "$(provider_count)" 3
	is "$(cached again)" false
	is "$(cat "$ENTRY/samples/0/text")" 'echo: Why is the sky blue?'
}

@test "the sum of request.json is the entry's directory name, for every entry" {
	local entry n=0

	for entry in "$M"/cache/*/*; do
		is "$(sha256sum <"$entry/request.json" | cut -d' ' -f1)" "${entry##*/}"
		is "$(basename "$(dirname "$entry")")" "$(basename "$entry" | cut -c1-2)"
		is "$(ls "$entry" "$entry/samples/0" | tr '\n' ' ')" \
			"$entry: request.json samples  $entry/samples/0: meta.json raw.json response.json text "
		n=$((n + 1))
	done
	is "$n" 2
	is "$(sha256sum "$M/responses/a/entry/request.json" | cut -d' ' -f1)" "$KEY"
	cmp "$M/responses/a/request.json" "$ENTRY/request.json"
	# no newline at its end: it is the canonical form itself
	is "$(jq -cSj . "$ENTRY/request.json" | sha256sum | cut -d' ' -f1)" "$KEY"
}

@test "an entry has what the response has; looked at there it is not cached but bought" {
	cmp "$ENTRY/samples/0/text" "$M/responses/a/text"
	cmp "$ENTRY/samples/0/raw.json" "$M/responses/a/samples/0/raw.json"
	is "$(jq -c '[.index,.cached,.finish_reason]' "$ENTRY/samples/0/meta.json")" '[0,false,"stop"]'
	is "$(jq -r .text "$ENTRY/samples/0/response.json")" 'echo: Why is the sky blue?'
	is "$(stat -c '%a %s' "$ENTRY/samples/0/text")" "644 27"
}

@test "ls and grep -r find what is there, and only that" {
	is "$(ls "$M/cache" | wc -l)" "$(find "$M/cache" -mindepth 2 -maxdepth 2 -printf '%h\n' | sort -u | wc -l)"
	is "$(find "$M/cache" -mindepth 2 -maxdepth 2 -name "$KEY")" "$ENTRY"
	is "$(grep -rl 'sky blue' "$M/cache" | sort -u | wc -l)" 3
	is "$(find "$M/cache" -name text | wc -l)" 2
	[ ! -e "$M/cache/zz" ]
	[ ! -e "$M/cache/00/$(printf '%064d' 0)" ]
	[ ! -e "$M/cache/${KEY:0:2}/$(printf '%064d' 0)" ]
	[ ! -e "$ENTRY/samples/1" ]
}

@test "the second time nothing is sent: another name, another order of members, another form" {
	ask_file c '{"model":"p/small","messages":[{"content":"Why is the sky blue?","role":"user"}],"stream":false}'
	printf 'Why is the sky blue?\n' >"$M/prompts/d.txt"
	is "$(answer c)" 'echo: Why is the sky blue?'
	is "$(answer d)" 'echo: Why is the sky blue?'
	is "$("$TOOLS/errnoof" -o "$W/e" ask "$M/ask" 'Why is the sky blue?')" ok
	is "$(cached c) $(cached d)" 'true true'
	is "$(provider_count)" 2
	is "$(summary cache_hits)" 3
	is "$(summary cache_hit_rate)" '60.0%'
	is "$(jq -c '.samples[0].cached, .usage.input_tokens, .attempts' "$M/responses/c/response.json" | tr '\n' ' ')" \
		'true 0 0 '
}

@test "rm -r cache/* ends with 0, the responses stay readable, an equal new request is bought anew" {
	rm -r "$M"/cache/*
	is "$(ls "$M/cache")" ''
	is "$(stored_objects)" 0
	is "$(answer a)" 'echo: Why is the sky blue?'
	is "$(cat "$M/responses/b/samples/0/text")" 'echo: Why is grass green?'
	is "$(jq -r .key "$M/responses/a/response.json")" "$KEY"
	# entry points to nothing now
	[ -L "$M/responses/a/entry" ]
	[ ! -e "$M/responses/a/entry" ]
	umount_inferfs
	remount
	is "$(answer a)" 'echo: Why is the sky blue?'
	bought_anew
	[ -e "$M/responses/a/entry" ]
}

@test "rm -r of a shard evicts it" {
	rm -r "$M/cache/${KEY:0:2}"
	[ ! -e "$ENTRY" ]
	is "$(find "$M/cache" -mindepth 2 -maxdepth 2 | wc -l)" 1
	bought_anew
}

@test "rm -r of an entry evicts it" {
	rm -r "$ENTRY"
	[ ! -e "$ENTRY" ]
	is "$(find "$M/cache" -mindepth 2 -maxdepth 2 | wc -l)" 1
	bought_anew
}

@test "rm -r of a sample evicts it" {
	rm -r "$ENTRY/samples/0"
	[ ! -e "$ENTRY/samples/0" ]
	bought_anew
}

@test "everything but removal is EROFS; removing a single file only hides it" {
	is "$("$TOOLS/errnoof" write "$M/cache/new" x || true)" 'open EROFS'
	is "$("$TOOLS/errnoof" write "$ENTRY/request.json" x || true)" 'open EROFS'
	run mkdir "$M/cache/ff00"
	like "$output" 'Read-only'
	run mv "$ENTRY" "$M/cache/other"
	[ "$status" != 0 ]
	run rmdir "$M/cache/${KEY:0:2}"
	like "$output" 'not empty'
	run rmdir "$M/cache"
	[ "$status" != 0 ]
	rm "$ENTRY/samples/0/text"
	is "$(answer a)" 'echo: Why is the sky blue?'
	ask_file again '{"prompt":"Why is the sky blue?"}'
	is "$(cached again)" true
	is "$(provider_count)" 2
}

@test "a damaged object is a miss, is set aside with a warning, and never served" {
	local object

	expect_log 'damaged|set aside|check|object'
	umount_inferfs
	object=$(find "$CACHE" -name "$KEY*" -type f)
	sed -i 's/sky blue/sky grey/' "$object"
	remount
	bought_anew
	is "$(find "$CACHE/damaged" -type f | wc -l)" 1
	is "$(answer a)" 'echo: Why is the sky blue?'
	if grep -rq 'sky grey' "$M"; then return 1; fi
}

@test "a disk store is usable without the mount" {
	umount_inferfs
	is "$(grep -rl 'sky blue' "$CACHE" | wc -l)" 1
	jq -e '.format == 1 and .index == 0 and .key == "'"$KEY"'" and .sample.text == "echo: Why is the sky blue?"' \
		"$CACHE/objects/${KEY:0:2}/${KEY:2:2}/$KEY.0.json"
	# copied by ordinary tools it is another mount's cache
	rsync -a "$CACHE/" "$W/copy/"
	CACHE=$W/copy STATE=$W/state2 mount_inferfs
	ask_file c '{"prompt":"Why is the sky blue?"}'
	is "$(answer c)" 'echo: Why is the sky blue?'
	is "$(provider_count)" 2
}
