#!/usr/bin/env bats
# How a backend is reached: several endpoints of one kind, headers, proxies, certificates, HTTP/2, unix sockets. A real
# nginx stands before the scripted provider wherever TLS or a socket is wanted.
load ../lib/helpers

setup() {
	setup_dirs
	start_provider
	PATH=$PATH:/usr/sbin
	export NO_PROXY='' no_proxy=''
}
teardown() {
	[ ! -f "$W/nginx/pid" ] || kill "$(cat "$W/nginx/pid")" 2>/dev/null || true
	finish_test
}

free_port() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])'; }
certificates() { # an authority, a server's certificate and a client's of it
	local who

	(cd "$W" && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority \
		-keyout ca.key -out ca.pem && for who in server client; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$who" -keyout $who.key -out $who.csr &&
			openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $who.pem \
				-extfile <(echo subjectAltName=IP:127.0.0.1)
	done) 2>"$W/openssl.err"
}
start_nginx() { # SERVER BLOCKS
	mkdir -p "$W/nginx"
	cat >"$W/nginx/conf" <<END
pid $W/nginx/pid;
error_log $W/nginx/error.log;
worker_processes 1;
events { worker_connections 128; }
http {
	log_format seen '\$server_protocol \$request \$http_proxy_connection';
	access_log $W/nginx/access.log seen;
	client_body_temp_path $W/nginx/body;
	proxy_temp_path $W/nginx/proxy;
	fastcgi_temp_path $W/nginx/f;
	uwsgi_temp_path $W/nginx/u;
	scgi_temp_path $W/nginx/s;
	$1
}
END
	nginx -c "$W/nginx/conf" -p "$W/nginx" 3>&-
}
tls_server() { # PORT [MORE]
	echo "server { listen 127.0.0.1:$1 ssl http2; ssl_certificate $W/server.pem; ssl_certificate_key $W/server.key; ${2:-}
		location / { proxy_pass http://127.0.0.1:$PORT; proxy_buffering off; } }"
}
config() { # LINE...
	printf '%s\n' '[inferfs]' 'model = b/small' '[backend b]' 'type = openai' 'price = free' 'retries = 0' "$@"
}
failed() { "$TOOLS/errnoof" read "$M/responses/$1/text" || true; }

@test "two servers of one kind and two keys at once: each request goes where its model's name says" {
	local first=$PORT

	start_provider
	export FIRST_KEY=sk-first-0123456789 SECOND_KEY=sk-second-0123456789
	mount_inferfs "[inferfs]
model = one/small
[backend one]
type = openai
dialect = vllm
url = http://127.0.0.1:$first/vllm/v1
key_env = FIRST_KEY
header = X-Team: red
header = X-Other: 1
[backend two]
type = openai
dialect = vllm
url = http://127.0.0.1:$PORT/vllm/v1
key_env = SECOND_KEY"
	ask_file a '{"prompt":"hello"}'
	ask_file b '{"prompt":"hello","model":"two/small"}'
	is "$(answer a)" 'echo: hello'
	is "$(answer b)" 'echo: hello'
	is "$(provider_requests '.requests[0].headers.Authorization')" "Bearer $SECOND_KEY"
	PORT=$first
	is "$(provider_requests '.requests[0].headers | [.Authorization,.["X-Team"],.["X-Other"]] | join(" ")')" \
		"Bearer $FIRST_KEY red 1"
	# two servers are two keys, unless they are said to be one
	[ "$(jq -r .key "$M/responses/a/response.json")" != "$(jq -r .key "$M/responses/b/response.json")" ]
}

@test "identity: a server that moves keeps its answers" {
	mount_inferfs "$(config "url = http://127.0.0.1:$PORT/v1" 'identity = lab')"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	umount_inferfs
	start_provider
	mount_inferfs "$(config "url = http://127.0.0.1:$PORT/v1" 'identity = lab')"
	ask_file b '{"prompt":"hello"}'
	is "$(answer b)" 'echo: hello'
	is "$(provider_count)" 0
}

@test "a unix socket" {
	start_nginx "server { listen unix:$W/llm.sock; location / { proxy_pass http://127.0.0.1:$PORT; proxy_buffering off; } }"
	mount_inferfs "$(config 'url = http://localhost/v1' "unix_socket = $W/llm.sock")"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	like "$(cat "$W/nginx/access.log")" 'POST /v1/chat/completions'
}

@test "ca_file and HTTP/2; http2 = no is HTTP/1.1; without the authority it is refused" {
	local port

	port=$(free_port)
	certificates
	start_nginx "$(tls_server "$port")"
	mount_inferfs "$(config "url = https://127.0.0.1:$port/v1" "ca_file = $W/ca.pem")"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	like "$(tail -n 1 "$W/nginx/access.log")" 'HTTP/2.0'
	umount_inferfs
	mount_inferfs "$(config "url = https://127.0.0.1:$port/v1" "ca_file = $W/ca.pem" 'http2 = no')"
	ask_file b '{"prompt":"other"}'
	is "$(answer b)" 'echo: other'
	like "$(tail -n 1 "$W/nginx/access.log")" 'HTTP/1.1'
	umount_inferfs
	mount_inferfs "$(config "url = https://127.0.0.1:$port/v1")"
	ask_file c '{"prompt":"third"}'
	is "$(failed c)" 'open EPROTO'
	like "$(jq -r .message "$M/responses/c/error.json")" 'ca_file'
}

@test "a client certificate; without one the server's refusal is told" {
	local port

	port=$(free_port)
	certificates
	start_nginx "$(tls_server "$port" "ssl_verify_client on; ssl_client_certificate $W/ca.pem;")"
	mount_inferfs "$(config "url = https://127.0.0.1:$port/v1" "ca_file = $W/ca.pem" "client_cert = $W/client.pem" \
		"client_key = $W/client.key")"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	umount_inferfs
	mount_inferfs "$(config "url = https://127.0.0.1:$port/v1" "ca_file = $W/ca.pem")"
	ask_file b '{"prompt":"other"}'
	is "$(failed b)" 'open EINVAL'
	like "$(jq -r .http_status "$M/responses/b/error.json")" 400
}

