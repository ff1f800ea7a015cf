# failures.bash - the errno table of the mount as rows: what the server (or the network) does, and what a reader gets
#
# Every row is run at an OpenAI server (backend p) and at a Mistral server (backend m), and seen in five ways: open of
# text, read of stream, ask, O_SYNC and a mount with -o wait. All rows of one way run at the same time.
# shellcheck shell=bash

# NAME|ERRNO|CALLS|CATEGORY|BACKEND|MORE FIELDS|RULE AT THE SERVER
#   CALLS: POST requests that the server must see when `retries = 2`; - when they cannot reach it
#   BACKEND: the letters behind p or m: s a short stall_timeout, r refused, u unknown host, t a bad certificate, k no key
#   RULE: @BADKEY, @CONTEXT and @QUOTA are bodies in the server's own form; empty: it answers
failure_rows() {
	cat <<'ROWS'
r401|EKEYREJECTED|1|auth|||{"status":401}
r403|EKEYREJECTED|1|auth|||{"status":403}
badkey|EKEYREJECTED|1|auth|||{"status":400,"body":@BADKEY}
r404|ENXIO|1|not_found|||{"status":404}
nomodel|ENXIO|1|not_found||"model":"@D/nope"|
r400|EINVAL|1|request|||{"status":400}
r422|EINVAL|1|request|||{"status":422}
r418|EINVAL|1|request|||{"status":418}
r413|EMSGSIZE|1|too_large|||{"status":413}
context|EMSGSIZE|1|too_large|||{"status":400,"body":@CONTEXT}
r402|EDQUOT|1|quota|||{"status":402}
quota|EDQUOT|1|quota|||{"status":429,"body":@QUOTA}
r429|EBUSY|3|rate_limit|||{"status":429}
r500|EREMOTEIO|3|provider|||{"status":500}
r502|EREMOTEIO|3|provider|||{"status":502,"body":"<html>bad gateway</html>","content_type":"text/html"}
r503|EREMOTEIO|3|provider|||{"status":503}
r409|EREMOTEIO|3|provider|||{"status":409}
r425|EREMOTEIO|3|provider|||{"status":425}
r408|ETIMEDOUT|3|timeout|||{"status":408}
r302|EBADMSG|1|provider|||{"status":302,"body":"moved","headers":{"Location":"/v1/elsewhere"}}
r307|EBADMSG|1|provider|||{"status":307,"body":"","headers":{"Location":"/v1/elsewhere"}}
html|EBADMSG|1|provider|||{"body":"<html><body>log in first</body></html>","content_type":"text/html"}
nobody|EBADMSG|1|provider|||{"empty":true}
nostream|EBADMSG|1|provider|||{"body":"","content_type":"text/event-stream"}
onlydone|EBADMSG|1|provider|||{"body":"data: [DONE]\n\n","content_type":"text/event-stream"}
notjson|EBADMSG|1|provider|||{"body":"data: {\"choices\":[\n\n","content_type":"text/event-stream"}
otherjson|EBADMSG|1|provider|||{"body":{"hello":1},"content_type":"application/json"}
plain|EBADMSG|1|provider|||{"body":"good morning","content_type":"text/plain"}
reset|EREMOTEIO|-|provider|||{"reset":true}
cut|EREMOTEIO|2|provider|||{"cut_after_pieces":1}
resetmid|EREMOTEIO|2|provider|||{"reset_after_pieces":1}
endearly|EREMOTEIO|2|provider|||{"end_after_pieces":1}
nodone|EREMOTEIO|2|provider|||{"end_without_done":true}
errevent|EREMOTEIO|2|provider|||{"error_event":{"error":{"message":"the machine is on fire","type":"server_error"}},"error_at":1}
finish|EREMOTEIO|1|provider|||{"finish_reason":"error"}
stall|ETIMEDOUT|2|timeout|s||{"stall_after_pieces":1}
silent|ETIMEDOUT|2|timeout|s||{"no_answer":true}
deadline|ETIMEDOUT|-|timeout||"timeout":0.7|{"barrier":"never"}
refused|ECONNREFUSED|-|network|r||
noname|EHOSTUNREACH|-|network|u||
badcert|EPROTO|-|network|t||
only|ENODATA|0|cache||"cache":"only"|
ROWS
}

