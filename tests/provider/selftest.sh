#!/bin/sh
# Self-test of the scripted provider: selftest.sh [path of the provider program].
# Prints one line per failure and "N passed, N failed"; exit status 1 when anything failed.

bin=${1:-${INFERFS_BUILD:-build}/provider}
tmp=$(mktemp -d) || exit 2
passed=0
failed=0
pid=
tls_pid=

cleanup() {
	[ -n "$pid" ] && kill "$pid" 2>/dev/null
	[ -n "$tls_pid" ] && kill "$tls_pid" 2>/dev/null
	rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 2' INT TERM

# start NAME ARGS...: runs the provider, sets $started and $port. The fifo blocks until it is ready.
start() {
	fifo=$tmp/$1.fifo
	shift
	mkfifo "$fifo"
	"$bin" "$@" >"$fifo" &
	started=$!
	read -r word port <"$fifo"
	[ "$word" = listening ] || { echo "provider did not start"; exit 2; }
}

# is NAME WANTED GOT
is() {
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		printf 'FAILED %s\n  wanted: %s\n  got:    %s\n' "$1" "$2" "$3"
	fi
}

# has NAME TEXT GOT
has() {
	case $3 in
	*"$2"*) passed=$((passed + 1)) ;;
	*)
		failed=$((failed + 1))
		printf 'FAILED %s\n  wanted: ...%s...\n  got:    %s\n' "$1" "$2" "$3"
		;;
	esac
}

# lacks NAME TEXT GOT
lacks() {
	case $3 in
	*"$2"*)
		failed=$((failed + 1))
		printf 'FAILED %s\n  unwanted: %s\n  got:    %s\n' "$1" "$2" "$3"
		;;
	*) passed=$((passed + 1)) ;;
	esac
}

get() { curl -sS -m 20 "$url$1"; }
post() { curl -sS -N -m 20 -H 'Content-Type: application/json' -d "$2" "$url$1" 2>"$tmp/err"; }
code() { curl -sS -m 20 -o "$tmp/body" -w '%{http_code}' -H 'Content-Type: application/json' -d "$2" "$url$1"; }
ctl() { curl -sS -m 20 -d "${2:-}" "$url/_ctl/$1"; }
script() { has "script accepted" '"ok":true' "$(ctl script "$1")"; }
# The texts of a stream put together again.
join() { tr -d '\r' | sed -n 's/.*"content":"\([^"]*\)".*/\1/p' | tr -d '\n'; }

chat='{"model":"m","messages":[{"role":"system","content":"be kind"},{"role":"user","content":"hello big world"}]}'
stream='{"model":"m","stream":true,"messages":[{"role":"user","content":"hello big world"}]}'
with_usage='{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}'
text='echo: hello big world'
chat_path=/v1/chat/completions

start main --log "$tmp/log"
pid=$started
url=http://127.0.0.1:$port

# Failures first.
is "bad json" 400 "$(code $chat_path '{"model":')"
has "bad json form" '"type":"invalid_request_error"' "$(cat "$tmp/body")"
is "no such model" 404 "$(code $chat_path '{"model":"nope","messages":[{"role":"user","content":"x"}]}')"
has "no such model form" '"code":"model_not_found"' "$(cat "$tmp/body")"
is "no such model vllm" 404 "$(code /vllm$chat_path '{"model":"nope","messages":[{"role":"user","content":"x"}]}')"
has "vllm form" '"type":"NotFoundError","param":"model","code":404' "$(cat "$tmp/body")"
is "no such model llamacpp" 404 "$(code /llamacpp$chat_path '{"model":"nope","messages":[{"role":"user","content":"x"}]}')"
has "llamacpp form" '"type":"not_found_error"' "$(cat "$tmp/body")"
is "no such model mistral" 404 "$(code /mistral$chat_path '{"model":"nope","messages":[{"role":"user","content":"x"}]}')"
has "mistral form" '"object":"error","message":"Invalid model: nope"' "$(cat "$tmp/body")"
is "no messages" 400 "$(code $chat_path '{"model":"m"}')"
is "no messages mistral" 422 "$(code /mistral$chat_path '{"model":"m"}')"
is "mistral missing form" '{"detail":[{"loc":["body","messages"],"msg":"Field required","type":"missing"}]}' "$(cat "$tmp/body")"
is "unknown path" 404 "$(code /v1/nothing '{}')"
is "unknown path mistral" 404 "$(code /mistral/v1/nothing '{}')"
is "get unknown model" 404 "$(curl -sS -o "$tmp/body" -w '%{http_code}' "$url/v1/models/nope")"
is "openai refuses top_k" 400 "$(code $chat_path '{"model":"m","top_k":3,"messages":[{"role":"user","content":"x"}]}')"
is "vllm takes top_k" 200 "$(code /vllm$chat_path '{"top_k":3,"messages":[{"role":"user","content":"x"}]}')"
is "mistral refuses seed" 422 "$(code /mistral$chat_path '{"model":"m","seed":7,"messages":[{"role":"user","content":"x"}]}')"
is "mistral extra form" '{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":7}]},"type":"invalid_request_error","param":null,"code":null}' "$(cat "$tmp/body")"
is "mistral refuses stream_options" 422 "$(code /mistral$chat_path "$with_usage")"
is "mistral last role" 400 "$(code /mistral$chat_path '{"model":"m","messages":[{"role":"assistant","content":"x"}]}')"
is "mistral foreign call id" 400 "$(code /mistral$chat_path '{"model":"m","messages":[{"role":"tool","tool_call_id":"call_1","content":"x"}]}')"
is "bad script" 400 "$(code /_ctl/script '[{"txet":"x"}]')"
has "bad script names the member" txet "$(cat "$tmp/body")"
is "bad script type" 400 "$(code /_ctl/script '[{"times":"x"}]')"
is "no such control" 404 "$(code /_ctl/nothing '')"

