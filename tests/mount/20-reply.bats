#!/usr/bin/env bats
# What came back: which files there are at which time, what is in them, and how long one waits for them.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

# in the background; returns when it really waits in the kernel
parked_errnoof() { # OUTPUT ARGUMENT...
	"$TOOLS/errnoof" -t $((50 * SLOW)) "${@:2}" >"$1" 3>&- &
	READER=$!
	until_true 10 sleeps "$READER"
}
sleeps() { [[ $(cat "/proc/$1/stat" 2>/dev/null) == *'(errnoof) S '* ]]; }
names() { ls -A "$M/responses/$1" | tr '\n' ' '; }

@test "text waits in open(2) until the answer is whole, and has its size then" {
	provider_hold_at 2
	mount_inferfs
	ask_file a '{"prompt":"one two three"}'
	parked_errnoof "$W/said" -o "$W/text" read "$M/responses/a/text"
	provider_waiting hold
	is "$("$TOOLS/errnoof" -n open "$M/responses/a/text" || true)" 'open EAGAIN'
	sleeps "$READER"
	is "$(stat -c '%s %Y' "$M/responses/a/text")" '0 0'
	provider_release hold
	wait "$READER"
	is "$(cat "$W/said")" ok
	is "$(cat "$W/text")" 'echo: one two three'
	is "$(stat -c %s "$M/responses/a/text")" 20
	# so what trusts the size sees all of it
	cp "$M/responses/a/text" "$W/copy"
	is "$(wc -c <"$W/copy")" 20
	is "$(python3 -c 'import mmap,sys; f=open(sys.argv[1],"rb"); print(mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ)[:4])' \
		"$M/responses/a/text")" "b'echo'"
}

@test "only what can be read is listed: draft, pending, done, failed, refused" {
	provider_script '[{"match":"held","barrier":"hold"},{"match":"bad","status":400}]'
	mount_inferfs
	: >"$M/prompts/draft.json"
	ask_file pending '{"prompt":"held"}'
	ask_file 'done' '{"prompt":"hello"}'
	ask_file failed '{"prompt":"bad"}'
	ask_file refused '{"prompt":1}' || true
	wait_status 'done' 'done'
	wait_status failed failed
	wait_status pending running
	is "$(names draft)" 'ctl status '
	is "$(names pending)" 'ctl request.json status '
	is "$(names 'done')" 'ctl entry request.json response.json samples status stream text usage.json '
	is "$(names failed)" 'ctl error.json request.json status usage.json '
	is "$(names refused)" 'ctl error.json status '
	is "$(cat "$M"/responses/{draft,pending,done,failed,refused}/status | tr '\n' ' ')" 'draft running done failed failed '
	is "$(cat "$M"/responses/{draft,pending,done,failed,refused}/ctl | tr '\n' ' ')" 'cancel retry '
	# error.json does not exist before a failure, and text is not a file that does not exist
	is "$("$TOOLS/errnoof" read "$M/responses/pending/error.json" || true)" 'open ENOENT'
	is "$("$TOOLS/errnoof" read "$M/responses/nobody/text" || true)" 'open ENOENT'
	provider_release hold
	is "$(answer pending)" 'echo: held'
	is "$(names pending)" "$(names 'done')"
}

@test "response.json, samples/0 and usage.json tell everything, in the same words" {
	mount_inferfs
	ask_file any '{"prompt":"one two three","system":"be brief","request_id":"mine","metadata":{"a":"b"}}'
	answer any >/dev/null
	cd "$M/responses/any"
	is "$(jq -c '[.status,.request_id,.namespace,.backend,.model,.route,.attempts,(.cost_usd|floor),(.saved_usd|floor),.dropped]' \
		response.json)" '["done","mine",null,"p","small","explicit",1,0,0,[]]'
	is "$(jq -c '.samples[0] | [.index,.text,.finish_reason,.cached,.duplicated,.refusal]' response.json)" \
		'[0,"echo: one two three","stop",false,false,null]'
	is "$(jq -c '.usage | [.input_tokens,.output_tokens]' response.json)" '[5,4]'
	is "$(jq -r .key response.json)" "$(sha256sum <request.json | cut -d' ' -f1)"
	like "$(jq -r .created response.json)" '^20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z$'
	is "$(jq -c '[.queue_ms, .first_token_ms, .total_ms] | map(type) | unique' response.json)" '["number"]'
	is "$(jq '.first_token_ms <= .total_ms' response.json)" true
	is "$(jq -c '.samples | length' response.json)" 1
	is "$(ls samples samples/0 | tr '\n' ' ')" 'samples: 0  samples/0: meta.json raw.json response.json text '
	is "$(cat samples/0/text)" 'echo: one two three'
	is "$(jq -c '[.text,.key]' samples/0/response.json)" "$(jq -c '[.samples[0].text,.key]' response.json)"
	is "$(jq -c '[.index,.key,.provider,.model,.finish_reason,.cached,.duplicated]' samples/0/meta.json)" \
		"[0,$(jq .key response.json),\"p\",\"small\",\"stop\",false,false]"
	jq -e '.usage.output_tokens == 4 and (.call.samples == 1) and (.provider_request_id | length > 0)' \
		samples/0/meta.json
	# raw.json: the provider's events as lines of JSON
	is "$(jq -r '.choices[0].delta.content // empty' samples/0/raw.json | tr -d '\n')" 'echo: one two three'
	is "$(jq -c '[.status,.attempts,.usage.output_tokens,(.cost_usd|floor)]' usage.json)" '["done",1,4,0]'
	is "$(jq -c '[.backend,.endpoint,.format,.model,(.messages|map(.role))]' request.json)" \
		'["p","chat",1,"small",["system","user"]]'
	is "$(stat -c %a text status request.json ctl . samples | tr '\n' ' ')" '644 644 644 600 755 755 '
}