# refused before anything is sent: close(2) itself fails
refusal_rows() {
	cat <<'ROWS'
nokey|ENOKEY|0|auth|k||
unknownfield|EINVAL|0|request||"temprature":1|
illtyped|EINVAL|0|request||"temperature":"hot"|
outofrange|EINVAL|0|request||"temperature":-1|
twoprompts|EINVAL|0|request||"messages":[{"role":"user","content":"x"}]|
topk|EOPNOTSUPP|0|unsupported||"top_k":3|
tools|EOPNOTSUPP|0|unsupported||"tools":[{"type":"web_search"}]|
auto|EOPNOTSUPP|0|unsupported||"model":"auto"|
ROWS
}

error_body() { # DIALECT MESSAGE TYPE CODE
	if [ "$1" = p ]; then
		jq -nc --arg m "$2" --arg t "$3" --arg c "$4" '{error:{message:$m,type:$t,param:null,code:$c}}'
	else
		jq -nc --arg m "$2" --arg t "$3" --arg c "$4" '{object:"error",message:$m,type:$t,param:null,code:$c}'
	fi
}

# the script for all rows; every prompt of a row contains "NAME-"
failure_script() { # DIALECT
	local badkey context quota name rule

	badkey=$(error_body "$1" "This API key is not valid here." invalid_request_error invalid_api_key)
	context=$(error_body "$1" "The maximum context length is 4 tokens, this has 5." invalid_request_error \
		context_length_exceeded)
	quota=$(error_body "$1" "Nothing is left of this month's money." insufficient_quota insufficient_quota)
	failure_rows | while IFS='|' read -r name _ _ _ _ _ rule; do
		[ -n "$rule" ] || continue
		rule=${rule//@BADKEY/$badkey}
		rule=${rule//@CONTEXT/$context}
		rule=${rule//@QUOTA/$quota}
		printf '{"match":"%s-",%s\n' "$name" "${rule#?}"
	done | jq -sc .
}

self_signed() { # sets TLS_CERT, TLS_KEY
	TLS_CERT=$W/cert.pem TLS_KEY=$W/key.pem
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$TLS_KEY" -out "$TLS_CERT" 2>/dev/null
}

# the provider in both its forms, and a port where nobody listens
start_failing_servers() {
	self_signed
	start_provider
	REFUSED_PORT=$PORT
	stop_provider
	start_provider --tls "$TLS_CERT" "$TLS_KEY"
	TLS_PORT=$PORT
	start_provider
}

# FAILURE_PATH is where the dialect lives at the provider
failure_backend() { # NAME URL KEY_ENV [LINE]...
	local type=openai

	[[ $1 == m* ]] && type=mistral
	printf '%s\n' "[backend $1]" "type = $type" "url = $2" "key_env = $3" "price = free" "breaker_failures = 0" "backoff_ms = 2" \
		"backoff_max_ms = 10" "concurrency = 200" "retries = ${RETRIES:-2}" "${@:4}"
}
failure_config() { # DIALECT
	local d=$1 path=v1 other

	[ "$d" = m ] && path=mistral
	other=$([ "$d" = p ] && echo m || echo p)
	printf '%s\n' "[inferfs]" "model = $d/small"
	failure_backend "$d" "http://127.0.0.1:$PORT/$path" TEST_KEY
	failure_backend "${d}s" "http://127.0.0.1:$PORT/$path" TEST_KEY "stall_timeout = 0.4"
	failure_backend "${d}r" "http://127.0.0.1:$REFUSED_PORT/$path" TEST_KEY
	failure_backend "${d}u" "http://no-such-host.invalid/$path" TEST_KEY
	failure_backend "${d}t" "https://127.0.0.1:$TLS_PORT/$path" TEST_KEY
	failure_backend "${d}k" "http://127.0.0.1:$PORT/$path" NO_SUCH_VARIABLE
	[ "$other" = p ] && path=v1 || path=mistral
	failure_backend "$other" "http://127.0.0.1:$PORT/$path" TEST_KEY
}

failure_request() { # DIALECT NAME WAY BACKEND MORE
	local model="\"model\":\"$1$4/small\"," more=${5//@D/$1}

	[[ $more == *'"model"'* ]] && model=
	echo "{$model\"prompt\":\"$2-$3 one two three\"${more:+,$more}}"
}

# each prints what errnoof says: "ok", "close EINVAL", "open ENXIO" ...
errnoof() { "$TOOLS/errnoof" -t $((40 * SLOW)) "$@"; }
way_open() { # NAME REQUEST
	errnoof write "$M/prompts/$1.json" "$2" || true
	errnoof read "$M/responses/$1/text"
}
way_stream() {
	errnoof write "$M/prompts/$1.json" "$2" || true
	errnoof -o "$W/bytes.$1" read "$M/responses/$1/stream"
}
way_ask() { errnoof -e -o "$W/error.$1" ask "$M/ask" "$2"; }
way_sync() { errnoof -s write "$M/prompts/$1.json" "$2"; }
way_wait() { errnoof write "$M/prompts/$1.json" "$2"; }

# all rows at once; what each said is in $W/said.NAME
failure_run() { # DIALECT WAY ROWS-FUNCTION
	local name backend more pids=()

	while IFS='|' read -r name _ _ _ backend more _; do
		"way_$2" "$name" "$(failure_request "$1" "$name" "$2" "$backend" "$more")" >"$W/said.$name" 2>&1 3>&- &
		pids+=($!)
	done < <($3)
	wait "${pids[@]}" || true
}

# prints a line for every row that said something else
failure_compare() { # ROWS-FUNCTION WANTED-PREFIX ("open" -> "open ERRNO", one line for each word)
	local name errno word wanted said

	$1 | while IFS='|' read -r name errno _; do
		wanted=
		for word in $2; do
			wanted+="${wanted:+ }${word/%:/ $errno}"
		done
		wanted=${wanted//_/ }
		mapfile -t said <"$W/said.$name"
		[ "${said[*]}" = "$wanted" ] || echo "$name: wanted '$wanted', got '${said[*]}'"
	done
}

# a line for every row whose error file does not explain it; FILE with @ for the row's name
error_complaints() { # ROWS-FUNCTION FILE
	local name errno category path got
	local -A wanted=()
	local -a paths=()

	while IFS='|' read -r name errno _ category _; do
		path=${2//@/$name}
		wanted[$path]="$errno $category"
		paths+=("$path")
		[ -s "$path" ] || echo "$name: no error.json"
	done < <($1)
	# one jq for all: a process for each row would be most of the test's time
	jq -r '"\(input_filename)\t\(.errno) \(.category)" +
		(if (.code | type) == "number" and (.message | length) > 14 then "" else " no explanation" end)' \
		"${paths[@]}" | while IFS=$'\t' read -r path got; do
		[ "$got" = "${wanted[$path]}" ] || echo "$path: '$got', wanted '${wanted[$path]}'"
	done
}

calls_complaint() { # DIALECT ROWS-FUNCTION: rows whose prompt came to the server more or less often than CALLS
	local name calls got

	provider_requests '.requests[].body // ""' >"$W/bodies"
	$2 | while IFS='|' read -r name _ calls _; do
		[ "$calls" = - ] && continue
		got=$(grep -c -- "$name-" "$W/bodies")
		[ "$got" = "$calls" ] || echo "$name: $got calls, wanted $calls"
	done
}