# Whole answers.
ctl reset >/dev/null
has "chat" "\"content\":\"$text\"" "$(post $chat_path "$chat")"
has "chat usage" '"prompt_tokens":5,"completion_tokens":4,"total_tokens":9' "$(post $chat_path "$chat")"
has "chat parts" '"content":"echo: a b"' "$(post $chat_path '{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a "},{"type":"image_url","image_url":{"url":"data:x"}},{"type":"text","text":"b"}]}]}')"
has "escapes" 'echo: a\"b\\c\nd é' "$(post $chat_path '{"model":"m","messages":[{"role":"user","content":"a\"b\\c\nd \u00e9"}]}')"
has "n choices" '"index":2,"message"' "$(post $chat_path '{"model":"m","n":3,"messages":[{"role":"user","content":"x"}]}')"
has "completions" '"text":"echo: once"' "$(post /v1/completions '{"model":"m","prompt":"once"}')"
has "completions of two prompts" '"index":1,"text":"echo: two"' "$(post /v1/completions '{"model":"m","prompt":["one","two"]}')"
has "fim" '"content":"echo: a|b"' "$(post /mistral/v1/fim/completions '{"model":"m","prompt":"a","suffix":"b"}')"
has "embeddings" '"index":1,"embedding":[' "$(post /v1/embeddings '{"model":"m","input":["a","b"],"dimensions":3}')"
is "embeddings base64" 200 "$(code /v1/embeddings '{"model":"m","input":"a","encoding_format":"base64"}')"
has "base64 length of 8 floats" '=="' "$(tr -d ' ' <"$tmp/body" | sed 's/\("embedding":"[^"]\{43\}=\)"/\1="/')"
has "models" '"id":"echo-small"' "$(get /v1/models)"
has "model" '"id":"abc"' "$(get /v1/models/abc)"
has "mistral models" '"completion_chat":true' "$(get /mistral/v1/models)"
has "health" '"status":"ok"' "$(get /llamacpp/health)"
has "token count" '"input_tokens":5' "$(post /llamacpp/v1/chat/completions/input_tokens "$chat")"
has "llamacpp timings" '"timings":{' "$(post /llamacpp$chat_path "$chat")"

# Ollama: streams unless told not to, strings only, objects as arguments.
oll=/ollama/api/chat
is "ollama no such model" 404 "$(code $oll '{"model":"nope","messages":[{"role":"user","content":"x"}]}')"
is "ollama error form" '{"error":"model '"'nope'"' not found"}' "$(cat "$tmp/body")"
is "ollama refuses parts" 400 "$(code $oll '{"model":"m","messages":[{"role":"user","content":[]}]}')"
is "ollama refuses a data URI" 400 "$(code $oll '{"model":"m","messages":[{"role":"user","content":"x","images":["data:x"]}]}')"
is "ollama refuses text as arguments" 400 "$(code $oll '{"model":"m","messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}')"
is "ollama refuses a level" 400 "$(code $oll '{"model":"m","think":"xhigh","messages":[{"role":"user","content":"x"}]}')"
got=$(post $oll '{"model":"m","messages":[{"role":"user","content":"a b"}]}')
is "ollama streams by itself" 4 "$(printf '%s\n' "$got" | wc -l | tr -d ' ')"
has "ollama line" '"message":{"role":"assistant","content":" a"},"done":false}' "$got"
has "ollama last line" '"done":true,"done_reason":"stop"' "$got"
has "ollama counts" '"prompt_eval_count":2,' "$got"
has "ollama whole" '"content":"echo: x"' "$(post $oll '{"model":"m","stream":false,"messages":[{"role":"user","content":"x"}]}')"
has "ollama generate" '"response":"echo: a|b"' "$(post /ollama/api/generate '{"model":"m","stream":false,"prompt":"a","suffix":"b"}')"
has "ollama embed" '"embeddings":[[' "$(post /ollama/api/embed '{"model":"m","input":["a","b"],"dimensions":2}')"
has "ollama tags" '"name":"echo-small"' "$(get /ollama/api/tags)"
has "ollama show" '"echo.context_length":32768' "$(post /ollama/api/show '{"model":"m"}')"
script '[{"tool_calls":[{"name":"now","arguments":{"tz":"UTC"}}],"reasoning":"hm"}]'
got=$(post $oll '{"model":"m","messages":[{"role":"user","content":"x"}]}')
has "ollama call" '"tool_calls":[{"function":{"index":0,"name":"now","arguments":{"tz":"UTC"}}}]' "$got"
has "ollama thinking" '"thinking":"hm"' "$got"
has "ollama reason of calls" '"done_reason":"stop"' "$got"
script '[{"end_without_done":true}]'
lacks "ollama without the end" '"done":true' "$(post $oll '{"model":"m","messages":[{"role":"user","content":"x"}]}')"
script '[{"error_event":{"error":"broke"},"error_at":1}]'
is "ollama error line" '{"error":"broke"}' "$(post $oll '{"model":"m","messages":[{"role":"user","content":"x"}]}' | tail -n 1)"
ctl reset >/dev/null

