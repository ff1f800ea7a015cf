# starting and ending: what refuses, with which sentence and exit status; signals; a mount left dead
bats_require_minimum_version 1.5.0
load ../lib/helpers

setup() { setup_dirs; }
teardown() {
	cd "$TOP" || return 1
	finish_test
}

refused() { # STATUS REGEX ARGUMENT...
	local out rc=0

	out=$(daemon_run "${@:3}" 2>&1) || rc=$?
	is "$rc" "$1" "exit status of inferfs ${*:3} ($out)"
	like "$out" "$2"
	is "$(wc -l <<<"$out")" "$([ "$1" = 2 ] && echo 2 || echo 1)" "one sentence: $out"
	if mounted; then
		echo "it is mounted all the same"
		return 1
	fi
}
OPTS() { echo "state=$STATE,cache=disk:$CACHE,log_file=$LOG${1:+,$1}"; }

@test "wrong usage exits 2 and says what is wrong" {
	refused 2 'no mount point'
	refused 2 'one argument too many' a b c
	refused 2 'no option -x' -x "$M"
	refused 2 'do you mean model\?' "$M" -o modle=echo/echo
	refused 2 '-o wants options' "$M" -o
}

@test "help and version exit 0 on standard output" {
	run -0 "$INFERFS" --help
	like "$output" 'usage: inferfs'
	like "$output" 'cache_mode='
	run -0 "$INFERFS" -V
	like "$output" '^inferfs [0-9]+\.[0-9]+'
}

@test "without any backend it does not mount, and names what would help" {
	refused 1 'MISTRAL_API_KEY.*echo/echo' "$M" -o "$(OPTS)"
}

@test "a bad configuration is refused with file and line" {
	printf '[inferfs]\nmodel = echo/echo\ntimout = 5\n' >"$W/c.ini"
	refused 1 "c.ini:3: .*do you mean timeout\?" "$M" -o "$(OPTS "config=$W/c.ini")"
	refused 1 "c.ini:3: " "$W/c.ini" "$M" -o "$(OPTS)"
	refused 1 "nowhere.ini" "$M" -o "$(OPTS "config=$W/nowhere.ini")"
}

@test "a limit on money that nothing would hold refuses to start" {
	refused 1 'budget_usd is not in force' "$M" -o "$(OPTS "model=echo/echo,budget_usd=5")"
	printf '[inferfs]\nbudget_usd = 5\n' >"$W/c.ini"
	refused 1 'budget_usd is not in force' "$W/c.ini" "$M" -o "$(OPTS model=echo/echo)"
}

@test "a model of a backend that there is not is refused" {
	refused 1 'do you mean echo\?' "$M" -o "$(OPTS model=ecko/echo)"
	refused 1 'BACKEND/MODEL' "$M" -o "$(OPTS model=echo)"
}

@test "a mount point that is not there, or no directory" {
	refused 1 'does not exist' "$W/none" -o "$(OPTS model=echo/echo)"
	: >"$W/file"
	refused 1 'not a directory' "$W/file" -o "$(OPTS model=echo/echo)"
}

@test "state, cache, log and configuration inside the mount point are refused" {
	ln -s "$M" "$W/link"
	cd "$W"
	refused 1 'the state directory .* inside' "$M" -o "model=echo/echo,state=$M/s,cache=tmp:"
	refused 1 'the state directory .* inside' "$M" -o "model=echo/echo,state=link/s,cache=tmp:"
	refused 1 'the cache directory .* inside' "$M" -o "model=echo/echo,state=$STATE,cache=disk:$M/c"
	refused 1 'the log file .* inside' "$M" -o "model=echo/echo,state=$STATE,cache=tmp:,log_file=$M/l"
	refused 1 'lies inside the state directory' "$M" -o "model=echo/echo,state=$W,cache=tmp:"
}

@test "a second daemon on one state directory is refused with a sentence" {
	mount_inferfs
	mkdir "$W/m2"
	run daemon_run "$W/m2" -o "model=echo/echo,state=$STATE,cache=tmp:"
	is "$status" 1
	like "$output" 'in use by another inferfs'
	ask_file a '{"prompt":"still here"}'
	is "$(answer a)" "You said: still here"
}

@test "unmount and mount again at once" {
	mount_inferfs
	ask_file a '{"prompt":"before"}'
	is "$(answer a)" "You said: before"
	for _ in 1 2 3; do
		fusermount3 -u "$M"
		remount
	done
	is "$(answer a)" "You said: before"
}

