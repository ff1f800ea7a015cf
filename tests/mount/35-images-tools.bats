# images, tools, embeddings and fill-in-the-middle: from the prompt's file to the provider and back
# shellcheck disable=SC2016 # jq's variables
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	# one pixel each
	PNG=iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
	GIF=R0lGODlhAQABAAAAACw=
}
teardown() { finish_test; }

put() { fop put "$P/$1" "$2"; }
error() { jq -r "$2" "$R/$1/error.json"; } # STEM FILTER
bytes() { base64 -d <<<"$1" >"$P/$2"; }    # BASE64 PATH
names() { (cd "$1" && echo *); } # DIRECTORY
body() { provider_requests ".requests[-1].body | fromjson | $1"; }
failed_with() { # STEM ERRNO REGEX
	wait_status "$1" failed
	is "$(error "$1" .errno)" "$2"
	like "$(error "$1" .message)" "$3"
}

# ---- images -------------------------------------------------------------------------------------------------------

@test "images that cannot be read are EINVAL at close, and nothing is sent" {
	mount_inferfs
	mkdir "$P/d"
	echo top secret >"$W/secret"
	ask='{"prompt":"what?","images":["i.png"]}'
	is "$(put d/a.json "$ask")" "put EINVAL"
	failed_with d/a EINVAL '"i.png" does not exist'
	is "$(error d/a .field)" 'images[0]'
	echo '<svg/>' >"$P/d/i.png"
	is "$(put d/a.json "$ask")" "put EINVAL"
	like "$(error d/a .message)" 'PNG, JPEG, GIF or WebP'
	rm "$P/d/i.png"
	mkdir "$P/d/i.png"
	is "$(put d/a.json "$ask")" "put EINVAL"
	like "$(error d/a .message)" 'no regular file'
	rmdir "$P/d/i.png"
	ln -s "$W/secret" "$P/d/i.png" # an absolute link leads out
	is "$(put d/a.json "$ask")" "put EINVAL"
	like "$(error d/a .message)" 'leads out of prompts'
	ln -sf ../../../secret "$P/d/i.png"
	is "$(put d/a.json "$ask")" "put EINVAL"
	like "$(error d/a .message)" 'leads out of prompts'
	ln -sf /proc/self/fd/0 "$P/d/i.png"
	is "$(put d/a.json "$ask")" "put EINVAL"
	rm "$P/d/i.png"
	mkfifo "$STATE/prompts/d/i.png" # only behind the mount's back
	is "$(put d/a.json "$ask")" "put EINVAL"
	like "$(error d/a .message)" 'no regular file'
	rm "$STATE/prompts/d/i.png"
	truncate -s 33M "$P/d/i.png"
	is "$(put d/a.json "$ask")" "put EFBIG"
	like "$(error d/a .message)" '32 MiB'
	is "$(put d/b.json '{"prompt":"x","images":["../../../secret"]}')" "put EINVAL"
	like "$(error d/b .message)" 'leads out of prompts'
	is "$(put d/c.json '{"prompt":"x","images":["/etc/passwd"]}')" "put EINVAL"
	is "$(put d/e.json '{"messages":[{"role":"user","content":[{"type":"image","url":"file:///etc/passwd"}]}]}')" "put EINVAL"
	unlike "$(cat "$R"/d/*/error.json)" 'top secret'
	sent
}