@test "entry leads to the cache entry" {
	mount_inferfs
	mkdir "$M/prompts/deep"
	ask_file a '{"prompt":"one"}'
	ask_file deep/b '{"prompt":"two"}'
	answer a
	answer deep/b
	key=$(jq -r .key "$M/responses/a/response.json")
	is "$(readlink "$M/responses/a/entry")" "../../cache/${key:0:2}/$key"
	key=$(jq -r .key "$M/responses/deep/b/response.json")
	is "$(readlink "$M/responses/deep/b/entry")" "../../../cache/${key:0:2}/$key"
	cmp "$M/responses/deep/b/entry/samples/0/text" "$M/responses/deep/b/text"
	cmp "$M/responses/deep/b/entry/request.json" "$M/responses/deep/b/request.json"
}

@test "an answer ends in one newline, an empty one is an empty file, stream and ask deliver the same bytes" {
	provider_script '[{"match":"none","text":""},{"match":"plain","text":"no newline"},
		{"match":"ends","text":"a line\n"},{"match":"two","text":"two\n\n"}]'
	mount_inferfs
	for name in none plain ends two; do
		ask_file $name "{\"prompt\":\"$name\"}"
		cat "$M/responses/$name/stream" >"$W/stream"
		cat "$M/responses/$name/text" >"$W/text"
		cmp "$W/stream" "$W/text"
		cmp "$W/text" "$M/responses/$name/stream"
		"$TOOLS/errnoof" -o "$W/asked" ask "$M/ask" "{\"prompt\":\"$name\"}"
		cmp "$W/asked" "$W/text"
	done
	is "$(stat -c %s "$M"/responses/{none,plain,ends,two}/text | tr '\n' ' ')" '0 11 7 5 '
	is "$(jq -c '.samples[0].text' "$M/responses/plain/response.json")" '"no newline"'
}

@test "reasoning and tool calls have files when the model gave some, and only then" {
	provider_script '[{"match":"think","reasoning":"Let me see.","text":"42"},
		{"match":"call","tool_calls":[{"name":"weather","arguments":{"city":"Bern"}}]}]'
	mount_inferfs "$(provider_config)
[backend l]
type = openai
dialect = llamacpp
url = http://127.0.0.1:$PORT/llamacpp/v1"
	ask_file think '{"prompt":"think","model":"l/small"}'
	ask_file call '{"prompt":"call"}'
	is "$(cat "$M/responses/think/reasoning")" 'Let me see.'
	is "$(answer think)" 42
	is "$(jq -r '.samples[0].reasoning' "$M/responses/think/response.json")" 'Let me see.'
	is "$("$TOOLS/errnoof" read "$M/responses/think/tool_calls.json" || true)" 'open ENOENT'
	is "$(jq -c '.[0].function.name' "$M/responses/call/tool_calls.json")" '"weather"'
	is "$(jq -c '.[0].function.arguments | fromjson' "$M/responses/call/tool_calls.json")" '{"city":"Bern"}'
	is "$(jq -r '.samples[0].finish_reason' "$M/responses/call/response.json")" tool_calls
	is "$("$TOOLS/errnoof" read "$M/responses/call/reasoning" || true)" 'open ENOENT'
	like "$(names think)" 'reasoning'
	like "$(names call)" 'tool_calls.json'
}

