# helpers.bash - what the mount tests share
#
#	load ../lib/helpers
#	setup() { setup_dirs; start_provider; mount_inferfs; }
#	teardown() { finish_test; }
#
# Each test has a directory of its own: $W, with the mount $M, $STATE, $CACHE and the daemon's $LOG. Nothing here
# sleeps in order to synchronise: what has no event to wait for is looked at again until a bound is reached.
# shellcheck shell=bash disable=SC2034,SC2119,SC2120

# bats shows no text for a failed [ ]: these do
is() { # GOT WANTED [WHAT]
	[ "$1" = "$2" ] && return
	printf '%s\n  wanted: %s\n  got:    %s\n' "${3:-different:}" "$2" "$1"
	return 1
}
like() { # TEXT BASH-REGEX [WHAT]
	[[ $1 =~ $2 ]] && return
	printf '%s\n  wanted a match of: %s\n  got: %s\n' "${3:-no match:}" "$2" "$1"
	return 1
}
unlike() { # TEXT BASH-REGEX
	[[ $1 =~ $2 ]] || return 0
	printf 'a match of %s where none should be: %s\n' "$2" "$1"
	return 1
}

# ---- places -----------------------------------------------------------------------------------------------------

setup_dirs() {
	local build=${INFERFS_BUILD:-build}

	# its time limit is a job of this shell; killed, it leaves a sleep behind that keeps the pipe to the output open
	JOBS_OF_BATS=$(jobs -p | tr '\n' ' ')

	TOP=$PWD
	BUILD=$(readlink -f "$build")
	INFERFS=$BUILD/inferfs
	INFERCTL=$BUILD/inferctl
	TOOLS=$BUILD/tools
	PROVIDER=$BUILD/provider
	case $build in
	*san) SLOW=4 ;;
	*) SLOW=1 ;;
	esac
	W=$(mktemp -d "${TMPDIR:-/tmp}/t.XXXXXX")
	M=$W/m STATE=$W/state CACHE=$W/cache LOG=$W/log
	mkdir "$M" "$W/home"
	# nothing of the person who runs the tests: no key, no configuration, no server found by chance
	unset MISTRAL_API_KEY OPENAI_API_KEY OPENAI_BASE_URL OPENAI_API_BASE MISTRAL_BASE_URL OLLAMA_HOST \
		INFERFS_MOUNT XDG_STATE_HOME XDG_CACHE_HOME XDG_CONFIG_HOME http_proxy https_proxy all_proxy \
		HTTP_PROXY HTTPS_PROXY ALL_PROXY
	export HOME=$W/home TEST_KEY=sk-test-0123456789abcdef LC_ALL=C
	export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}:log_path=$W/sanitizer
	export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}:log_path=$W/sanitizer
	export TSAN_OPTIONS=${TSAN_OPTIONS:-second_deadlock_stack=1}:log_path=$W/sanitizer
	PORT='' PROVIDERS=0 PROVIDER_PIDS=() DAEMON_ENV=() MOUNT_ARGS=() LOG_EXPECTED=()
}

# the repository's neighbour, where there is one; a test that needs it says so aloud when it is not there
shared() { # PATH BELOW ../shared
	[ -e "$TOP/../shared/$1" ] || skip "../shared/$1 is not beside the checkout"
	readlink -f "$TOP/../shared/$1"
}

# ---- the scripted provider (tests/provider/README) ----------------------------------------------------------------

