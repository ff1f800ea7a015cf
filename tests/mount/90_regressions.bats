# bugs that were there once, each reduced to its cause
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

prompt() { fop put "$P/$1.json" "{\"prompt\":\"$2\"}"; }

@test "without TLS the second call does not wait for the first one's headers" {
	mount_inferfs
	provider_hold
	prompt a one
	prompt b two
	provider_waiting hold 2
	provider_release hold
	answer b
}

@test "a dead mount whose root the kernel still remembers is replaced, not covered" {
	mount_inferfs
	ls -la "$M" >/dev/null
	kill9
	remount
	is "$(grep -c " $M " /proc/mounts)" 1
	umount_inferfs
	mounted && false
	true
}

@test "who waits for a request whose prompt goes is told ECANCELED, not that the daemon ends" {
	mount_inferfs
	provider_hold
	prompt a x
	provider_waiting hold 1
	"$TOOLS/park" 4 "$R/a/text" "$R/a/stream" >"$W/out" 2>"$W/err" 3>&- &
	local readers=$!
	until_true 20 grep -q parked "$W/out"
	prompt a y
	wait $readers && false
	is "$(grep -c 'Operation canceled' "$W/err")" 3 "the fourth line is not printed:"
	unlike "$(cat "$W/err")" shutdown
	provider_release hold
	is "$(answer a)" "echo: y"
}

@test "a state directory that cannot be made says why, not that it is not there" {
	[ "$(id -u)" = 0 ] || skip "needs root, to mount a read-only file system"
	mkdir "$W/ro"
	mount -t tmpfs -o ro tmpfs "$W/ro"
	STATE=$W/ro/a/b run mount_inferfs
	umount "$W/ro"
	is "$status" 1
	like "$output" 'Read-only file system'
}

@test "one key whose names come and go in two processes always has its object" {
	PORT='' mount_inferfs
	python3 - "$M" "$STATE" <<'PY'
import glob, os, sys, threading, time
m, state = sys.argv[1:]
end, bad = time.time() + 2, []
def work(k):
    prompt, text = f"{m}/prompts/n{k}.json", f"{m}/responses/n{k}/text"
    while time.time() < end and not bad:
        try:
            with open(prompt, "w") as f:
                f.write('{"prompt":"same"}')
            with open(text) as f:
                said = f.read()
            if said != "You said: same\n" or not glob.glob(f"{state}/answers/*/*/*.json"):
                bad.append(said)
            os.unlink(prompt)
        except OSError as e:
            bad.append(e)
threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
for t in threads: t.start()
for t in threads: t.join()
sys.exit(f"wrong: {bad}" if bad else 0)
PY
}