@test "an image by path, from a directory beside, through a link, as data and as data: URI is one request" {
	mount_inferfs
	mkdir "$P/d" "$P/pictures"
	bytes "$PNG" pictures/i.png
	ln -s ../pictures/i.png "$P/d/link.png"
	put d/a.json '{"prompt":"what?","images":["../pictures/i.png"]}'
	is "$(answer d/a)" "echo: what?"
	is "$(body '.messages[0].content | map(.type) | join(" ")')" "text image_url"
	is "$(body '.messages[0].content[1].image_url.url')" "data:image/png;base64,$PNG"
	is "$(jq -r '.messages[0].content[1] | [.type,.media_type,.sha256] | join(" ")' "$R/d/a/request.json")" \
		"image image/png $(sha256sum <"$P/pictures/i.png" | cut -d' ' -f1)"
	put d/b.json '{"prompt":"what?","images":["link.png"]}'
	put d/c.json '{"messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image","data":"'"$PNG"'"}]}]}'
	put d/e.json '{"messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,'"$PNG"'"}}]}]}'
	for i in b c e; do
		is "$(answer d/$i)" "echo: what?"
		is "$(getfattr --only-values -n user.inferfs.key "$R/d/$i")" "$(getfattr --only-values -n user.inferfs.key "$R/d/a")"
	done
	is "$(provider_count)" 1
	put d/f.json '{"messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image","url":"https://host/i.png","detail":"low"}]}]}'
	is "$(answer d/f)" "echo: what?"
	is "$(body '.messages[0].content[1] | [.type,.image_url.url,.image_url.detail] | join(" ")')" "image_url https://host/i.png low"
}

@test "an image that is replaced while its request waits is EINVAL, unsent; the next request has the new one" {
	provider_script '[{"match":"first","barrier":"hold"}]'
	mount_inferfs "$(provider_config 'concurrency = 1')"
	bytes "$PNG" i.png
	put first.json '{"prompt":"first"}'
	provider_waiting hold
	is "$(put a.json '{"prompt":"second","images":["i.png"]}')" "put ok"
	is "$(put b.json '{"prompt":"third","images":["i.png"]}')" "put ok"
	bytes "$GIF" i.png
	is "$(put b.json '{"prompt":"fourth","images":["i.png"]}')" "put ok" # takes over its name
	provider_release hold
	failed_with a EINVAL 'was changed after the request was accepted'
	is "$(answer b)" "echo: fourth"
	is "$(body '.messages[0].content[1].image_url.url')" "data:image/gif;base64,$GIF"
	is "$(provider_count)" 2
	is "$(jq -r '.failed' "$M/backends/p/status.json" 2>/dev/null || echo 0)" 0
}

@test "kill -9 between acceptance and sending: images by path, in the request and moved prompts are sent after the next mount" {
	provider_script '[{"match":"first","barrier":"hold"}]'
	mount_inferfs "$(provider_config 'concurrency = 1')"
	mkdir "$P/d"
	bytes "$PNG" d/i.png
	bytes "$PNG" j.png
	put first.json '{"prompt":"first"}'
	provider_waiting hold
	is "$(put d/a.json '{"prompt":"by path","images":["i.png"]}')" "put ok"
	is "$(put b.json '{"messages":[{"role":"user","content":[{"type":"text","text":"inline"},{"type":"image","data":"'"$GIF"'"}]}]}')" "put ok"
	is "$(put d/c.json '{"prompt":"moved","images":["i.png"]}')" "put ok"
	is "$(put e.json '{"prompt":"changed","images":["j.png"]}')" "put ok"
	mv "$P/d/c.json" "$P/c.json"
	kill9
	base64 -d <<<"$GIF" >"$STATE/prompts/j.png"
	provider_script '[]'
	provider_release hold
	remount
	is "$(answer d/a)" "echo: by path"
	is "$(answer b)" "echo: inline"
	is "$(answer c)" "echo: moved"
	failed_with e EINVAL 'was changed after the request was accepted'
	is "$(provider_requests '[.requests[].body | fromjson | .messages[0].content | select(type == "array")
		| .[0].text + " " + (.[1].image_url.url | .[:15])] | sort | join("; ")')" \
		"by path data:image/png;; inline data:image/gif;; moved data:image/png;"
}

@test "an image of five MiB and an answer of ten" {
	mount_inferfs
	{ base64 -d <<<"$PNG"; head -c 5242880 /dev/urandom; } >"$P/big.png"
	put a.json '{"prompt":"large","images":["big.png"]}'
	is "$(answer a)" "echo: large"
	[ "$(provider_requests '.requests[-1].body_len')" -gt 6990000 ]
	head -c 10485760 /dev/zero | tr '\0' x >"$W/text"
	jq -Rs '[{match:"ten", text:.}]' "$W/text" >"$W/script"
	provider_ctl script -d "@$W/script" >/dev/null
	put b.json '{"prompt":"ten"}'
	answer b >"$W/answer"
	is "$(stat -c %s "$W/answer")" 10485761
	cmp -n 10485760 "$W/text" "$W/answer"
	is "$(jq -r '.samples[0].text | length' "$R/b/response.json")" 10485760
}