# Responses and infill.
resp=/v1/responses
has "responses" '"type":"output_text","annotations":[],"logprobs":[],"text":"echo: hi"' "$(post $resp '{"model":"m","input":"hi"}')"
got=$(post $resp '{"model":"m","stream":true,"input":[{"role":"user","content":[{"type":"input_text","text":"a b"}]}]}')
has "responses event" 'event: response.output_text.delta' "$got"
has "responses delta" '"delta":" b"}' "$got"
has "responses end" '"type":"response.completed"' "$(printf '%s\n' "$got" | tail -n 2)"
lacks "responses have no end mark" '[DONE]' "$got"
is "responses refuse stop" 400 "$(code $resp '{"model":"m","input":"x","stop":["a"]}')"
is "responses want encrypted reasoning" 400 "$(code $resp '{"model":"m","input":[{"type":"reasoning","id":"r"}]}')"
is "responses want the call" 400 "$(code $resp '{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":"x"}]}')"
script '[{"tool_calls":[{"name":"now","arguments":{}}],"reasoning":"hm","finish_reason":"length"}]'
got=$(post $resp '{"model":"m","input":"x"}')
has "responses reasoning" '"encrypted_content":"' "$got"
lacks "responses hide it" 'hm' "$got"
has "responses call" '"type":"function_call"' "$got"
has "responses incomplete" '"incomplete_details":{"reason":"max_output_tokens"}' "$got"
ctl reset >/dev/null
is "tools of gpt-5.4 in chat" 400 "$(code $chat_path '{"model":"gpt-5.4","tools":[{}],"messages":[{"role":"user","content":"x"}]}')"
is "max_tokens of o3" 400 "$(code $chat_path '{"model":"o3","max_tokens":3,"messages":[{"role":"user","content":"x"}]}')"
has "completions suffix" '"text":"echo: a|b"' "$(post /v1/completions '{"model":"m","prompt":"a","suffix":"b"}')"
has "infill" '{"content":"echo: a|b","stop":true,"stop_type":"eos"' "$(post /llamacpp/infill '{"input_prefix":"a","input_suffix":"b"}')"
got=$(post /llamacpp/infill '{"stream":true,"input_prefix":"a","input_suffix":"b"}')
has "infill event" 'data: {"content":" a|b","stop":false}' "$got"
lacks "infill has no end mark" '[DONE]' "$got"

# Streams.
got=$(post $chat_path "$stream")
is "stream text" "$text" "$(printf '%s' "$got" | join)"
has "stream role" '"delta":{"role":"assistant","content":""}' "$got"
has "stream finish" '"delta":{},"finish_reason":"stop"}]}' "$got"
lacks "no usage without opt-in" usage "$got"
is "stream end" 'data: [DONE]' "$(printf '%s\n' "$got" | tail -n 1)"
is "stream of words" 4 "$(printf '%s\n' "$got" | grep -c '"delta":{"content":')"
got=$(post $chat_path "$with_usage")
has "usage chunk" '"choices":[],"usage":{"prompt_tokens":1,' "$got"
has "usage null before" '"usage":null}' "$got"
got=$(post /mistral$chat_path "$stream")
is "mistral stream text" "$text" "$(printf '%s' "$got" | join)"
has "mistral usage in the finish chunk" '"finish_reason":"stop"}],"usage":{' "$got"
got=$(post /llamacpp$chat_path "$with_usage")
has "llamacpp ping" ': ping' "$got"
has "llamacpp timings in the last chunk" '"timings":{' "$(printf '%s\n' "$got" | grep '"choices":\[\]')"
got=$(post $chat_path '{"model":"m","n":2,"stream":true,"messages":[{"role":"user","content":"x"}]}')
is "stream choices" 4 "$(printf '%s\n' "$got" | grep -c '"index":1,"delta":{["}]*[cr}]')"
got=$(post /v1/completions '{"model":"m","stream":true,"prompt":"a b"}')
has "text stream" '"text":" b","logprobs":null,"finish_reason":null' "$got"

