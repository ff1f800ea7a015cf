#!/usr/bin/env bats
# Models on Ollama's own machine: pull and delete through backends/ollama/ctl and inferctl, what is loaded.
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	CONFIG=$(printf '%s\n' "[inferfs]" "model = ollama/echo-small" "[backend ollama]" "url = http://127.0.0.1:$PORT/ollama")
}
teardown() { finish_test; }

status() { jq -rc "$1" "$M/backends/ollama/status.json"; } # JQ FILTER

@test "echo pull NAME > ctl, and status.json shows how far it is" {
	mount_inferfs "$CONFIG"
	is "$(cat "$M/backends/ollama/ctl")" $'pull NAME\ndelete NAME'
	is "$(stat -c %a "$M/backends/ollama/ctl")" 600
	echo 'pull llama3.2:1b' >"$M/backends/ollama/ctl"
	until_true 10 eval '[ "$(status ".orders[0].state")" = done ]'
	is "$(status '.orders[0]|[.action,.model,.status]')" '["pull","llama3.2:1b","success"]'
	is "$(provider_requests '.requests[]|select(.path|endswith("/api/pull"))|.body')" '{"model":"llama3.2:1b"}'
	# the kinds of backends that have no such thing have no ctl
	is "$(ls "$M/backends/echo")" status.json
}

@test "a pull in progress: total and completed; an equal order joins it" {
	printf '%s\n' '{"status":"pulling 0123","total":4000,"completed":1000}' >"$W/half"
	provider_script "[{\"path\":\"/api/pull\",\"barrier\":\"busy\"}]"
	mount_inferfs "$CONFIG"
	echo 'pull big' >"$M/backends/ollama/ctl"
	provider_waiting busy
	echo 'pull big' >"$M/backends/ollama/ctl"
	is "$(status '.orders|length')" 1
	is "$(status '.orders[0].state')" running
	provider_release busy
	until_true 10 eval '[ "$(status ".orders[0].state")" = done ]'
}

@test "inferctl pull and delete: done, words, exit codes; --json" {
	mount_inferfs "$CONFIG"
	run "$INFERCTL" -m "$M" pull llama3.2:1b
	is "$status" 0
	like "$output" 'ollama/llama3.2:1b: pulled'
	run "$INFERCTL" -m "$M" pull ollama/llama3.2:1b
	is "$status" 0
	run "$INFERCTL" -m "$M" pull nope
	is "$status" 1
	like "$output" 'not found'
	run "$INFERCTL" -m "$M" delete echo-small
	is "$status" 0
	like "$output" 'ollama/echo-small: deleted'
	is "$(provider_requests '.requests[]|select(.method=="DELETE")|.body')" '{"model":"echo-small"}'
	is "$("$INFERCTL" -m "$M" pull --json x | jq -r .state)" done
	run "$INFERCTL" -m "$M" pull
	is "$status" 2
	run "$INFERCTL" -m "$M" delete a b
	is "$status" 2
}

@test "inferctl pull draws a bar on a terminal" {
	provider_script '[{"path":"/api/pull","barrier":"busy","times":1}]'
	mount_inferfs "$CONFIG"
	script -qec "$INFERCTL -m $M pull x" /dev/null >"$W/out" 3>&- &
	local pid=$!
	provider_waiting busy
	provider_release busy
	wait "$pid"
	like "$(cat "$W/out")" 'ollama/x: pulled'
}

@test "what is no order is EINVAL, and the server is not asked" {
	mount_inferfs "$CONFIG"
	local ctl=$M/backends/ollama/ctl bad
	for bad in 'push x' 'pull' 'pull ' 'pull a b' 'delete' 'x'; do
		run dd of="$ctl" conv=notrunc status=none <<<"$bad"
		like "$output" 'Invalid argument'
	done
	is "$(provider_count)" 0
}

@test "failures are told in status.json: an unknown model, a server that breaks off, one that is not there" {
	mount_inferfs "$CONFIG"
	echo 'pull nope' >"$M/backends/ollama/ctl"
	until_true 10 eval '[ "$(status ".orders[0].state")" = failed ]'
	like "$(status '.orders[0].error')" 'not found'
	provider_script '[{"path":"/api/pull","body":"{\"status\":\"pulling manifest\"}\n","content_type":"application/x-ndjson"}]'
	echo 'pull half' >"$M/backends/ollama/ctl"
	until_true 10 eval '[ "$(status ".orders[1].state")" = failed ]'
	provider_script '[{"path":"/api/pull","body":"{\"error\":\"disk full\"}\n","content_type":"application/x-ndjson"}]'
	echo 'pull full' >"$M/backends/ollama/ctl"
	until_true 10 eval '[ "$(status ".orders[2].state")" = failed ]'
	like "$(status '.orders[2].error')" 'disk full'
	stop_provider
	echo 'pull away' >"$M/backends/ollama/ctl"
	until_true 10 eval '[ "$(status ".orders[3].state")" = failed ]'
}

@test "what is loaded, and the model list is fetched anew after a pull" {
	mount_inferfs "$CONFIG"
	until_true 10 eval '[ "$(status ".loaded[0].name")" = echo-small ]'
	ls "$M/models/ollama" >/dev/null
	is "$(provider_ctl "count?path=/api/tags")" 1
	"$INFERCTL" -m "$M" pull x
	ls "$M/models/ollama" >/dev/null
	is "$(provider_ctl "count?path=/api/tags&at_least=2&timeout_ms=10000")" 2
	is "$(provider_requests '[.requests[]|select(.path|test("chat|generate"))]|length')" 0
}

@test "unmount while a pull runs: gone at once" {
	provider_script '[{"path":"/api/pull","barrier":"never"}]'
	mount_inferfs "$CONFIG"
	echo 'pull big' >"$M/backends/ollama/ctl"
	provider_waiting never
	umount_inferfs
}