@test "the command returns when the mount answers, and holds no pipe of its caller" {
	out=$(daemon_run "$M" -o "$(OPTS model=echo/echo)"; ls "$M")
	like "$out" prompts
	mounted
}

@test "called as mount(8) calls it" {
	daemon_run none "$M" -o "rw,$(OPTS model=echo/echo),dev,suid,noauto,_netdev,x-systemd.automount"
	is "$(awk -v m="$M" '$2 == m { print $3 }' /proc/mounts)" fuse.inferfs
	like "$(awk -v m="$M" '$2 == m { print $4 }' /proc/mounts)" 'nosuid,nodev.*default_permissions'
}

@test "a comma in a path is escaped with a backslash" {
	daemon_run "$M" -o "model=echo/echo,log_file=$LOG,state=$W/a\\,b,cache=disk:$W/c\\,d"
	ask_file a '{"prompt":"x"}'
	is "$(answer a)" "You said: x"
	[ -d "$W/a,b/prompts" ]
	[ -d "$W/c,d/objects" ]
}

@test "SIGTERM: gone within two seconds, not mounted, waiting readers get an answer" {
	mount_inferfs
	ask_file slow '{"prompt":"x","extra_body":{"delay_ms":600000}}'
	cat "$M/responses/slow/text" 2>"$W/err" 3>&- &
	reader=$!
	until_true 5 has_status slow running
	pid=$(daemon_pid)
	start=$(now_ms)
	kill -TERM "$pid"
	wait_gone "$pid" 3
	[ $(($(now_ms) - start)) -lt $((2000 * SLOW)) ]
	wait "$reader" && return 1
	like "$(cat "$W/err")" 'Cannot send after transport endpoint shutdown'
	if mounted; then return 1; fi
	remount
	is "$(status_of slow)" running
}

@test "-f stays, logs to standard error, and ends with the unmount" {
	"$INFERFS" -f "$M" -o "model=echo/echo,state=$STATE,cache=tmp:" 2>"$W/err" 3>&- &
	pid=$!
	until_true 10 test -e "$M/README.md"
	until_true 10 grep -q 'info inferfs .* default model echo/echo' "$W/err"
	fusermount3 -u "$M"
	wait "$pid"
	like "$(cat "$W/err")" 'was unmounted'
}

@test "SIGHUP checks the configuration and goes on" {
	mount_inferfs
	pid=$(daemon_pid)
	kill -HUP "$pid"
	until_true 5 grep -q 'SIGHUP: .*is good' "$LOG"
	expect_log 'SIGHUP: .*config.ini:1: '
	echo '[inferfz]' >"$W/config.ini"
	kill -HUP "$pid"
	until_true 5 grep -q 'the running configuration stays' "$LOG"
	ask_file a '{"prompt":"x"}'
	is "$(answer a)" "You said: x"
}

@test "a dead mount is cleaned by the next start" {
	mount_inferfs
	ask_file a '{"prompt":"x"}'
	is "$(answer a)" "You said: x"
	kill9
	run ls "$M"
	[ "$status" -ne 0 ]
	remount
	is "$(answer a)" "You said: x"
}

@test "no secret in the process list, the log, the mount or a core dump" {
	start_provider
	export TEST_KEY=sk-very-secret-9876543210
	mount_inferfs
	pid=$(daemon_pid)
	ask_file a '{"prompt":"x","model":"m/small"}'
	answer a >/dev/null
	if grep -q very-secret "/proc/$pid/cmdline" "$LOG"; then return 1; fi
	if grep -rq very-secret "$M" --exclude=stream; then return 1; fi
	is "$(awk '/^Max core file size/ { print $5 }' "/proc/$pid/limits")" 0
}

@test "what is read and not in force is said in the log" {
	expect_log 'not in force in this version'
	mount_inferfs $'[inferfs]\nmodel = echo/echo\n[route auto]\nall = otherwise -> echo/echo'
	grep -q 'route auto is read and checked, and not in force' "$LOG"
}

@test "README.md in the mount says how to use this one" {
	mount_inferfs $'[inferfs]\nmodel = fast\n[alias]\nfast = echo/echo'
	grep -q "cd $M" "$M/README.md"
	grep -q 'default model: `echo/echo`' "$M/README.md"
	run bash -c "echo x > '$M/README.md'"
	[ "$status" -ne 0 ]
}