# Scripted content.
script '[{"match":"big","text":"one two","finish_reason":"length","times":1},{"text":"rest"}]'
has "rule" '"content":"one two"' "$(post $chat_path "$chat")"
has "rule used up" '"content":"rest"' "$(post $chat_path "$chat")"
script '[{"path":"/mistral","status":429,"headers":{"Retry-After":"7"}},{"status":503,"body":"<html>busy</html>","content_type":"text/html"}]'
is "scripted status" 429 "$(code /mistral$chat_path "$chat")"
has "scripted status form" '"type":"rate_limited","param":null,"code":"1300"' "$(cat "$tmp/body")"
has "scripted header" 'Retry-After: 7' "$(curl -sS -D - -o /dev/null -d "$chat" "$url/mistral$chat_path")"
is "scripted html" 503 "$(code $chat_path "$chat")"
is "scripted body" '<html>busy</html>' "$(cat "$tmp/body")"
script '[{"body":{"object":"x","a":[1]}}]'
is "json body" '{"object":"x","a":[1]}' "$(post $chat_path "$chat")"
script '[{"pieces":["a","","b c"],"usage":{"prompt_tokens":1000000}}]'
got=$(post /mistral$chat_path "$stream")
is "pieces" 'ab c' "$(printf '%s' "$got" | join)"
has "own usage" '"usage":{"prompt_tokens":1000000}' "$got"
script '[{"usage":null}]'
lacks "usage left out" '"usage":{' "$(post /mistral$chat_path "$stream")"
script '[{"choices":["x","y z"]}]'
has "choices" '"index":1,"message":{"role":"assistant","content":"y z"}' "$(post $chat_path '{"model":"m","n":2,"messages":[{"role":"user","content":"q"}]}')"
script '[{"choices":["x","y z","w"],"choices_max":2,"finish_reasons":[null,"error"]}]'
got=$(post $chat_path '{"model":"m","n":3,"messages":[{"role":"user","content":"q"}]}')
has "fewer choices" '"index":1,"message":{"role":"assistant","content":"y z"},"logprobs":null,"finish_reason":"error"' "$got"
has "the other one is good" '"index":0,"message":{"role":"assistant","content":"x"},"logprobs":null,"finish_reason":"stop"' "$got"
lacks "fewer choices than asked for" '"index":2' "$got"
has "usage of fewer choices" '"completion_tokens":3,' "$got"
got=$(post $chat_path '{"model":"m","n":3,"stream":true,"messages":[{"role":"user","content":"q"}]}')
has "a streamed choice fails" '"index":1,"delta":{},"finish_reason":"error"' "$got"
lacks "fewer streamed choices" '"index":2' "$got"
got=$(post /gemini/v1beta/models/g:streamGenerateContent '{"contents":[{"role":"user","parts":[{"text":"q"}]}],"generationConfig":{"candidateCount":3}}')
has "gemini: a candidate fails" '"finishReason":"OTHER","index":1' "$got"
lacks "gemini: fewer candidates" '"index":2' "$got"
script '[{"reasoning":"let me think"}]'
has "vllm reasoning" '"reasoning":"let me think"' "$(post /vllm$chat_path "$chat")"
has "llamacpp reasoning" '"delta":{"reasoning_content":"let me think"}' "$(post /llamacpp$chat_path "$stream")"
has "mistral reasoning" '"content":[{"type":"thinking","thinking":[{"type":"text","text":"let me think"}]' "$(post /mistral$chat_path "$chat")"
lacks "openai hides reasoning" 'let me' "$(post $chat_path "$chat")"
script '[{"tool_calls":[{"name":"now","arguments":{"tz":"UTC"}},{"name":"b","arguments":"{bro"}]}]'
got=$(post $chat_path "$chat")
has "tool call" '"name":"now","arguments":"{\"tz\":\"UTC\"}"' "$got"
has "tool call broken arguments" '"arguments":"{bro"' "$got"
has "tool call finish" '"finish_reason":"tool_calls"' "$got"
has "tool call no text" '"content":null' "$got"
got=$(post $chat_path "$stream")
has "tool call stream name" '"function":{"name":"now","arguments":""}' "$got"
has "tool call stream part" '"tool_calls":[{"index":1,"function":{"arguments":"{b"}}]' "$got"
is "mistral call id" 9 "$(post /mistral$chat_path "$stream" | sed -n 's/.*"tool_calls":\[{"id":"\([^"]*\)".*/\1/p' | tr -d '\n' | wc -c)"

# Broken transport. curl: 52 nothing came, 56 reset, 18 the body broke off, 28 time-out.
script '[{"cut_after_pieces":2}]'
got=$(post $chat_path "$stream"); is "cut" 18 $?
is "cut text" 'echo: hello' "$(printf '%s' "$got" | join)"
post $chat_path "$chat" >"$tmp/body"; is "cut whole" 18 $?
script '[{"reset":true}]'
post $chat_path "$chat" >/dev/null; is "reset" 56 $?
script '[{"reset_after_pieces":1}]'
post $chat_path "$stream" >/dev/null; is "reset in the stream" 56 $?
script '[{"end_after_pieces":1}]'
got=$(post $chat_path "$stream"); is "clean early end" 0 $?
lacks "clean early end has no mark" DONE "$got"
script '[{"end_without_done":true}]'
got=$(post $chat_path "$stream")
has "without done: finished" '"finish_reason":"stop"' "$got"
lacks "without done" DONE "$got"
script '[{"empty":true}]'
is "empty" 200 "$(code $chat_path "$chat")"
is "empty body" 0 "$(wc -c <"$tmp/body" | tr -d ' ')"
script '[{"error_event":{"error":{"message":"broke"}},"error_at":1}]'
got=$(post /vllm$chat_path "$stream")
has "error event" 'data: {"error":{"message":"broke"}}' "$got"
is "error event after one piece" 'echo:' "$(printf '%s' "$got" | join)"
is "no abort counted so far" 0 "$(get /_ctl/aborted)"
ctl reset >/dev/null
script '[{"stall_after_pieces":1}]'
got=$(curl -sS -N -m 1 -d "$stream" "$url$chat_path" 2>/dev/null); is "stall" 28 $?
is "stall text" 'echo:' "$(printf '%s' "$got" | join)"
is "abort seen while stalled" 1 "$(get '/_ctl/aborted?at_least=1')"
has "abort recorded" '"aborted":true' "$(get /_ctl/requests)"
script '[{"no_answer":true}]'
curl -sS -m 1 -d "$chat" "$url$chat_path" >/dev/null 2>&1; is "no answer" 28 $?
is "abort seen without answer" 2 "$(get '/_ctl/aborted?at_least=2')"

# Cutting of bytes.
ctl reset >/dev/null
for cut in byte random coalesce event; do
	script "[{\"split\":\"$cut\",\"pieces\":[\"é\",\"ö ü\"]}]"
	is "split $cut" 'éö ü' "$(post $chat_path "$stream" | join)"
	has "split $cut whole" 'éö ü' "$(post $chat_path "$chat")"
done
script '[{"crlf":true}]'
got=$(post $chat_path "$stream" | tr '\r' '#')
has "crlf" '[DONE]#' "$got"
is "crlf text" "$text" "$(printf '%s' "$got" | join)"

# Delays, barriers and counters.
ctl reset >/dev/null
script '[{"delay_ms":200}]'
took=$(curl -sS -o /dev/null -w '%{time_total}' -d "$chat" "$url$chat_path")
is "delay" 1 "$(echo "$took" | awk '{ print ($1 >= 0.2 && $1 < 2) }')"
script '[{"piece_delay_ms":20}]'
post $chat_path "$stream" >/dev/null
has "piece delay" ok "$(get /_ctl/times | sed 's/.*\[\(.*\)\].*/\1/' | tr ',' '\n' |
	awk 'NR > 1 && NR < 5 && $1 - last < 19000000 { bad = 1 } { last = $1 } END { print NR == 5 && !bad ? "ok" : "bad " NR }')"
is "waiting nobody" 408 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/_ctl/waiting?name=A&count=1&timeout_ms=10")"
script '[{"barrier":"A","text":"first"}]'
post $chat_path "$chat" >"$tmp/a" & a=$!
post $chat_path "$chat" >"$tmp/b" & b=$!
has "two wait" '"waiting":2' "$(get '/_ctl/waiting?name=A&count=2&timeout_ms=9000')"
is "nothing sent" 0 "$(cat "$tmp/a" "$tmp/b" | wc -c | tr -d ' ')"
has "release" '"released":2' "$(ctl 'release?name=A')"
wait $a $b
has "released" first "$(cat "$tmp/a")"
has "late comer" first "$(post $chat_path "$chat")"
script '[{"piece_barriers":{"1":"B","4":"C"}}]'
post $chat_path "$stream" >"$tmp/a" & a=$!
has "waits in the stream" '"waiting":1' "$(get '/_ctl/waiting?name=B&timeout_ms=9000')"
ctl 'release?name=B' >/dev/null
has "waits before the end" '"waiting":1' "$(get '/_ctl/waiting?name=C&timeout_ms=9000')"
ctl 'release?name=C' >/dev/null
wait $a
is "piece barriers" "$text" "$(join <"$tmp/a")"
ctl reset >/dev/null
script '[{"barrier":"A"}]'
curl -sS -m 20 -d "$chat" "$url$chat_path" >/dev/null 2>&1 & a=$!
get '/_ctl/waiting?name=A&timeout_ms=9000' >/dev/null
kill $a
wait $a 2>/dev/null
is "abort seen at a barrier" 1 "$(get '/_ctl/aborted?at_least=1')"
is "nobody waits after the abort" 408 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/_ctl/waiting?name=A&count=1&timeout_ms=1")"
post $chat_path "$chat" >"$tmp/a" & a=$!
get '/_ctl/waiting?name=A&timeout_ms=9000' >/dev/null
ctl reset >/dev/null
wait $a; is "reset opens barriers" 0 $?
has "reset opens barriers text" echo "$(cat "$tmp/a")"
get '/_ctl/count?at_least=2&timeout_ms=9000' >"$tmp/count" & b=$!
post $chat_path "$chat" >/dev/null
post /v1/embeddings '{"model":"m","input":"a"}' >/dev/null
get /v1/models >/dev/null
wait $b
is "count held" 2 "$(cat "$tmp/count")"
is "count" 2 "$(get /_ctl/count)"
is "count path" 1 "$(get '/_ctl/count?path=embeddings')"
got=$(get '/_ctl/requests?last=3')
has "requests" '"count":3,' "$got"
has "requests body" '"body":"{\"model\":\"m\",\"input\":\"a\"}"' "$got"
has "requests hash" "\"body_sha256\":\"$(printf '%s' "$chat" | openssl dgst -sha256 -r | cut -d' ' -f1)\"" "$got"
has "requests headers" '"Content-Type":"application/json"' "$got"
head -c 300000 /dev/zero | tr '\0' a >"$tmp/a"
printf '{"model":"m","messages":[{"role":"user","content":"%s"}]}' "$(cat "$tmp/a")" >"$tmp/big"
is "big body" "$(($(wc -c <"$tmp/a") + 6))" "$(curl -sS -d "@$tmp/big" "$url$chat_path" | sed 's/.*"content":"\([^"]*\)".*/\1/' | tr -d '\n' | wc -c | tr -d ' ')"
has "big body not kept" "\"body_sha256\":\"$(openssl dgst -sha256 -r <"$tmp/big" | cut -d' ' -f1)\",\"body\":null" "$(get '/_ctl/requests?last=1')"

# Gemini and Anthropic: their own paths, bodies, streams and refusals.
ctl reset >/dev/null
g=/gemini/v1beta/models/gemini-3.8-flash
gchat='{"systemInstruction":{"parts":[{"text":"be kind"}]},"contents":[{"role":"user","parts":[{"text":"hello big world"}]}]}'
got=$(post $g:streamGenerateContent?alt=sse "$gchat")
is "gemini text" "$text" "$(printf '%s' "$got" | sed -n 's/.*"text":"\([^"]*\)".*/\1/p' | tr -d '\n')"
has "gemini finish" '"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":5,"candidatesTokenCount":4,"totalTokenCount":9}' "$got"
lacks "gemini has no end mark" DONE "$got"
has "gemini whole" "\"text\":\"$text\"" "$(post $g:generateContent "$gchat")"
is "gemini method" 404 "$(code $g:think "$gchat")"
is "gemini no model" 404 "$(code /gemini/v1beta/models/nope:generateContent "$gchat")"
is "gemini unknown field" 400 "$(code $g:generateContent '{"messages":[],"contents":[{"role":"user","parts":[{"text":"x"}]}]}')"
has "gemini error form" '"status":"INVALID_ARGUMENT"' "$(cat "$tmp/body")"
is "gemini empty parts" 400 "$(code $g:generateContent '{"contents":[{"role":"user","parts":[]}]}')"
is "gemini unsigned call" 400 "$(code $g:generateContent '{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}}]}]}')"
has "gemini embeddings" '{"embeddings":[{"values":[' "$(post /gemini/v1beta/models/e:batchEmbedContents '{"requests":[{"model":"models/e","content":{"parts":[{"text":"a"}]},"outputDimensionality":3}]}')"
has "gemini count" '{"totalTokens":5}' "$(post $g:countTokens "$gchat")"
has "gemini models" '"nextPageToken":"page+2"' "$(get /gemini/v1beta/models)"
lacks "gemini models, last page" nextPageToken "$(get '/gemini/v1beta/models?pageToken=page%2B2')"
script '[{"tool_calls":[{"name":"now","arguments":{"tz":"UTC"}}],"reasoning":"hm"}]'
got=$(post $g:streamGenerateContent "$gchat")
has "gemini thought" '{"text":"hm","thought":true}' "$got"
has "gemini call" '"name":"now","args":{"tz":"UTC"}},"thoughtSignature":"' "$got"
script '[{"end_without_done":true}]'
lacks "gemini without its end" finishReason "$(post $g:streamGenerateContent "$gchat")"
script '[{"status":429}]'
has "gemini delay in the body" '"retryDelay":"0.01s"' "$(post $g:generateContent "$gchat")"
ctl reset >/dev/null
a=/anthropic/v1/messages
apost() { curl -sS -N -m 20 -H "anthropic-version: $1" -d "$2" "$url$a"; }
achat='{"model":"m","max_tokens":9,"stream":true,"system":"be kind","messages":[{"role":"user","content":"hello big world"}]}'
got=$(apost 2026-10-21 "$achat")
is "anthropic text" "$text" "$(printf '%s' "$got" | sed -n 's/.*"text_delta","text":"\([^"]*\)".*/\1/p' | tr -d '\n')"
has "anthropic end" 'event: message_stop' "$got"
has "anthropic usage" '"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":4,' "$got"
is "anthropic without version" 400 "$(code $a "$achat")"
has "anthropic sampling" 'temperature: Extra inputs' "$(apost 2026-10-21 '{"model":"m","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":"x"}]}')"
has "anthropic sampling, old version" '"text":"echo: x"' "$(apost 2023-06-01 '{"model":"m","max_tokens":9,"temperature":0,"messages":[{"role":"user","content":"x"}]}')"
has "anthropic max_tokens" 'max_tokens: Field required' "$(apost 2026-10-21 '{"model":"m","messages":[{"role":"user","content":"x"}]}')"
has "anthropic error form" '{"type":"error","error":{"type":"not_found_error"' "$(apost 2026-10-21 '{"model":"nope","messages":[{"role":"user","content":"x"}]}')"
has "anthropic white space" 'trailing whitespace' "$(apost 2026-10-21 '{"model":"m","max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"text","text":"x "}]}]}')"
has "anthropic models" '"has_more":true' "$(get /anthropic/v1/models)"
has "anthropic models, last page" '"has_more":false' "$(get '/anthropic/v1/models?after_id=x')"
script '[{"tool_calls":[{"name":"now","arguments":{"tz":"UTC"}}],"reasoning":"hm","error_event":{"type":"error"},"error_at":1}]'
got=$(apost 2026-10-21 "$achat")
has "anthropic signature" '"type":"signature_delta","signature":"' "$got"
has "anthropic call" '"type":"tool_use","id":"toolu_' "$got"
has "anthropic error event" 'event: error' "$got"
lacks "anthropic error ends it" message_stop "$got"
ctl 'key?value=sesame' >/dev/null
is "gemini key" 200 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'x-goog-api-key: sesame' -d "$gchat" "$url$g:generateContent")"
is "anthropic wrong key" 401 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'x-api-key: no' -d "$achat" "$url$a")"
ctl reset >/dev/null