@test "a signal ends the waiting with EINTR, not the request" {
	provider_hold
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	provider_waiting hold
	for name in text response.json samples/0/raw.json stream; do
		parked_errnoof "$W/said" read "$M/responses/a/$name"
		kill -USR1 "$READER"
		wait "$READER" || true
		like "$(cat "$W/said")" '^(open|read) EINTR$' "$name"
	done
	parked_errnoof "$W/said" -s write "$M/prompts/b.json" '{"prompt":"other"}'
	provider_waiting hold 2
	kill -USR1 "$READER"
	wait "$READER" || true
	is "$(cat "$W/said")" 'close EINTR'
	parked_errnoof "$W/said" ask "$M/ask" 'third'
	provider_waiting hold 3
	kill -USR1 "$READER"
	wait "$READER" || true
	is "$(cat "$W/said")" 'read EINTR'
	# a reader that is killed is gone at once
	parked_errnoof "$W/said" read "$M/responses/a/text"
	kill -9 "$READER"
	wait_gone "$READER" 2
	provider_release hold
	is "$(answer a)" 'echo: hello'
	is "$(answer b)" 'echo: other'
	is "$(provider_count)" 3
}

@test "O_NONBLOCK gives EAGAIN while it is pending, and the answer afterwards" {
	provider_hold
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	provider_waiting hold
	for name in text response.json samples/0/text reasoning; do
		is "$("$TOOLS/errnoof" -n read "$M/responses/a/$name" || true)" 'open EAGAIN' "$name"
	done
	is "$("$TOOLS/errnoof" -n read "$M/responses/a/stream" || true)" 'read EAGAIN'
	is "$("$TOOLS/errnoof" -n ask "$M/ask" 'hi' || true)" 'read EAGAIN'
	is "$("$TOOLS/errnoof" -n read "$M/responses/a/status")" ok
	provider_release hold
	answer a
	is "$("$TOOLS/errnoof" -n -o "$W/text" read "$M/responses/a/text")" ok
	is "$(cat "$W/text")" 'echo: hello'
}

@test "stat: exact sizes, and the times of the last change; what cannot be read yet has 0 and 0" {
	local before after

	provider_hold
	mount_inferfs
	before=$(date +%s)
	ask_file a '{"prompt":"hello"}'
	provider_waiting hold
	for name in text response.json; do
		is "$(stat -c '%s %Y' "$M/responses/a/$name")" '0 0' "$name"
	done
	wait_status a running
	is "$(stat -c %s "$M/responses/a/status")" 8
	is "$(stat -c %s "$M/responses/a/ctl")" 7
	[ "$(stat -c %Y "$M/responses/a/status")" -ge "$before" ]
	# make takes an answer that is not there for out of date
	touch "$W/older"
	[ "$W/older" -nt "$M/responses/a/text" ]
	provider_release hold
	answer a
	after=$(date +%s)
	for name in text response.json usage.json request.json status samples/0/text; do
		is "$(stat -c %s "$M/responses/a/$name")" "$(wc -c <"$M/responses/a/$name")" "$name"
	done
	for name in text response.json status usage.json; do
		[ "$(stat -c %Y "$M/responses/a/$name")" -ge "$before" ]
		[ "$(stat -c %Y "$M/responses/a/$name")" -le "$after" ]
	done
}

@test "extended attributes say the same as the files, on the directory and on its files" {
	local name

	provider_script '[{"match":"held","barrier":"hold"},{"match":"bad","status":400}]'
	mount_inferfs
	ask_file a '{"prompt":"one two three"}'
	ask_file held '{"prompt":"held"}'
	ask_file bad '{"prompt":"bad"}'
	answer a
	get() { getfattr --only-values --absolute-names -n "user.inferfs.$2" "$M/responses/$1"; }
	for name in a a/text a/status; do
		is "$(get $name status)" 'done'
		is "$(get $name key)" "$(jq -r .key "$M/responses/a/response.json")"
		is "$(get $name request_id)" a
		is "$(get $name model)" small
		is "$(get $name cached)" false
		is "$(get $name duplicated)" false
		is "$(get $name finish_reason)" stop
		is "$(get $name input_tokens)" 3
		is "$(get $name output_tokens)" 4
		is "$(get $name cost_usd)" 0
		is "$(get $name route)" explicit
	done
	run get a namespace
	[ "$status" != 0 ]
	# a hit
	ask_file again '{"prompt":"one two three"}'
	is "$(get again cached)" true
	# not known yet, or never: absent
	wait_status held running
	is "$(getfattr --absolute-names -d "$M/responses/held" | grep -c user.inferfs)" \
		"$(getfattr --absolute-names -d "$M/responses/held" | grep -cE 'status|key|request_id|route|model')"
	is "$(get held status)" running
	wait_status bad failed
	is "$(get bad status)" failed
	run setfattr -n user.x -v 1 "$M/responses/a/text"
	[ "$status" != 0 ]
	run setfattr -n user.inferfs.status -v 1 "$M/responses/a"
	[ "$status" != 0 ]
	provider_release hold
}

