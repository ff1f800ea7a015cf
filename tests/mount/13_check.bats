# the check at close, and what happens to a file that fails it
load ../lib/helpers
load ../lib/sent

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
}
teardown() { finish_test; }

put() { fop put "$P/$1" "$2"; }
prompt() { put "$1.json" "{\"prompt\":\"$2\"}"; }
error() { jq -r "$2" "$R/$1/error.json"; } # STEM FILTER
cat_says() { # FILE ERRNO-TEXT
	timeout $((10 * SLOW)) cat "$1" 2>"$W/err" && return 1
	like "$(cat "$W/err")" "$2"
}

@test "bad JSON: close fails with EINVAL, the file is still there, error.json has line and column" {
	mount_inferfs
	local text=$'{\n "prompt": "x",\n "temperature": 0..5\n}\n'
	is "$(put a.json "$text")" "put EINVAL"
	is "$(cat "$P/a.json"; echo .)" "$text."
	is "$(status_of a)" failed
	is "$(ls "$R/a")" $'ctl\nerror.json\nstatus'
	is "$(error a '[.errno,.code,.category,.line,.request_id] | map(tostring) | join(" ")')" "EINVAL 22 request 3 a"
	is "$(error a .column)" 19
	cat_says "$R/a/text" 'Invalid argument'
	cat_says "$R/a/stream" 'Invalid argument'
	cat "$P/a.json" >/dev/null # reading it again is not an error
	sed -i 's/0\.\.5/0.5/' "$P/a.json"
	is "$(answer a)" "echo: x"
	[ ! -e "$R/a/error.json" ]
	sent x
}

@test "an unknown field is EINVAL, and the nearest known one is named" {
	mount_inferfs
	is "$(put a.json '{"prompt":"x","temprature":1}')" "put EINVAL"
	is "$(error a .field)" temprature
	like "$(error a .message)" temperature
	sent
}

@test "ill-typed fields, duplicate names, two questions and broken UTF-8 are EINVAL at close" {
	mount_inferfs
	local text i=0
	for text in '{"prompt":5}' '{"prompt":"x","n":0}' '{"prompt":"x","temperature":"hot"}' '{"prompt":"x","prompt":"y"}' \
		'{"prompt":"x","messages":[{"role":"user","content":"y"}]}' '{}' '[]' '"x"' '{"prompt":"x"} x' $'{"prompt":"\xff"}' \
		'{"prompt":"\ud800"}' '{"prompt":"x","priority":20}' '{"prompt":"x","cache":"maybe"}' '{"prompt":"a\u0000b"}'; do
		i=$((i + 1))
		is "$(put "q$i.json" "$text")" "put EINVAL" "$text"
		is "$(status_of q$i)" failed
		[ -s "$R/q$i/error.json" ]
	done
	sent
}

@test "what later versions bring is EOPNOTSUPP at close and names the field" {
	mount_inferfs
	is "$(put a.json '{"prompt":"x","auto_route":true}')" "put EOPNOTSUPP"
	is "$(error a .field)" auto_route
	is "$(put b.json '{"prompt":"x","model":"auto"}')" "put EOPNOTSUPP"
	is "$(error b .field)" model
	is "$(put c.json '{"prompt":"x","max_cost_usd":1}')" "put EOPNOTSUPP"
	is "$(error c .field)" max_cost_usd
	sent
}

@test "samples that namespaces have handed out are not replaced; a namespace has one name" {
	mount_inferfs
	is "$(put a.json '{"prompt":"x","namespace":"n","cache":"refresh"}')" "put EINVAL"
	is "$(error a .field)" cache
	is "$(put b.json '{"prompt":"x","namespace":"a/b"}')" "put EINVAL"
	is "$(error b .field)" namespace
	mkdir "$M/namespaces/one"
	is "$(fop put "$M/namespaces/one/prompts/c.json" '{"prompt":"x","namespace":"two"}')" "put EINVAL"
	is "$(jq -r .field "$M/namespaces/one/responses/c/error.json")" namespace
	is "$(put d.json '{"input":"x","n":2}')" "put EOPNOTSUPP"
	is "$(error d .field)" n
	sent
}

@test "an unfinished document is not yet an error: a second writer continues it" {
	mount_inferfs
	exec 7>>"$P/a.json"
	is "$(fop open "$P/a.json" w , write 0 '{"prompt":' , close 0 | tail -n 1)" "close ok"
	is "$(status_of a)" draft
	printf '"x"}' >&7
	exec 7>&-
	is "$(answer a)" "echo: x"
	sent x
}

@test "an unfinished document is failed when its last writer has closed it" {
	mount_inferfs
	is "$(put a.json '{"prompt":"x",')" "put ok"
	wait_status a failed
	is "$(error a .errno)" EINVAL
	cat_says "$R/a/text" 'Invalid argument'
	printf '"temperature":0}' >>"$P/a.json"
	is "$(answer a)" "echo: x"
	sent x
}

@test "a good document that grows bad is EINVAL, and nothing is sent for the one in between" {
	mount_inferfs
	exec 7>"$P/a.json"
	printf '{"prompt":"x"}' >&7
	(exec 8>&7) # a child's close checks it
	printf '}' >&7
	exec 7>&- || true
	wait_status a failed
	sent
}