@test "a proxy from the configuration, and one from the environment" {
	local port

	port=$(free_port)
	start_nginx "server { listen 127.0.0.1:$port; location / { proxy_pass http://127.0.0.1:$PORT; proxy_buffering off; } }"
	mount_inferfs "$(config "url = http://llm.example:$PORT/v1" "proxy = http://127.0.0.1:$port")"
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	like "$(cat "$W/nginx/access.log")" "POST http://llm.example:$PORT/v1/chat/completions"
	umount_inferfs
	DAEMON_ENV=("http_proxy=http://127.0.0.1:$port")
	mount_inferfs "$(config "url = http://llm.example:$PORT/v1")"
	ask_file b '{"prompt":"other"}'
	is "$(answer b)" 'echo: other'
}

@test "sixty requests at once over one HTTP/2 connection" {
	local port i

	port=$(free_port)
	certificates
	start_nginx "$(tls_server "$port")"
	mount_inferfs "$(config "url = https://127.0.0.1:$port/v1" "ca_file = $W/ca.pem" 'concurrency = 60')"
	for i in $(seq 60); do ask_file "r$i" "{\"prompt\":\"number $i\"}"; done
	for i in $(seq 60); do is "$(answer "r$i")" "echo: number $i"; done
	is "$(provider_count)" 60
}

@test "a redirect to another host is not followed, and never sees the key" {
	local other=$PORT

	start_provider
	provider_script "[{\"status\":307,\"body\":\"\",\"headers\":{\"Location\":\"http://127.0.0.1:$other/v1/chat/completions\"}}]"
	mount_inferfs "$(config "url = http://127.0.0.1:$PORT/v1" 'key_env = TEST_KEY')"
	ask_file a '{"prompt":"hello"}'
	is "$(failed a)" 'open EBADMSG'
	PORT=$other
	is "$(provider_requests '.count')" 0
}

@test "a key is in no file of the mount, no log at any level, no process list and no core" {
	local pid

	mount_inferfs -o log=debug "$(config "url = http://127.0.0.1:$PORT/v1" 'key_env = TEST_KEY' "header = X-Secret: $TEST_KEY-too")"
	provider_script '[{"match":"bad","status":401,"body":{"error":{"message":"bad key sk-test-0123456789abcdef"}}}]'
	ask_file a '{"prompt":"hello"}'
	is "$(answer a)" 'echo: hello'
	ask_file b '{"prompt":"bad"}'
	is "$(failed b)" 'open EKEYREJECTED'
	pid=$(daemon_pid)
	run grep -rl --exclude-dir=ask "$TEST_KEY" "$M/README.md" "$M/responses" "$M/cache" "$M/backends" "$M/stats" "$M/models/b" \
		"$STATE" "$CACHE" "$LOG"
	is "$output" ''
	run grep -al "$TEST_KEY" "/proc/$pid/cmdline" "/proc/$pid/comm" "/proc/$pid/environ"
	is "$output" ''
	# no core can be written, and only root could look into its memory
	is "$(awk '/Max core file size/ {print $5, $6}' "/proc/$pid/limits")" '0 0'
	is "$(stat -c %U "/proc/$pid/environ")" root
}