# Keys.
ctl 'key?value=sesame' >/dev/null
is "no key" 401 "$(code $chat_path "$chat")"
has "no key form" '"code":"invalid_api_key"' "$(cat "$tmp/body")"
is "no key mistral" 401 "$(code /mistral$chat_path "$chat")"
has "no key mistral form" '{"message":"Unauthorized","request_id":"' "$(cat "$tmp/body")"
is "wrong key" 401 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer no' "$url/v1/models")"
is "right key" 200 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer sesame' -d "$chat" "$url$chat_path")"
has "log" "POST $chat_path 401" "$(cat "$tmp/log")"

# Files and batches.
ctl reset >/dev/null
line() { printf '{"custom_id":"%s","method":"POST","url":"%s","body":{"model":"m","messages":[{"role":"user","content":"%s"}]}}\n' "$1" "$chat_path" "$2"; }
{ line a one; line b two; line c three; line d four; } >"$tmp/in"
file_of() { sed -n 's/.*"id":"\([^"]*\)".*/\1/p'; }
is "upload without a form" 400 "$(code /v1/files '{}')"
is "upload without purpose" 400 "$(curl -sS -o /dev/null -w '%{http_code}' -F file=@"$tmp/in" "$url/v1/files")"
f=$(curl -sS -F purpose=batch -F file=@"$tmp/in" "$url/v1/files" | file_of)
is "a batch needs its file" 400 "$(code /v1/batches '{"input_file_id":"none","endpoint":"/v1/chat/completions","completion_window":"24h"}')"
is "a batch needs its window" 400 "$(code /v1/batches "{\"input_file_id\":\"$f\",\"endpoint\":\"$chat_path\"}")"
new="{\"input_file_id\":\"$f\",\"endpoint\":\"$chat_path\",\"completion_window\":\"24h\",\"metadata\":{\"inferfs\":\"T\"}}"
has "batch settings are checked" 'states' "$(ctl batches '{"states":["sleeping"]}')"
has "batch settings" '"ok":true' "$(ctl batches '{"lines":[{"match":"\"b\"","as":"refused"},{"match":"\"c\"","as":"expired"}]}')"
b=$(post /v1/batches "$new" | sed -n 's/.*"id":"\(batch_[0-9]*\)".*/\1/p')
has "a batch waits" '"status":"in_progress"' "$(get "/v1/batches/$b")"
out=$(get "/v1/batches/$b")
has "a batch ends" '"status":"completed"' "$out"
has "its counts" '{"total":4,"completed":2,"failed":1}' "$out"
o=$(printf %s "$out" | sed -n 's/.*"output_file_id":"\([^"]*\)".*/\1/p')
e=$(printf %s "$out" | sed -n 's/.*"error_file_id":"\([^"]*\)".*/\1/p')
is "answers" 2 "$(get "/v1/files/$o/content" | grep -c '"status_code":200')"
has "an answer" '"content":"echo: one"' "$(get "/v1/files/$o/content" | grep '"custom_id":"a"')"
has "an error" '"status_code":400' "$(get "/v1/files/$e/content")"
has "an expired line" '"code":"batch_expired"' "$(get "/v1/files/$e/content")"
has "a list" '"has_more":false' "$(get /v1/batches)"
has "a deletion" '"deleted":true' "$(curl -sS -X DELETE "$url/v1/files/$f")"
is "it is gone" 404 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/v1/files/$f/content")"
has "it is recorded" "/v1/files/$f" "$(get '/_ctl/requests?last=2')"
is "no batch" 404 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/v1/batches/none")"
# an answer that is lost, and states that the test moves
ctl reset >/dev/null
f=$(curl -sS -F purpose=batch -F file=@"$tmp/in" "$url/mistral/v1/files" | file_of)
new="{\"input_files\":[\"$f\"],\"endpoint\":\"$chat_path\",\"model\":\"m\",\"metadata\":{\"inferfs\":\"T\"}}"
is "mistral refuses unknown members" 422 "$(code /mistral/v1/batch/jobs "{\"x\":1,${new#?}")"
script '[{"path":"/batch/jobs","times":1,"lose":true}]'
is "a lost answer" 000 "$(code /mistral/v1/batch/jobs "$new" 2>/dev/null)"
ctl batches '{"hold":true}' >/dev/null
j=$(get /mistral/v1/batch/jobs | grep -o '"id":"job-[0-9]*"' | cut -d'"' -f4)
has "held" '"status":"QUEUED"' "$(get "/mistral/v1/batch/jobs/$j")"
ctl advance >/dev/null
has "moved" '"status":"RUNNING"' "$(get "/mistral/v1/batch/jobs/$j")"
has "cancelling" '"status":"CANCELLATION_REQUESTED"' "$(curl -sS -X POST "$url/mistral/v1/batch/jobs/$j/cancel")"
ctl advance >/dev/null
has "cancelled" '"status":"CANCELLED"' "$(get "/mistral/v1/batch/jobs/$j")"
# the two that are not OpenAI's relatives
ctl reset >/dev/null
up=$(curl -sS -D - -o /dev/null -H 'X-Goog-Upload-Protocol: resumable' -H 'X-Goog-Upload-Command: start' \
	-H 'X-Goog-Upload-Header-Content-Length: 62' -d '{}' "$url/gemini/upload/v1beta/files" | tr -d '\r' | sed -n 's/^X-Goog-Upload-URL: //p')
