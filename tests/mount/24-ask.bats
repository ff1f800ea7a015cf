#!/usr/bin/env bats
# ask: one open file is one conversation.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
}
teardown() { finish_test; }

@test "write a question, read the answer, in JSON and in plain text" {
	mount_inferfs
	is "$("$TOOLS/errnoof" -o "$W/a" ask "$M/ask" '{"prompt":"in JSON"}')" ok
	is "$(cat "$W/a")" 'echo: in JSON'
	is "$("$TOOLS/errnoof" -o "$W/a" ask "$M/ask" 'in plain words')" ok
	is "$(cat "$W/a")" 'echo: in plain words'
	exec 5<>"$M/ask"
	echo 'with a shell' >&5
	is "$(cat <&5)" 'echo: with a shell'
	exec 5>&-
	# nothing is stored under prompts/, but the cache and the statistics apply
	is "$(ls "$M/prompts" "$M/responses" | tr '\n' ' ')" "$M/prompts:  $M/responses: "
	is "$(summary requests)" 3
	is "$(stored_objects)" 3
	is "$("$TOOLS/errnoof" -o "$W/a" ask "$M/ask" '{"prompt":"in JSON"}')" ok
	is "$(provider_count)" 3
	is "$(summary cache_hits)" 1
}

@test "a question in several writes, its JSON after blanks" {
	mount_inferfs
	exec 5<>"$M/ask"
	printf '\n  {"prompt":' >&5
	printf '"in pieces"}' >&5
	is "$(cat <&5)" 'echo: in pieces'
	exec 5>&-
}

@test "a conversation: earlier turns are sent along, unless the request has its own messages" {
	mount_inferfs
	exec 5<>"$M/ask"
	echo 'first question' >&5
	is "$(cat <&5)" 'echo: first question'
	echo 'and then' >&5
	is "$(cat <&5)" 'echo: and then'
	echo '{"messages":[{"role":"user","content":"alone"}]}' >&5
	is "$(cat <&5)" 'echo: alone'
	exec 5>&-
	is "$(provider_requests '.requests[1].body | fromjson | [.messages[] | [.role,.content]]')" \
		'[["user","first question"],["assistant","echo: first question"],["user","and then"]]'
	is "$(provider_requests '.requests[2].body | fromjson | .messages | length')" 1
	# two opens are two conversations
	exec 5<>"$M/ask" 6<>"$M/ask"
	echo five >&5
	echo six >&6
	is "$(cat <&6)" 'echo: six'
	is "$(cat <&5)" 'echo: five'
	exec 5>&- 6>&-
}

@test "the answer comes as it is generated" {
	provider_hold_at 1
	mount_inferfs
	exec 5<>"$M/ask"
	echo 'one two' >&5
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_waiting hold
	provider_release hold
	is "$(cat <&5)" ' one two'
	exec 5>&-
}

@test "a read before a question is ENODATA, a write during an answer EBUSY" {
	provider_hold_at 1
	mount_inferfs
	exec 5<>"$M/ask"
	run dd bs=10 count=1 status=none <&5
	like "$output" 'No data available'
	echo question >&5
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	run dd bs=100 count=1 status=none if=/dev/zero of=/dev/fd/5 oflag=append conv=notrunc
	run sh -c 'echo more >&5'
	[ "$status" != 0 ]
	provider_waiting hold
	provider_release hold
	is "$(cat <&5)" ' question'
	echo more >&5
	is "$(cat <&5)" 'echo: more'
	exec 5>&-
	is "$(provider_count)" 2
}

@test "opened read-only it is empty, write-only it is EINVAL" {
	mount_inferfs
	is "$(cat "$M/ask")" ''
	is "$("$TOOLS/errnoof" write "$M/ask" x || true)" 'open EINVAL'
	run bash -c "echo x >> '$M/ask'"
	[ "$status" != 0 ]
	is "$(provider_count)" 0
}

@test "an error comes from read(2), the next read is error.json, and then one may ask again" {
	provider_script '[{"match":"bad","status":400}]'
	mount_inferfs
	exec 5<>"$M/ask"
	echo 'bad idea' >&5
	run dd bs=1000 count=1 status=none <&5
	like "$output" 'Invalid argument'
	is "$(dd bs=4000 count=1 status=none <&5 | jq -r '[.errno,.http_status] | @csv')" '"EINVAL",400'
	echo 'good idea' >&5
	is "$(cat <&5)" 'echo: good idea'
	exec 5>&-
	# what failed is no turn of the conversation
	is "$(provider_requests '.requests[-1].body | fromjson | .messages | length')" 1
}

@test "an answer that breaks off under its reader: EREMOTEIO, then error.json" {
	provider_script '[{"times":1,"cut_after_pieces":2,"piece_barriers":{"1":"had"}},{"barrier":"again"}]'
	mount_inferfs
	exec 5<>"$M/ask"
	echo 'one two' >&5
	is "$(dd bs=100 count=1 status=none <&5)" 'echo:'
	provider_waiting had
	provider_release had
	run dd bs=100 count=1 status=none <&5
	like "$output" 'Remote I/O error'
	is "$(dd bs=4000 count=1 status=none <&5 | jq -r .errno)" EREMOTEIO
	provider_release again
	echo 'once more' >&5
	is "$(cat <&5)" 'echo: once more'
	exec 5>&-
}

@test "closing ends what is unfinished" {
	provider_hold
	mount_inferfs
	exec 5<>"$M/ask"
	echo 'never read' >&5
	{ dd bs=10 count=1 status=none <&5 & } 2>/dev/null
	provider_waiting hold
	kill -9 $!
	exec 5>&-
	provider_aborted 1
	until_true 5 is_zero_in_flight
	is "$(stored_objects)" 0
}
is_zero_in_flight() { [ "$(summary in_flight)" = 0 ]; }

@test "poll on ask" {
	provider_hold_at 1
	mount_inferfs
	python3 - "$M/ask" >"$W/out" 3>&- <<'PY' &
import os, select, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
p = select.poll()
p.register(fd, select.POLLIN | select.POLLOUT)
print(bool(p.poll(0)[0][1] & select.POLLOUT), flush=True)
os.write(fd, b"one two")
p.modify(fd, select.POLLIN)
text = b""
waits = 0
while True:
    try:
        chunk = os.read(fd, 4096)
    except BlockingIOError:
        waits += 1
        if not p.poll(30000):
            print("nothing came")
            break
        continue
    if not chunk:
        break
    text += chunk
print(text.decode().strip(), waits > 0, flush=True)
PY
	provider_waiting hold
	provider_release hold
	wait $!
	is "$(cat "$W/out")" $'True\necho: one two True'
}

@test "equal questions asked at the same time, by file and by ask, are one call" {
	provider_hold
	mount_inferfs
	ask_file a '{"prompt":"the same"}'
	provider_waiting hold
	"$TOOLS/errnoof" -o "$W/b" ask "$M/ask" '{"prompt":"the same"}' 3>&- &
	until_true 10 two_requests
	provider_release hold
	wait $!
	is "$(cat "$W/b")" 'echo: the same'
	is "$(answer a)" 'echo: the same'
	is "$(provider_count)" 1
}
two_requests() { [ "$(summary requests)" = 2 ]; }
