#!/usr/bin/env bats
# cache: use, bypass, refresh, only, in a request and for a whole mount; and what is not stored at all.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

cached() { getfattr --only-values --absolute-names -n user.inferfs.cached "$M/responses/$1"; }
ask_mode() { # NAME MODE
	ask_file "$1" "{\"prompt\":\"hello\"${2:+,\"cache\":\"$2\"}}"
}

@test "bypass neither reads nor stores nor shares" {
	mount_inferfs
	ask_mode first
	answer first
	provider_hold
	ask_mode a bypass
	ask_mode b bypass
	ask_file c '{"prompt":"hello","use_cache":false}'
	provider_waiting hold 3
	provider_release hold
	for name in a b c; do
		is "$(answer $name)" 'echo: hello'
		is "$(cached $name)" false
	done
	is "$(provider_count)" 4
	is "$(stored_objects)" 1
	rm -r "$M"/cache/*
	ask_mode d bypass
	answer d
	is "$(stored_objects)" 0
}

shows_new() { [ "$(cat "$M/responses/b/entry/samples/0/text")" = 'another answer' ]; }
@test "refresh buys anew and replaces" {
	mount_inferfs
	ask_mode a
	answer a
	is "$(cat "$M/responses/a/entry/samples/0/text")" 'echo: hello'
	exec 5<"$M/responses/a/entry/samples/0/text"
	provider_script '[{"text":"another answer"}]'
	ask_mode b refresh
	is "$(answer b)" 'another answer'
	is "$(provider_count)" 2
	is "$(stored_objects)" 1
	until_true 3 shows_new
	# who had the old one keeps it, who asks now gets the new one
	is "$(answer a)" 'echo: hello'
	ask_mode c
	is "$(answer c)" 'another answer'
	is "$(provider_count)" 2
	# an open file keeps its bytes
	is "$(cat <&5)" 'echo: hello'
	exec 5<&-
}

@test "a refresh that fails leaves the old answer in the cache" {
	mount_inferfs
	ask_mode a
	answer a
	provider_script '[{"status":400}]'
	ask_mode b refresh
	is "$("$TOOLS/errnoof" read "$M/responses/b/text" || true)" 'open EINVAL'
	ask_mode c
	is "$(answer c)" 'echo: hello'
	is "$(cached c)" true
	is "$(provider_count)" 2
}

@test "only never sends: ENODATA at open, and the stored answer when there is one" {
	mount_inferfs
	is "$("$TOOLS/errnoof" write "$M/prompts/a.json" '{"prompt":"hello","cache":"only"}')" ok
	is "$("$TOOLS/errnoof" read "$M/responses/a/text" || true)" 'open ENODATA'
	is "$(jq -r .category "$M/responses/a/error.json")" cache
	is "$(provider_count)" 0
	ask_mode b
	answer b
	ask_mode a only
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 1
}

@test "the mount's mode applies where a request names none" {
	mount_inferfs -o cache_mode=only
	ask_mode a
	is "$("$TOOLS/errnoof" read "$M/responses/a/text" || true)" 'open ENODATA'
	ask_mode b use
	is "$(answer b)" 'echo: hello'
	umount_inferfs
	mount_inferfs -o cache_mode=bypass
	ask_mode c
	is "$(answer c)" 'echo: hello'
	is "$(provider_count)" 2
	ask_mode d use
	is "$(cached d)" true
	umount_inferfs
	mount_inferfs -o cache_mode=refresh
	ask_mode e
	is "$(answer e)" 'echo: hello'
	is "$(provider_count)" 3
	is "$(stored_objects)" 1
}

@test "length is stored only when the request itself set max_tokens" {
	provider_script '[{"finish_reason":"length"}]'
	mount_inferfs
	ask_file a '{"prompt":"one"}'
	ask_file b '{"prompt":"two","max_tokens":5}'
	answer a
	answer b
	is "$(stored_objects)" 1
	ask_file c '{"prompt":"one"}'
	ask_file d '{"prompt":"two","max_tokens":5}'
	answer c
	answer d
	is "$(provider_count)" 3
	is "$(cached d)" true
}

@test "an answer that is not stored is handed to everybody who waited for it" {
	provider_script '[{"finish_reason":"content_filter","barrier":"hold"}]'
	mount_inferfs
	ask_file a '{"prompt":"one"}'
	provider_waiting hold
	ask_file b '{"prompt":"one"}'
	provider_release hold
	is "$(answer a)" 'echo: one'
	is "$(answer b)" 'echo: one'
	is "$(provider_count)" 1
	is "$(stored_objects)" 0
	is "$(jq -r '.samples[0].finish_reason' "$M/responses/b/response.json")" content_filter
}

@test "what can change the answer is in the key, what cannot is not" {
	local i=0 more

	mount_inferfs
	ask_file base '{"prompt":"hello"}'
	answer base
	for more in '"request_id":"x"' '"priority":5' '"timeout":60' '"metadata":{"a":"b"}' '"ttl":3600' '"n":1' \
		'"stream":true' '"user":"me"' '"temperature":null'; do
		ask_file "same$((++i))" "{\"prompt\":\"hello\",$more}"
		answer "same$i" >/dev/null
		is "$(provider_count)" 1 "$more"
	done
	provider_extra '"a":1'
	for more in '"temperature":0' '"temperature":1' '"seed":1' '"seed":9007199254740993' '"seed":9007199254740992' \
		'"max_tokens":5' '"stop":"x"' '"model":"p/other"' '"model":"m/small"' '"system":"x"' \
		'"extra_body":{"a":1}' '"extra_body":{"a":1.5}'; do
		ask_file "other$((++i))" "{\"prompt\":\"hello\",$more}"
		answer "other$i" >/dev/null
		is "$(jq '.samples[0].cached' "$M/responses/other$i/response.json")" false "$more"
	done
	is "$(provider_count)" 13
}

@test "two addresses are two keys, unless identity says that they are one server" {
	mount_inferfs
	ask_mode a
	answer a
	umount_inferfs
	OTHER=$PORT
	start_provider
	[ "$PORT" != "$OTHER" ]
	mount_inferfs
	ask_mode b
	is "$(answer b)" 'echo: hello'
	is "$(cached b)" false
	is "$(provider_count)" 1
	umount_inferfs
	mount_inferfs "$(provider_config 'identity = lab')"
	ask_mode c
	answer c
	is "$(provider_count)" 2
	umount_inferfs
	PORT=$OTHER mount_inferfs "$(PORT=$OTHER provider_config 'identity = lab')"
	ask_mode d
	is "$(answer d)" 'echo: hello'
	is "$(cached d)" true
}

@test "a scope makes a cache of one's own in a shared one" {
	mount_inferfs
	ask_mode a
	answer a
	umount_inferfs
	mount_inferfs -o scope=mine
	ask_mode b
	answer b
	is "$(provider_count)" 2
	ask_mode c
	is "$(cached c)" true
}

@test "a ttl ends the time of an entry, not of a response" {
	mount_inferfs
	ask_file a '{"prompt":"hello","ttl":1}'
	answer a
	until_true 10 expired
	is "$(answer a)" 'echo: hello'
}
expired() {
	ask_mode "b$RANDOM"
	[ "$(provider_count)" = 2 ]
}

@test "the engine tmp: keeps answers while it is mounted, leaves nothing behind" {
	mkdir "$W/tmp"
	# shellcheck disable=SC2034
	DAEMON_ENV=(TMPDIR="$W/tmp")
	provider_config >"$W/config.ini"
	daemon_run "$M" -o "config=$W/config.ini,state=$STATE,cache=tmp:,log_file=$LOG"
	ask_mode a
	answer a
	ask_mode b
	is "$(cached b)" true
	is "$(find "$M/cache" -name request.json | wc -l)" 1
	[ -n "$(ls -A "$W/tmp")" ]
	umount_inferfs
	is "$(ls -A "$W/tmp")" ''
	daemon_run "$M" -o "config=$W/config.ini,state=$STATE,cache=tmp:,log_file=$LOG"
	is "$(answer a)" 'echo: hello'
	ask_mode c
	answer c
	is "$(provider_count)" 2
}