start_provider() { # [ARGUMENT]...: sets PORT; a second one is started the same way, and PORT is then its port
	local fifo=$W/provider.$((++PROVIDERS)) word

	mkfifo "$fifo"
	PROVIDER_TEST="${BATS_TEST_FILENAME##*/}: $BATS_TEST_DESCRIPTION" "$PROVIDER" --port 0 --log "$fifo.log" "$@" >"$fifo" 2>"$fifo.err" 3>&- &
	PROVIDER_PIDS+=($!)
	read -r -t 20 word PORT <"$fifo"
	is "$word" listening "the provider did not start: $(cat "$fifo.err")"
}
stop_provider() { # the last one; its port then refuses connections
	kill "${PROVIDER_PIDS[-1]}"
	wait "${PROVIDER_PIDS[-1]}" || true
	unset 'PROVIDER_PIDS[-1]'
}
provider_ctl() { # ADDRESS BELOW /_ctl/ [CURL ARGUMENT]...
	curl -sS --fail-with-body --noproxy '*' -m $((60 * SLOW)) "http://127.0.0.1:$PORT/_ctl/$1" "${@:2}"
}
provider_script() { provider_ctl "script" -d "$1" >/dev/null; } # JSON ARRAY: replaces the rules
provider_append() { provider_ctl "script?append=1" -d "$1" >/dev/null; }
provider_release() { provider_ctl "release?name=$1" -d '' >/dev/null; } # NAME
# bodies with this text in them are this test's own words: not held against the provider's description
provider_extra() { provider_ctl extra -G --data-urlencode "match=$1" -X POST >/dev/null; } # TEXT
provider_reset() { provider_ctl reset -d '' >/dev/null; }
provider_key() { provider_ctl "key?value=$1" -d '' >/dev/null; }
provider_waiting() { # NAME [N]: returns when so many wait at the barrier
	provider_ctl "waiting?name=$1&count=${2:-1}&timeout_ms=$((20000 * SLOW))" >/dev/null
}
# how many POST requests came: provider_count; wait until there are N: provider_count N
provider_count() { provider_ctl "count?at_least=${1:-0}&timeout_ms=$((20000 * SLOW))"; }
provider_aborted() { provider_ctl "aborted?at_least=${1:-1}&timeout_ms=$((20000 * SLOW))"; }
provider_requests() { provider_ctl requests | jq -rc "${1:-.}"; } # [JQ FILTER] over {"count","requests":[...]}
provider_times() { provider_ctl times | jq -r '.pieces[]'; }
# a barrier before piece N: the stream stops there until provider_release
provider_hold_at() { provider_script "[{\"piece_barriers\":{\"$1\":\"${2:-hold}\"}}]"; } # PIECE [NAME]
provider_hold() { provider_script "[{\"barrier\":\"${1:-hold}\"}]"; } # [NAME]: before the headers

# ---- the daemon ---------------------------------------------------------------------------------------------------

# a configuration with the backends p (OpenAI) and m (Mistral) at the provider; more lines go into both sections
provider_config() { # [LINE]...
	local more

	more=$(printf '%s\n' "$@")
	printf '%s\n' "[inferfs]" "model = p/small" \
		"[backend p]" "type = openai" "url = http://127.0.0.1:$PORT/v1" "price = free" \
		"backoff_ms = 2" "backoff_max_ms = 10" "breaker_failures = ${BREAKER:-0}" "$more" \
		"[backend m]" "type = mistral" "url = http://127.0.0.1:$PORT/mistral" "price = free" \
		"key_env = TEST_KEY" "backoff_ms = 2" "backoff_max_ms = 10" "breaker_failures = ${BREAKER:-0}" "$more"
}