@test "ask with an image: the conversation keeps it, a missing one is an error of read(2)" {
	mount_inferfs
	exec 5<>"$M/ask"
	echo '{"prompt":"what?","images":["i.png"]}' >&5
	run dd bs=1000 count=1 status=none <&5
	like "$output" 'Invalid argument'
	like "$(dd bs=4000 count=1 status=none <&5 | jq -r .message)" 'does not exist'
	bytes "$PNG" i.png
	echo '{"prompt":"what?","images":["i.png"]}' >&5
	is "$(cat <&5)" 'echo: what?'
	echo 'and where?' >&5
	is "$(cat <&5)" 'echo: and where?'
	exec 5>&-
	is "$(body '[.messages[0].content[1].image_url.url, .messages[1].content, .messages[2].content] | join(" ")')" \
		"data:image/png;base64,$PNG echo: what? and where?"
	like "$("$TOOLS/errnoof" ask "$M/ask" '{"input":"x"}' || true)" EOPNOTSUPP
}

# ---- tools --------------------------------------------------------------------------------------------------------

@test "a round trip of tools: called, answered, and the sample goes back as it is" {
	provider_script '[{"match":"\"tool_call_id\"","text":"It is noon."},
		{"match":"what time","tool_calls":[{"id":"call_1","name":"now","arguments":"{\"tz\":\"CET\"}"},{"id":"call_2","name":"now","arguments":{"tz":"UTC"}}]}]'
	mount_inferfs
	local functions='"tools":[{"type":"function","function":{"name":"now","description":"the time","parameters":{"type":"object","properties":{"tz":{"type":"string"}}}}}]'
	is "$(put a.json '{"prompt":"what time?",'"$functions"',"tool_choice":{"type":"function","function":{"name":"then"}}}')" "put EINVAL"
	is "$(error a .field)" tool_choice
	put a.json '{"prompt":"what time?",'"$functions"',"tool_choice":"auto","parallel_tool_calls":true}'
	is "$(answer a)" ''
	is "$(body '[.tools[0].function.name, .tool_choice, .parallel_tool_calls] | tojson')" '["now","auto",true]'
	is "$(names "$R/a")" "ctl entry request.json response.json samples status stream text tool_calls.json usage.json"
	is "$(jq -c 'map([.id,.type,.function.name,(.function.arguments|fromjson|.tz)])' "$R/a/tool_calls.json")" \
		'[["call_1","function","now","CET"],["call_2","function","now","UTC"]]'
	is "$(getfattr --only-values -n user.inferfs.finish_reason "$R/a")" tool_calls
	jq -c --argjson t "{$functions}" '.samples[0] | {tools: $t.tools, messages: [{role: "user", content: "what time?"},
		{role: "assistant", content: .text, tool_calls}, {role: "tool", tool_call_id: "call_1", content: "12:00"},
		{role: "tool", tool_call_id: "call_2", content: [{type: "text", text: "11:00"}], name: "now"}]}' "$R/a/response.json" >"$W/b.json"
	cp "$W/b.json" "$P/b.json"
	is "$(answer b)" "It is noon."
	is "$(body '[.messages[] | .role] | join(" ")')" "user assistant tool tool"
	is "$(body '.messages[1].tool_calls | map([.id,(.function.arguments|fromjson|.tz)]) | tojson')" '[["call_1","CET"],["call_2","UTC"]]'
	is "$(body '.messages[2:] | map(.content) | tojson')" '["12:00","11:00"]'
	# the same after a remount, and from the cache under another name
	umount_inferfs
	remount
	is "$(jq -r '.[1].id' "$R/a/tool_calls.json")" call_2
	put c.json '{"prompt":"what time?",'"$functions"',"tool_choice":"auto","parallel_tool_calls":true}'
	is "$(jq -r '.[0].id' "$R/c/tool_calls.json")" call_1
	is "$(provider_count)" 2
}

