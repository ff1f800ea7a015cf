# a namespace is replayed: the same ids get the same samples in any order, whatever dies in between
#
# REPLAY_KEYS x REPLAY_IDS requests, REPLAY_ORDERS times; `make soak` takes more of each.
load ../lib/helpers

KEYS=${REPLAY_KEYS:-20} IDS=${REPLAY_IDS:-10} ORDERS=${REPLAY_ORDERS:-5}

setup() {
	setup_dirs
	start_provider
	P=$M/prompts R=$M/responses
	provider_script '[{"number":true}]'
	mkdir "$W/in"
	for k in $(seq "$KEYS"); do
		for i in $(seq "$IDS"); do
			echo "{\"prompt\":\"key $k\",\"n\":$((i % 3 + 1)),\"namespace\":\"exp\"}" >"$W/in/k$k-$i.json"
		done
	done
}
teardown() { finish_test; }

config() { provider_config 'concurrency = 16' 'timeout = 60'; }
write_all() { # SEED: those that are not there yet, in an order of its own; the daemon may die on the way
	find "$W/in" -name '*.json' | shuf --random-source=<(yes "$1") | while read -r f; do
		[ -e "$P/${f##*/}" ] || echo "$f"
	done 2>/dev/null | xargs -r -n 50 cp -t "$P" 2>/dev/null || true
}
all_done() { [ "$(cat "$R"/*/status 2>/dev/null | sort | uniq -c | xargs)" = "$((KEYS * IDS)) done" ]; }
# who has what: "k1-1 [0,1] sample #3,sample #9" a line
table() {
	cat "$R"/*/response.json | jq -r '"\(.request_id) \([.samples[].index] | tojson) \([.samples[].text] | join(","))"' | sort
}
# the daemon dies when it is for the N-th time at this point, if it comes so far
crash_while() { # POINT N SEED
	local pid

	DAEMON_ENV=("INFERFS_FAULT=$1:$2")
	remount
	pid=$(daemon_pid)
	write_all "$3"
	until_true 60 eval 'gone "$pid" || all_done'
	DAEMON_ENV=()
	if gone "$pid"; then
		remount
		write_all "$3"
	else
		umount_inferfs
		remount
	fi
	until_true 60 all_done
}

@test "the first time, with the daemon killed at every step: every sample is handed out once" {
	mount_inferfs "$(config)"
	umount_inferfs
	local point n=0

	for point in accepted release last-byte object committed; do
		n=$((n + 7))
		crash_while "$point" "$n" "$point"
		umount_inferfs
	done
	remount
	table >"$W/first"
	# of each key the samples 0 to the last one, each once
	cat "$R"/*/response.json | jq -s -e 'group_by(.key) | map([.[].samples[].index] | sort) |
		all(. == [range(length)])'
	cat "$R"/*/response.json | jq -s -e 'group_by(.key) | map([.[].samples[].text]) |
		all((. | unique | length) == length)'
	is "$(wc -l <"$W/first")" $((KEYS * IDS))
}

@test "again and again in other orders, with the daemon killed on the way: the same samples, and nothing is bought" {
	local points=(accepted release object committed) point i bought

	mount_inferfs "$(config)"
	write_all 0
	until_true 60 all_done
	table >"$W/first"
	bought=$(provider_count)
	for ((i = 1; i <= ORDERS; i++)); do
		point=${points[i % 4]}
		rm -r "${P:?}"/*
		umount_inferfs
		crash_while "$point" $((KEYS * IDS * (i % 3) / 4 + 1)) "$i"
		table >"$W/again"
		is "$(diff "$W/first" "$W/again" | head -n 5)" "" "order $i, killed at $point"
	done
	is "$(provider_count)" "$bought"
	jq -e '.samples == .samples_cached + .samples_fresh' "$M/stats/summary.json" >/dev/null
}
