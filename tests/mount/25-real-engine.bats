#!/usr/bin/env bats
# The main job on real input: a real model behind an OpenAI-compatible server answers through the mount.
load ../lib/helpers

setup_file() {
	local engine=$PWD/../shared/tools/real-engine

	[ -d "$engine" ] && command -v npm >/dev/null || return 0
	export ENGINE=$BATS_FILE_TMPDIR/engine
	mkdir "$ENGINE"
	cp "$engine"/*.json "$engine"/*.mjs "$ENGINE/"
	(cd "$ENGINE" && npm install --ignore-scripts --omit=optional --no-audit --no-fund) \
		>"$BATS_FILE_TMPDIR/npm" 2>&1 3>&- </dev/null || touch "$ENGINE/failed"
}
setup() {
	setup_dirs
	MODEL=$(shared models/stories260K.gguf)
	shared tools/real-engine >/dev/null
	command -v npm >/dev/null || skip "npm is not installed"
	if [ -e "$ENGINE/failed" ]; then
		tail -n 3 "$BATS_FILE_TMPDIR/npm"
		skip "npm could not install the engine"
	fi
	# a port that was free a moment ago
	ENGINE_PORT=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
	node "$ENGINE/server.mjs" "$MODEL" "$ENGINE_PORT" >"$W/engine.log" 2>&1 3>&- &
	ENGINE_PID=$!
	until_true 30 curl -sf --noproxy '*' -o /dev/null "http://127.0.0.1:$ENGINE_PORT/v1/models"
}
teardown() { finish_test; }

# the same words that llama.cpp's server gives at temperature 0
STORY=', there was a little girl named Lily. She loved to play outside in the park.'

@test "a real model answers, streamed; the second time nothing is sent" {
	mount_inferfs "[inferfs]
model = llamacpp/stories260K
[backend llamacpp]
type = openai
dialect = llamacpp
url = http://127.0.0.1:$ENGINE_PORT/v1"
	ask_file once '{"prompt":"Once upon a time","temperature":0,"max_tokens":60}'
	"$TOOLS/readtimes" -o "$W/streamed" "$M/responses/once/stream" >"$W/times"
	# it came in many pieces, not at the end
	[ "$(wc -l <"$W/times")" -gt 3 ]
	like "$(cat "$W/streamed")" "^$STORY"
	cmp "$W/streamed" "$M/responses/once/text"
	jq -e '.usage.output_tokens >= 20 and .usage.input_tokens > 0 and .first_token_ms < .total_ms' \
		"$M/responses/once/response.json"
	is "$(sha256sum <"$M/responses/once/entry/request.json" | cut -d' ' -f1)" \
		"$(basename "$(readlink "$M/responses/once/entry")")"
	# nothing is sent any more, and nothing could be
	kill "$ENGINE_PID"
	wait "$ENGINE_PID" || true
	ask_file again '{"temperature":0,"max_tokens":60,"messages":[{"role":"user","content":"Once upon a time"}]}'
	cmp "$M/responses/again/text" "$M/responses/once/text"
	is "$(getfattr --only-values --absolute-names -n user.inferfs.cached "$M/responses/again")" true
	is "$(summary calls)" 1
}

@test "a real model: stop, completions, ask and many at once" {
	mount_inferfs "[inferfs]
model = llamacpp/stories260K
[backend llamacpp]
type = openai
dialect = llamacpp
url = http://127.0.0.1:$ENGINE_PORT/v1"
	ask_file stop '{"prompt":"Once upon a time","temperature":0,"max_tokens":60,"stop":"Lily"}'
	is "$(answer stop)" ', there was a little girl named'
	ask_file completion '{"prompt":"Once upon a time","temperature":0,"max_tokens":20,"endpoint":"completion"}'
	like "$(answer completion)" '^, there was a little girl named Lily'
	for i in 1 2 3 4 5 6; do
		ask_file "many$i" "{\"prompt\":\"The dog number $i\",\"temperature\":0,\"max_tokens\":16}"
	done
	for i in 1 2 3 4 5 6; do
		[ -n "$(answer "many$i")" ]
	done
	is "$("$TOOLS/errnoof" -o "$W/a" ask "$M/ask" '{"prompt":"Once upon a time","temperature":0,"max_tokens":60}')" ok
	like "$(cat "$W/a")" "^$STORY"
	is "$(summary failed)" 0
}