@test "a tool that is no function is EOPNOTSUPP and points to extra_body, which sends it" {
	mount_inferfs
	is "$(put a.json '{"prompt":"x","tools":[{"type":"web_search"}]}')" "put EOPNOTSUPP"
	like "$(error a .message)" extra_body
	provider_extra '"web_search"'
	put a.json '{"prompt":"x","tool_choice":"auto","extra_body":{"tools":[{"type":"web_search"}]}}'
	is "$(answer a)" "echo: x"
	is "$(body '[.tools[0].type, .tool_choice] | tojson')" '["web_search","auto"]'
}

@test "what the issue names arrives unchanged: zero, empty lists, 64-bit integers, long histories; NaN does not" {
	mount_inferfs
	provider_extra '"big":'
	put a.json '{"prompt":"x","temperature":0,"stop":[],"seed":9223372036854775807,"max_tokens":null,"extra_body":{"big":-9223372036854775808,"nothing":null}}'
	is "$(answer a)" "echo: x"
	like "$(provider_requests '.requests[-1].body')" '"temperature":0[,}]'
	like "$(provider_requests '.requests[-1].body')" '"seed":9223372036854775807'
	like "$(provider_requests '.requests[-1].body')" '"big":-9223372036854775808'
	is "$(body '[.stop, .nothing, has("max_tokens")] | tojson')" '[[],null,false]'
	jq -cn '{messages: ([range(200) | {role: (if . % 2 == 0 then "user" else "assistant" end), content: "turn \(.) \ud83d\ude00"}] + [{role:"user",content:"end"}])}' >"$W/h.json"
	cp "$W/h.json" "$P/h.json"
	is "$(answer h)" "echo: end"
	is "$(body '.messages | length')" 201
	is "$(body '.messages[199].content')" "turn 199 😀"
	for bad in NaN Infinity -Infinity nan 1e999; do
		is "$(put n.json "{\"prompt\":\"x\",\"temperature\":$bad}")" "put EINVAL"
		like "$(error n .message)" 'number|JSON'
	done
}

# ---- embeddings and fill-in-the-middle ----------------------------------------------------------------------------

numbers() { # FILE.npy: its shape and its numbers
	local python=python3

	[ ! -x /usr/bin/python3 ] || python=/usr/bin/python3 # the one that the package numpy is for
	$python - "$1" <<'PY'
import ast, struct, sys
try:
    import numpy
    a = numpy.load(sys.argv[1])
    assert a.dtype == numpy.float32 and a.flags["C_CONTIGUOUS"]
    print(*a.shape, *["%.3f" % x for x in a.ravel()])
except ImportError:
    b = open(sys.argv[1], "rb").read()
    assert b[:8] == b"\x93NUMPY\x01\x00"
    n, = struct.unpack("<H", b[8:10])
    assert (10 + n) % 64 == 0 and b[9 + n:10 + n] == b"\n"
    d = ast.literal_eval(b[10:10 + n].decode())
    assert d["descr"] == "<f4" and d["fortran_order"] is False
    print(*d["shape"], *["%.3f" % x for x in struct.unpack("<%df" % (d["shape"][0] * d["shape"][1]), b[10 + n:])])
PY
}