@test "an empty file is a draft" {
	mount_inferfs
	is "$(put a.json '')" "put ok"
	is "$(put b.txt '')" "put ok"
	is "$(status_of a) $(status_of b)" "draft draft"
	cat_says "$R/b/text" 'No data available'
	sent
}

@test "a file above max_request_bytes under a request name is EFBIG from write, truncate and rename" {
	mount_inferfs "$(provider_config | sed 's/^\[inferfs\]$/&\nmax_request_bytes = 4096/')"
	is "$(fop open "$P/a.txt" w,creat , fill 0 4097 , fill 0 4096 , fill 0 1 , close 0 | tr '\n' ' ')" \
		"open ok fill EFBIG fill ok fill EFBIG close ok "
	is "$(stat -c %s "$P/a.txt")" 4096
	is "$(fop truncate "$P/a.txt" 4097)" "truncate EFBIG"
	is "$(fop open "$P/b.part" w,creat , fill 0 5000 , close 0 | tail -n 1)" "close ok"
	is "$(fop rename "$P/b.part" "$P/b.txt")" "rename EFBIG"
	is "$(stat -c %s "$P/b.part")" 5000
	is "$(answer a | wc -c)" $((4096 + 6 + 1))
	is "$(provider_count)" 1
}

@test ".defaults.json: the nearest directory wins, the request wins over all, null removes" {
	mount_inferfs
	mkdir -p "$P/d/e"
	is "$(put .defaults.json '{"system":"top","temperature":0.25,"max_tokens":7}')" "put ok"
	is "$(put d/.defaults.json '{"system":"nearer"}')" "put ok"
	prompt a one
	answer a
	is "$(last_body '[.messages[0].content, .temperature] | tojson')" '["top",0.25]'
	prompt d/e/b two
	answer d/e/b
	is "$(last_body '[.messages[0].content, .temperature] | tojson')" '["nearer",0.25]'
	put d/c.json '{"prompt":"three","system":"own","temperature":null}'
	answer d/c
	is "$(last_body '[.messages[0].content, .temperature] | tojson')" '["own",null]'
	put d/n.txt four
	answer d/n
	is "$(last_body '[.messages[0].content, .messages[1].content, .temperature] | tojson')" '["nearer","four",0.25]'
	sent one two three four
}

@test ".defaults.json applies to what is written afterwards, and changing it sends nothing" {
	mount_inferfs
	prompt a x
	answer a
	put .defaults.json '{"system":"s"}'
	is "$(answer a)" "echo: x"
	sent x
	prompt a x
	answer a
	is "$(last_body '.messages[0].content')" s
	sent x x
}

@test "a broken .defaults.json is EINVAL at its close, and a request under it fails and names it" {
	mount_inferfs
	mkdir -p "$P/d/e"
	is "$(put d/.defaults.json '{"temperature":')" "put ok" # may be continued
	is "$(put d/.defaults.json '{"temperature":1}}')" "put EINVAL"
	is "$(put d/.defaults.json '{"temprature":1}')" "put EINVAL"
	is "$(cat "$P/d/.defaults.json")" '{"temprature":1}'
	is "$(prompt d/e/a x)" "put EINVAL"
	like "$(error d/e/a .message)" 'd/\.defaults\.json'
	prompt a y
	is "$(answer a)" "echo: y"
	put d/.defaults.json '{"temperature":1}'
	is "$(prompt d/e/a x)" "put ok"
	is "$(answer d/e/a)" "echo: x"
	sent x y
}

@test "a refused rewrite takes over the name: the old answer is gone, in the cache it stays" {
	mount_inferfs
	prompt a x
	answer a
	is "$(put a.json '{"prompt":}')" "put EINVAL"
	cat_says "$R/a/text" 'Invalid argument'
	is "$(prompt a x)" "put ok"
	is "$(answer a)" "echo: x"
	sent x
}

@test "no model chosen is EINVAL at close and the sentence names the choices" {
	local url="http://127.0.0.1:$PORT/v1"
	mount_inferfs "$(printf '%s\n' '[backend p]' 'type = openai' "url = $url" '[backend q]' 'type = openai' "url = $url")"
	is "$(prompt a x)" "put EINVAL"
	is "$(error a .errno)" EINVAL
	like "$(error a .message)" 'p/'
	is "$(put b.json '{"prompt":"x","model":"p/small"}')" "put ok"
	is "$(answer b)" "echo: x"
}

@test "a missing key is ENOKEY at close, an unknown backend's model ENXIO" {
	mount_inferfs
	is "$(put a.json '{"prompt":"x","model":"openai/y"}')" "put ENOKEY"
	is "$(error a .errno)" ENOKEY
	like "$(error a .message)" OPENAI_API_KEY
	is "$(put b.json '{"prompt":"x","model":"nosuch/y"}')" "put ok" # p has names with slashes: it is asked for that one
	is "$(put c.json '{"prompt":"x","model":"m/nope"}')" "put ok"
	wait_status c failed
	is "$(error c .errno)" ENXIO
}