# mount_inferfs [-o OPTIONS] [CONFIGURATION]: mounts at $M; without a configuration the provider's, or echo
mount_inferfs() {
	local more='' config

	while [ "${1:-}" = -o ]; do
		more=$more,$2
		shift 2
	done
	if [ $# -gt 0 ]; then
		config=$1
	elif [ -n "$PORT" ]; then
		config=$(provider_config)
	else
		config=$'[inferfs]\nmodel = echo/echo'
	fi
	printf '%s\n' "$config" >"$W/config.ini"
	MOUNT_ARGS=("$M" -o "config=$W/config.ini,state=$STATE,cache=disk:$CACHE,log_file=$LOG$more")
	remount
}
remount() { # again, with the same arguments
	daemon_run "${MOUNT_ARGS[@]}"
}
daemon_run() { # ARGUMENT...: inferfs as the tests want it
	timeout $((15 * SLOW)) env "${DAEMON_ENV[@]}" "$INFERFS" "$@" 3>&- </dev/null
}

daemon_pids() { # every daemon of this test
	local pid

	for pid in $(pgrep -f -- "$W/"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = inferfs ] && echo "$pid"
	done
	return 0
}
daemon_pid() { # the one at $M
	local pid

	for pid in $(pgrep -f -- "$M -o |$M\$"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = inferfs ] && echo "$pid"
	done | head -n 1
}
gone() { # PID: also when only its exit status is left, which not every init collects at once
	local stat

	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
	[[ ${stat##*) } == [ZX]* ]]
}
wait_gone() { # PID [SECONDS]
	until_true "${2:-10}" gone "$1"
}
mounted() { # [PATH]: also when nobody is behind it any more
	awk -v m="${1:-$M}" '$2 == m { found = 1 } END { exit !found }' /proc/mounts
}
kill9() {
	local pid

	pid=$(daemon_pid)
	kill -9 "$pid"
	wait_gone "$pid"
}
umount_inferfs() { # and the daemon is gone when it returns
	local pid

	pid=$(daemon_pid)
	fusermount3 -u "$M"
	wait_gone "$pid"
}

# ---- asking -------------------------------------------------------------------------------------------------------

ask_file() { # NAME JSON: writes prompts/NAME.json; the status is that of its close(2)
	"$TOOLS/errnoof" write "$M/prompts/$1.json" "$2" >/dev/null
}
answer() { # NAME: the text, waiting for it at most a bound
	timeout $((30 * SLOW)) cat "$M/responses/$1/text"
}
status_of() { cat "$M/responses/$1/status"; } # NAME
until_true() { # SECONDS COMMAND...: again and again until it is true
	local end=$((SECONDS + $1 * SLOW + 1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.02
	done
}
has_status() { [ "$(status_of "$1" 2>/dev/null)" = "$2" ]; } # NAME WORD
wait_status() { # NAME WORD [SECONDS]
	until_true "${3:-20}" has_status "$1" "$2" && return
	echo "responses/$1/status is '$(status_of "$1" 2>&1)', wanted $2"
	cat "$M/responses/$1/error.json" 2>/dev/null || true
	return 1
}
stored_objects() { find "$CACHE" -path '*objects*' -type f 2>/dev/null | wc -l; }
summary() { jq -r ".$1" "$M/stats/summary.json"; } # MEMBER
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# ---- the end ------------------------------------------------------------------------------------------------------

# a line of level warning or error that this test causes on purpose
expect_log() { LOG_EXPECTED+=("$1"); } # EXTENDED REGEX

log_is_quiet() {
	local bad pattern

	bad=$(cat "$W"/log* 2>/dev/null | grep -E '^[^ ]+ (error|warning) ')
	for pattern in "${LOG_EXPECTED[@]}"; do
		bad=$(grep -Ev -- "$pattern" <<<"$bad")
	done
	if [ -n "$bad" ]; then
		printf 'the log has lines that this test does not expect:\n%s\n' "$bad"
		return 1
	fi
	if compgen -G "$W/sanitizer*" >/dev/null; then
		echo "a sanitizer reported:"
		head -n 60 "$W"/sanitizer*
		return 1
	fi
}

unmount_all() { # 1 when a daemon had to be killed
	local m pid rc=0

	awk -v d="$W/" 'index($2, d) == 1 { print $2 }' /proc/mounts | sort -r | while read -r m; do
		fusermount3 -u "$m" 2>/dev/null || fusermount3 -uz "$m" 2>/dev/null || umount -l "$m"
	done
	for pid in $(daemon_pids); do
		wait_gone "$pid" 3 && continue
		echo "the daemon $pid was still there three seconds after the unmount"
		kill -9 "$pid" 2>/dev/null
		rc=1
	done
	return $rc
}

# unmounts, ends what was started, reads the log; as the last command of teardown its failure is the test's
finish_test() {
	local rc=0 pid

	[ -n "${W:-}" ] || return 0
	cd "$TOP" || return 1
	for pid in $(jobs -p); do
		[[ " $JOBS_OF_BATS ${PROVIDER_PIDS[*]} " == *" $pid "* ]] || kill "$pid" 2>/dev/null
	done
	unmount_all || rc=1
	for pid in "${PROVIDER_PIDS[@]}"; do
		kill "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	log_is_quiet || rc=1
	if [ "${BATS_TEST_COMPLETED:-0}" != 1 ] && [ -z "${BATS_TEST_SKIPPED:-}" ]; then
		echo "--- the daemon's log:"
		tail -n 20 "$W"/log* 2>/dev/null
	fi
	[ $rc = 0 ] || return 1
	rm -rf --one-file-system "$W"
	return 0
}