is "gemini wants the announced bytes" 400 "$(curl -sS -o /dev/null -w '%{http_code}' -H 'X-Goog-Upload-Offset: 0' \
	-H 'X-Goog-Upload-Command: upload, finalize' -d 'short' "$up")"
f=$(printf '{"key":"a","request":{"contents":[{"parts":[{"text":"x"}]}]}}\n' | curl -sS -H 'X-Goog-Upload-Offset: 0' \
	-H 'X-Goog-Upload-Command: upload, finalize' --data-binary @- "$up" | sed -n 's/.*"name":"\(files[^"]*\)".*/\1/p')
b=$(post /gemini/v1beta/models/m:batchGenerateContent "{\"batch\":{\"displayName\":\"T\",\"inputConfig\":{\"fileName\":\"$f\"}}}" |
	sed -n 's/.*"name":"\(batches[^"]*\)".*/\1/p')
has "gemini pending" 'BATCH_STATE_RUNNING' "$(get "/gemini/v1beta/$b")"
has "gemini done" '"done":true' "$(get "/gemini/v1beta/$b")"
is "gemini hides what there is not" 403 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/gemini/v1beta/files/none")"
is "anthropic wants a version" 400 "$(code /anthropic/v1/messages/batches '{}')"
vpost() { curl -sS -m 20 -H 'anthropic-version: 2026-10-21' ${2:+-d "$2"} "$url$1"; }
one='{"custom_id":"a","params":{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}}'
has "anthropic refuses streams" 'without stream' "$(vpost /anthropic/v1/messages/batches '{"requests":[{"custom_id":"a","params":{"stream":false}}]}')"
b=$(vpost /anthropic/v1/messages/batches "{\"requests\":[$one]}" | sed -n 's/.*"id":"\(msgbatch_[0-9]*\)".*/\1/p')
vpost "/anthropic/v1/messages/batches/$b" >/dev/null
has "anthropic ended" '"processing_status":"ended"' "$(vpost "/anthropic/v1/messages/batches/$b")"
has "anthropic results" '"type":"succeeded"' "$(vpost "/anthropic/v1/messages/batches/$b/results")"
ctl reset >/dev/null