@test "embeddings: numbers as JSON and for numpy, no text, and all of it again from the cache" {
	mount_inferfs
	is "$(put e.json '{"input":["one","two words"],"dimensions":4}')" "put ok"
	wait_status e 'done'
	is "$(names "$R/e")" "ctl embedding.json embedding.npy entry request.json response.json samples status usage.json"
	is "$(names "$R/e/samples/0")" "embedding.json embedding.npy meta.json raw.json response.json"
	is "$(jq -c '[.model,.dimensions,(.data|map(length))]' "$R/e/embedding.json")" '["small",4,[4,4]]'
	is "$(numbers "$R/e/embedding.npy")" "2 4 $(jq -r '.data[][]' "$R/e/embedding.json" | xargs printf '%.3f ' | sed 's/ $//')"
	is "$(jq '.data | length' "$R/e/samples/0/raw.json")" 2
	is "$(jq -c '.samples[0] | [.text,.embedding]' "$R/e/response.json")" '[null,{"inputs":2,"dimensions":4,"file":"embedding.json"}]'
	is "$(jq -c '[.usage.input_tokens]' "$R/e/response.json")" '[3]'
	is "$("$TOOLS/errnoof" read "$R/e/text" || true)" 'open ENOENT'
	is "$("$TOOLS/errnoof" read "$R/e/stream" || true)" 'open ENOENT'
	entry=$(readlink "$R/e/entry")
	cmp "$R/e/entry/samples/0/embedding.json" "$R/e/embedding.json"
	key=${entry##*/}
	is "$(names "$M/cache/${key:0:2}/$key/samples/0")" "embedding.json embedding.npy meta.json raw.json response.json"
	cmp "$M/cache/${key:0:2}/$key/samples/0/embedding.npy" "$R/e/embedding.npy"
	put f.json '{"input":["one","two words"],"dimensions":4}'
	cmp "$R/f/embedding.npy" "$R/e/embedding.npy"
	is "$(provider_count)" 1
	umount_inferfs
	remount
	cmp "$R/f/embedding.json" "$R/e/embedding.json"
	rm -r "$M"/cache/*
	is "$(ls "$M/cache")" ''
	is "$(jq -r .dimensions "$R/e/embedding.json")" 4 # the response is the user's
	rm -r "$R/f"
	[ ! -e "$R/f" ]
}

@test "reading an embedding waits for it, and one text is one row" {
	provider_hold
	mount_inferfs
	put e.json '{"input":"alone"}'
	provider_waiting hold
	is "$("$TOOLS/errnoof" read "$R/e/text" || true)" 'open ENOENT'
	timeout $((30 * SLOW)) cat "$R/e/embedding.npy" >"$W/a.npy" 3>&- &
	provider_release hold
	wait $!
	like "$(numbers "$W/a.npy")" '^1 8 '
	put t.json '{"prompt":"text"}'
	answer t
	is "$("$TOOLS/errnoof" read "$R/t/embedding.json" || true)" 'open ENOENT'
}

@test "vectors that are wrong are EBADMSG, not half a file" {
	provider_script '[{"match":"few","body":{"object":"list","model":"m","data":[{"index":0,"embedding":[1,2]}]}},
		{"match":"ragged","body":{"object":"list","model":"m","data":[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]}},
		{"match":"huge","body":{"object":"list","model":"m","data":[{"index":0,"embedding":[1e39]}]}}]'
	mount_inferfs
	put a.json '{"input":["few","x"]}'
	failed_with a EBADMSG ''
	put b.json '{"input":["ragged","x"]}'
	failed_with b EBADMSG ''
	put c.json '{"input":"huge"}'
	failed_with c EBADMSG 'float32'
	is "$("$TOOLS/errnoof" read "$R/c/embedding.json" || true)" 'open EBADMSG'
	is "$(stored_objects)" 0
}

@test "fill in the middle: the text before and after the gap" {
	mount_inferfs
	put a.json '{"prompt":"def f(","suffix":"return x","model":"m/codestral"}'
	is "$(answer a)" "echo: def f(|return x"
	is "$(body '[.prompt, .suffix] | tojson')" '["def f(","return x"]'
	is "$(jq -r .endpoint "$R/a/request.json")" fim
	is "$(put b.json '{"prompt":"x","suffix":"y","system":"z"}')" "put EINVAL"
	is "$(error b .field)" system
}

@test "without a model: echo gives vectors, tool calls and reasoning" {
	mount_inferfs $'[inferfs]\nmodel = echo/echo'
	put e.json '{"input":["a","b","a"],"dimensions":5}'
	like "$(numbers "$R/e/embedding.npy")" '^3 5 '
	is "$(jq -c '.data[0] == .data[2] and .data[0] != .data[1]' "$R/e/embedding.json")" true
	put t.json '{"prompt":"x","extra_body":{"reasoning":"hm","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]}}'
	is "$(jq -r '.[0].function.name' "$R/t/tool_calls.json") $(cat "$R/t/reasoning")" "f hm"
	bytes "$PNG" i.png
	put i.json '{"prompt":"seen","images":["i.png"]}'
	is "$(answer i)" "You said: seen"
}