@test "responses/ is not for writing: EROFS" {
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	answer a
	is "$("$TOOLS/errnoof" write "$M/responses/new" x || true)" 'open EROFS'
	is "$("$TOOLS/errnoof" write "$M/responses/a/new" x || true)" 'open EROFS'
	is "$("$TOOLS/errnoof" write "$M/responses/a/text" x || true)" 'open EROFS'
	run truncate -s 0 "$M/responses/a/text"
	like "$output" 'Read-only'
	run mkdir "$M/responses/dir"
	like "$output" 'Read-only'
	run chmod 600 "$M/responses/a/text"
	[ "$status" != 0 ]
	run ln -s x "$M/responses/a/link"
	[ "$status" != 0 ]
	run sh -c "echo nonsense > '$M/responses/a/ctl'"
	[ "$status" != 0 ]
	is "$(answer a)" 'echo: hello'
	is "$(cat "$M/prompts/a.json")" '{"prompt":"hello"}'
}

@test "rm -r of a response dismisses it: the prompt stays and is sent again only when it is written again" {
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	ask_file b '{"prompt":"other"}'
	answer a
	answer b
	rm -r "$M/responses/a"
	is "$(ls "$M/responses")" b
	[ ! -e "$M/responses/a" ]
	is "$("$TOOLS/errnoof" read "$M/responses/a/text" || true)" 'open ENOENT'
	is "$(cat "$M/prompts/a.json")" '{"prompt":"hello"}'
	touch "$M/prompts/a.json"
	umount_inferfs
	remount
	[ ! -e "$M/responses/a" ]
	is "$(provider_count)" 2
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	is "$(getfattr --only-values --absolute-names -n user.inferfs.cached "$M/responses/a")" true
	is "$(provider_count)" 2
}

@test "rm -r of a running response cancels the call a second later" {
	provider_hold
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	provider_waiting hold
	rm -r "$M/responses/a"
	[ ! -e "$M/responses/a" ]
	provider_aborted 1
	is "$(stored_objects)" 0
}

@test "rm of a single file only hides it, mv out of a response copies and loses nothing" {
	mount_inferfs
	ask_file a '{"prompt":"hello"}'
	answer a
	mv "$M/responses/a/text" "$W/mine"
	is "$(cat "$W/mine")" 'echo: hello'
	is "$(jq -r '.samples[0].text' "$M/responses/a/response.json")" 'echo: hello'
	is "$(status_of a)" 'done'
	# nothing was forgotten: a later mount shows it, without waiting for the name's return
	umount_inferfs
	remount
	is "$(answer a)" 'echo: hello'
	is "$(provider_count)" 1
}

@test "a completion and a server that reports no usage: null, not 0" {
	provider_script '[{"match":"nousage","usage":null}]'
	mount_inferfs
	ask_file fim '{"prompt":"def f(","endpoint":"completion"}'
	ask_file nousage '{"prompt":"nousage"}'
	is "$(answer fim)" 'echo: def f('
	answer nousage
	like "$(provider_requests '.requests[].path')" '/v1/completions'
	is "$(jq -c '.usage | [.input_tokens,.output_tokens]' "$M/responses/nousage/response.json")" '[null,null]'
}

@test "what ends with length or content_filter says so" {
	provider_script '[{"match":"long","finish_reason":"length"},{"match":"bad","finish_reason":"content_filter"},
		{"match":"odd","finish_reason":"Surprise"}]'
	mount_inferfs
	for name in long bad odd; do
		ask_file $name "{\"prompt\":\"$name\"}"
		is "$(answer $name)" "echo: $name"
	done
	is "$(jq -r '.samples[0].finish_reason' "$M"/responses/{long,bad,odd}/response.json | tr '\n' ' ')" \
		'length content_filter other:surprise '
	# none of these is stored: the next one buys again
	is "$(stored_objects)" 0
	ask_file long2 '{"prompt":"long"}'
	answer long2
	is "$(provider_count)" 4
	# the response itself stays
	umount_inferfs
	remount
	is "$(answer long)" 'echo: long'
	is "$(provider_count)" 4
}