# Bodies for a judge.
mkdir "$tmp/bodies"
PROVIDER_BODIES=$tmp/bodies
PROVIDER_TEST='a test'
export PROVIDER_BODIES PROVIDER_TEST
start judged --port 0
tls_pid=$started
at=http://127.0.0.1:$port
curl -sS -o /dev/null -d '{"model":"m",
"input":"x"}' "$at/vllm/v1/embeddings?a=b"
curl -sS -o /dev/null -d '' "$at/_ctl/extra?match=%22foo%22"
curl -sS -o /dev/null -d '{"foo":1}' "$at/ollama/api/chat"
curl -sS -o /dev/null -X DELETE -d '{"model":"x"}' "$at/ollama/api/delete"
curl -sS -o /dev/null -F file=@/dev/null "$at/v1/files"
curl -sS -o /dev/null "$at/v1/models"
curl -sS -o /dev/null -d '' "$at/_ctl/reset"
curl -sS -o /dev/null -d '{"foo":1}' "$at/ollama/api/chat"
is "extra needs a match" 400 "$(curl -sS -o /dev/null -w '%{http_code}' -d '' "$at/_ctl/extra")"
is "bodies" '{"dialect":"vllm","method":"POST","path":"/v1/embeddings?a=b","test":"a test","extra":false,"body":{"model":"m", "input":"x"}}
{"dialect":"ollama","method":"POST","path":"/api/chat","test":"a test","extra":true,"body":{"foo":1}}
{"dialect":"ollama","method":"DELETE","path":"/api/delete","test":"a test","extra":false,"body":{"model":"x"}}
{"dialect":"ollama","method":"POST","path":"/api/chat","test":"a test","extra":false,"body":{"foo":1}}' "$(cat "$tmp"/bodies/*.jsonl)"
kill "$tls_pid"
wait "$tls_pid"
unset PROVIDER_BODIES PROVIDER_TEST

