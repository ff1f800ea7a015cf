# sent.bash - what the provider was asked: exactly which prompts, each how often
#
# A fence is one more request of its own; once it is answered, whatever the calls before it had caused has been sent.
# shellcheck shell=bash disable=SC2154

FENCES=0

fop() { "$TOOLS/fop" "$@"; }
code_of() { fop "$@" | tail -n 1 | cut -d' ' -f2; } # the outcome of the last of several commands

fence() {
	FENCES=$((FENCES + 1))
	fop put "$M/prompts/fence$FENCES.json" "{\"prompt\":\"fence $FENCES $RANDOM\"}" >/dev/null || return 1
	timeout $((20 * SLOW)) cat "$M/responses/fence$FENCES/text" >/dev/null
}

# every prompt the provider was asked so far, sorted, one JSON string a line; fences are not among them
prompts_sent() {
	provider_requests '[.requests[] | select(.method == "POST") | .body | fromjson | .messages[-1].content
		| select(startswith("fence ") | not)] | sort | .[] | tojson'
}
sent() { # PROMPT...: exactly these, in any order, and no other comes
	local wanted=

	fence || return 1
	[ $# -eq 0 ] || wanted=$(jq -cn '$ARGS.positional | sort | .[]' --args -- "$@")
	is "$(prompts_sent)" "$wanted" "what the provider was asked:"
}
last_body() { # JQ FILTER: over the body of the last request that is no fence
	provider_requests "[.requests[] | select(.method == \"POST\") | .body | fromjson
		| select(.messages[-1].content | startswith(\"fence \") | not)] | last | $1"
}

# the answers of STEM1 ... STEMn in one go, a line each: "echo: TEXT 1" ... (TEXT without the characters % and \)
answers_are() { # STEM N TEXT
	is "$(cd "$M/responses" && timeout $((60 * SLOW)) cat $(seq -f "$1%g/text" "$2"))" "$(seq -f "echo: $3" "$2")" \
		"the answers of $1:"
}
