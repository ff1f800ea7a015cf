#!/usr/bin/env bats
# Every row of the errno table, by a real cause at the server, in every way in which a user may meet it.
load ../lib/helpers
load ../lib/failures

setup() {
	setup_dirs
	start_failing_servers
}
teardown() { finish_test; }

begin() { # DIALECT [-o OPTIONS]
	local d=$1

	shift
	provider_script "$(failure_script "$d")"
	mount_inferfs "$@" "$(failure_config "$d")"
}

explained() { # ROWS-FUNCTION: status and error.json of every row
	local name word

	while IFS='|' read -r name _; do
		read -r word <"$M/responses/$name/status"
		[ "$word" = failed ] || echo "$name: status is $word"
	done < <($1)
	error_complaints "$1" "$M/responses/@/error.json"
}

http_status_told() { # the rows that have one by their name
	local -a files

	mapfile -t files < <(failure_rows | sed -n "s,^\(r[0-9]\{3\}\)|.*,$M/responses/\1/error.json,p")
	[ ${#files[@]} -gt 10 ] || echo "only ${#files[@]} rows"
	jq -r 'select((input_filename | capture("/r(?<s>[0-9]+)/error").s) != "\(.http_status)") |
		"\(input_filename) has http_status \(.http_status)"' "${files[@]}"
}

all_by_files() { # DIALECT
	begin "$1"
	failure_run "$1" open failure_rows
	# the request is accepted, the answer fails
	is "$(failure_compare failure_rows 'ok open:')" ''
	is "$(explained failure_rows)" ''
	is "$(http_status_told)" ''
	is "$(calls_complaint "$1" failure_rows)" ''
	is "$(stored_objects)" 0 "errors in the cache"
	is "$(ls "$M/cache")" ''
	# where the provider said something, its sentence is there, and the number of attempts
	like "$(jq -r .provider_message "$M/responses/context/error.json")" 'maximum context length'
	is "$(jq .attempts "$M/responses/r500/error.json")" 3
	is "$(jq .attempts "$M/responses/refused/error.json")" 3
	is "$(jq -r .backend "$M/responses/r500/error.json")" "$1"
}

refused_by_files() { # DIALECT
	begin "$1"
	failure_run "$1" open refusal_rows
	is "$(failure_compare refusal_rows 'close: open:')" ''
	is "$(explained refusal_rows)" ''
	is "$(provider_count)" 0
	# a field's name helps
	is "$(jq -r .field "$M/responses/topk/error.json")" top_k
	is "$(jq -r .field "$M/responses/illtyped/error.json")" temperature
	like "$(jq -r .message "$M/responses/unknownfield/error.json")" 'temperature'
	like "$(jq -r .message "$M/responses/nokey/error.json")" 'NO_SUCH_VARIABLE'
	# the bytes stay as they were written
	like "$(cat "$M/prompts/topk.json")" 'topk-open'
}

@test "openai: cat of the answer fails with the errno of what happened, error.json explains, nothing is cached" {
	all_by_files p
}

@test "mistral: cat of the answer fails with the errno of what happened, error.json explains, nothing is cached" {
	all_by_files m
}

@test "openai: what is known before sending fails close(2), and nothing is sent" {
	refused_by_files p
}

@test "mistral: what is known before sending fails close(2), and nothing is sent" {
	refused_by_files m
}

by_way() { # DIALECT WAY FAILURES REFUSALS [-o OPTIONS]: without retries, so that each attempt's own errno is seen
	local d=$1 way=$2

	# shellcheck disable=SC2034
	RETRIES=0
	begin "$d" "${@:5}"
	failure_run "$d" "$way" failure_rows
	is "$(failure_compare failure_rows "$3")" ''
	rm -f "$W"/said.*
	failure_run "$d" "$way" refusal_rows
	is "$(failure_compare refusal_rows "$4")" ''
	is "$(stored_objects)" 0 "errors in the cache"
}

@test "openai: reading stream ends with the same errno, never with a silent end" {
	by_way p stream 'ok read:' 'close: read:'
}

@test "mistral: reading stream ends with the same errno, never with a silent end" {
	by_way m stream 'ok read:' 'close: read:'
}

asked() { # DIALECT: read(2) fails, the read after it gives error.json
	by_way "$1" ask 'read:' 'read:'
	is "$(error_complaints failure_rows "$W/error.@")" ''
	is "$(error_complaints refusal_rows "$W/error.@")" ''
	is "$(find "$M/prompts" "$M/responses" -mindepth 1)" ''
}

@test "openai: ask fails at read(2) with the same errno, and the next read is error.json" {
	asked p
}

@test "mistral: ask fails at read(2) with the same errno, and the next read is error.json" {
	asked m
}

@test "openai: a prompt written with O_SYNC gets the errno from close(2)" {
	by_way p sync 'close:' 'close:'
}

@test "mistral: a prompt written with O_SYNC gets the errno from close(2)" {
	by_way m sync 'close:' 'close:'
}

@test "openai: on a mount with -o wait close(2) of a .json prompt gives the errno" {
	by_way p wait 'close:' 'close:' -o wait
}

@test "mistral: on a mount with -o wait close(2) of a .json prompt gives the errno" {
	by_way m wait 'close:' 'close:' -o wait
}

@test "a server that wants another key: EKEYREJECTED, and no key is written anywhere" {
	mount_inferfs "$(failure_config m)"
	provider_key sk-another-key
	ask_file a '{"prompt":"hello"}'
	run "$TOOLS/errnoof" read "$M/responses/a/text"
	is "$output" 'open EKEYREJECTED'
	is "$(provider_requests '.requests[].headers | with_entries(.key |= ascii_downcase) | .authorization')" \
		"Bearer $TEST_KEY"
	run grep -r "$TEST_KEY" "$M/responses" "$M/README.md" "$M/stats" "$M/backends" "$LOG" "$STATE" \
		"/proc/$(daemon_pid)/cmdline"
	is "$output" ''
	# with the right one it answers
	provider_key "$TEST_KEY"
	echo retry >"$M/responses/a/ctl"
	is "$(answer a)" 'echo: hello'
}

@test "a certificate of one's own is good when ca_file names it" {
	PORT=$TLS_PORT mount_inferfs "[inferfs]
model = t/small
[backend t]
type = openai
url = https://127.0.0.1:$TLS_PORT/v1
ca_file = $TLS_CERT"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
}

@test "a cancelled request is ECANCELED at text, at stream and at a waiting close(2)" {
	provider_hold never
	mount_inferfs "$(failure_config p)"
	ask_file a '{"prompt":"hello"}'
	"$TOOLS/errnoof" read "$M/responses/a/text" >"$W/text" 3>&- &
	pids=($!)
	"$TOOLS/errnoof" read "$M/responses/a/stream" >"$W/stream" 3>&- &
	pids+=($!)
	"$TOOLS/errnoof" -s write "$M/prompts/b.json" '{"prompt":"other"}' >"$W/sync" 3>&- &
	pids+=($!)
	provider_waiting never 2
	is "$(cat "$M/responses/a/ctl")" cancel
	echo cancel >"$M/responses/a/ctl"
	echo cancel >"$M/responses/b/ctl"
	wait "${pids[@]}" || true
	is "$(cat "$W/text")" 'open ECANCELED'
	is "$(cat "$W/stream")" 'read ECANCELED'
	is "$(cat "$W/sync")" 'close ECANCELED'
	is "$(status_of a)" cancelled
	is "$(jq -r .category "$M/responses/a/error.json")" cancelled
	is "$(cat "$M/responses/a/ctl")" retry
	is "$(stored_objects)" 0
}

@test "a full queue refuses at close(2) with ENOBUFS" {
	provider_hold
	mount_inferfs -o queue=1 "$(provider_config 'concurrency = 1')"
	ask_file a '{"prompt":"first"}'
	provider_waiting hold
	ask_file b '{"prompt":"second"}'
	run "$TOOLS/errnoof" write "$M/prompts/c.json" '{"prompt":"third"}'
	is "$output" 'close ENOBUFS'
	is "$(jq -r .category "$M/responses/c/error.json")" unavailable
	run "$TOOLS/errnoof" -e -o "$W/e" ask "$M/ask" '{"prompt":"fourth"}'
	is "$output" 'read ENOBUFS'
	provider_release hold
	is "$(answer b)" 'echo: second'
	ask_file c '{"prompt":"third"}'
	is "$(answer c)" 'echo: third'
}

@test "a prompt larger than max_request_bytes is EFBIG from write(2), and the file keeps what fitted" {
	mount_inferfs -o max_request_bytes=1k
	run "$TOOLS/errnoof" write "$M/prompts/a.json" "{\"prompt\":\"$(printf '%01500d' 0)\"}"
	is "$output" 'write EFBIG'
	run truncate -s 5000 "$M/prompts/b.txt"
	[ "$status" != 0 ]
	# a name that is no request may grow
	head -c 3000 /dev/zero >"$M/prompts/big.bin"
	run mv "$M/prompts/big.bin" "$M/prompts/big.json"
	[ "$status" != 0 ]
	is "$(stat -c %s "$M/prompts/big.bin")" 3000
	is "$(provider_count)" 0
}

@test "bad JSON: close(2) fails with EINVAL, the file is still there, error.json has line and column" {
	mount_inferfs
	run "$TOOLS/errnoof" write "$M/prompts/a.json" $'{"prompt": "x",\n  "model": p/small}\n'
	is "$output" 'close EINVAL'
	is "$(cat "$M/prompts/a.json")" $'{"prompt": "x",\n  "model": p/small}'
	is "$(jq -c '[.errno, .line, .column]' "$M/responses/a/error.json")" '["EINVAL",2,12]'
	is "$(status_of a)" failed
	is "$(ls "$M/responses/a")" $'ctl\nerror.json\nstatus'
	run "$TOOLS/errnoof" read "$M/responses/a/text"
	is "$output" 'open EINVAL'
	run "$TOOLS/errnoof" -e -o "$W/e" ask "$M/ask" $'{"prompt": "x",\n  "model": p/small}\n'
	is "$output" 'read EINVAL'
	is "$(jq -c '[.line, .column]' "$W/e")" '[2,12]'
	run "$TOOLS/errnoof" -s write "$M/prompts/b.json" '{"prompt":1}'
	is "$output" 'close EINVAL'
	# a document that ends too early may be continued by another writer: failed only after the last close
	run "$TOOLS/errnoof" write "$M/prompts/c.json" '{"prompt": "x"'
	is "$output" ok
	wait_status c failed
	is "$(provider_count)" 0
	# corrected, it is asked
	ask_file a '{"prompt":"x"}'
	is "$(answer a)" 'echo: x'
}

@test "a file without a request is a draft: ENODATA" {
	mount_inferfs
	: >"$M/prompts/a.json"
	is "$(status_of a)" draft
	run "$TOOLS/errnoof" read "$M/responses/a/text"
	is "$output" 'open ENODATA'
	run "$TOOLS/errnoof" read "$M/responses/a/stream"
	like "$output" '^(open|read) ENODATA$'
	is "$(ls "$M/responses/a")" $'ctl\nstatus'
}

@test "a backend whose names have no slash: an unknown first part is ENXIO and names the nearest" {
	mount_inferfs "$(failure_config m)"
	run "$TOOLS/errnoof" write "$M/prompts/a.json" '{"prompt":"x","model":"mistrall/small"}'
	is "$output" 'close ENXIO'
	like "$(jq -r .message "$M/responses/a/error.json")" mistral
	is "$(provider_count)" 0
}