# TLS.
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
	-keyout "$tmp/key.pem" -out "$tmp/cert.pem" 2>/dev/null
start tls --tls "$tmp/cert.pem" "$tmp/key.pem"
tls_pid=$started
is "tls" "$text" "$(curl -sS -m 20 --cacert "$tmp/cert.pem" -d "$stream" "https://127.0.0.1:$port$chat_path" | join)"
curl -sS -m 20 "https://127.0.0.1:$port/v1/models" >/dev/null 2>&1; is "tls unknown authority" 60 $?
curl -sS --cacert "$tmp/cert.pem" -d '[{"piece_delay_ms":5,"piece_barriers":{"2":"T"}},{"text":"x"}]' "https://127.0.0.1:$port/_ctl/script" >/dev/null
curl -sS -m 20 --cacert "$tmp/cert.pem" -d "$stream" "https://127.0.0.1:$port$chat_path" >"$tmp/a" & a=$!
has "tls waits" '"waiting":1' "$(curl -sS --cacert "$tmp/cert.pem" "https://127.0.0.1:$port/_ctl/waiting?name=T")"
curl -sS --cacert "$tmp/cert.pem" -d '' "https://127.0.0.1:$port/_ctl/release?name=T" >/dev/null
wait $a
is "tls barrier" "$text" "$(join <"$tmp/a")"

# The end: SIGTERM with a connection still held.
ctl reset >/dev/null
script '[{"no_answer":true}]'
post $chat_path "$chat" >/dev/null & a=$!
get '/_ctl/count?at_least=1' >/dev/null
kill -TERM "$pid"
wait "$pid"; is "ends on SIGTERM" 0 $?
pid=
wait $a

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
