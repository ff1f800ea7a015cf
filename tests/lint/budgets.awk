# awk -f strip.awk -f budgets.awk TAGS FILE...   the budgets of src/, from ctags' table and the lines themselves
#
# TAGS rows: name, file, line;", kind, then field:value (line, end, signature, file for static, struct/typeref).
# Prints "ok CHECK" or "not ok CHECK" after its breaches ("# FILE:LINE: ..."), then a report of the aims.
BEGIN {
	FS = "\t"
	split("function-length complexity c-file-length h-file-length parameters includes struct-fields " \
	      "backward-goto names header-blocks comment-style static-share", checks, " ")
	wall["function-length"] = 80; wall["complexity"] = 20; wall["c-file-length"] = 600; wall["h-file-length"] = 250
	wall["parameters"] = 6; wall["includes"] = 15; wall["struct-fields"] = 20; wall["static-share"] = 60
}
function breach(check, where, text) { nbad[check]++; if (nbad[check] <= 30) print "# " where ": " check ": " text }
function measure(check, value, where, what) {
	hist[check, value]++; count[check]++; if (value > top[check]) { top[check] = value; toplace[check] = where " " what }
	if (check in wall && value > wall[check]) breach(check, where, what " has " value ", the wall is " wall[check])
}
function percentile(check, share,    v, sum) {
	for (v = 0; v <= top[check]; v++) { sum += hist[check, v]; if (sum >= share * count[check]) return v }
	return 0
}
function base(path) { sub(/.*\//, "", path); return path }
function parameters(sig,    i, c, depth, n) {
	if (sig == "()" || sig == "(void)" || sig == "") return 0
	for (i = 2; i < length(sig); i++) {
		c = substr(sig, i, 1)
		if (c == "(") depth++
		else if (c == ")") depth--
		else if (c == "," && !depth) n++
	}
	return n + 1
}
# an exported name begins with the stem of its file; src/include is the public ABI and may say inferfs_
function named(name, file,    stem) {
	stem = base(file); sub(/\.[ch]$/, "", stem)
	return name == "main" || name == stem || index(name, stem "_") == 1 || \
	       (file ~ /^src\/include\// && index(name, "inferfs_") == 1)
}
function finish_file() {
	if (file == "") return
	measure(file ~ /\.c$/ ? "c-file-length" : "h-file-length", lines, file, "the file")
	if (file ~ /\.c$/) { measure("includes", includes, file, "the file"); c_comment += commented; c_lines += nonblank }
	else { h_comment += commented; h_lines += nonblank }
}
function finish_function() {
	measure("complexity", cx, file ":" start, fn); fn = ""
}
function words(code,    n, w, i, hits) {
	hits = gsub(/&&/, " ", code) + gsub(/\|\|/, " ", code) + gsub(/\?/, " ", code)
	gsub(/[^A-Za-z0-9_]/, " ", code); n = split(code, w, " ")
	for (i = 1; i <= n; i++) if (w[i] == "if" || w[i] == "for" || w[i] == "while" || w[i] == "case") hits++
	return hits
}
FNR == 1 { nfile++ }
nfile == 1 {
	kind = $4; row = $3 + 0; end = 0; sig = ""; static = 0; owner = ""
	for (i = 5; i <= NF; i++) {
		if ($i ~ /^end:/) end = substr($i, 5) + 0
		else if ($i ~ /^signature:/) sig = substr($i, 11)
		else if ($i ~ /^file:/) static = 1
		else if ($i ~ /^struct:/) owner = substr($i, 8)
	}
	place = $2 ":" row
	if (kind == "f") {
		measure("function-length", end - row + 1, place, $1)
		measure("parameters", parameters(sig), place, $1)
		begins[$2, row] = $1; ends[$2, row] = end
		if ($2 ~ /\.c$/ && $1 != "main") { functions++; if (static) statics++ }
		if ($2 ~ /\.c$/ && !static && !named($1, $2)) breach("names", place, $1 " does not begin with the stem of its file")
	} else if (kind == "v" && $2 ~ /\.c$/ && !static && !named($1, $2))
		breach("names", place, $1 " does not begin with the stem of its file")
	else if (kind == "p" && $2 ~ /\.h$/) proto[$2, row] = $1
	else if (kind == "m" && owner != "") {
		if (!(($2, owner) in fields)) { structs[++nstruct] = $2 "\t" owner; fieldplace[$2, owner] = place }
		fields[$2, owner]++
	}
	next
}
FNR == 1 {
	finish_file(); file = FILENAME; lines = includes = commented = nonblank = 0; strip_in = 0; fn = ""
	before = ""; beforecode = ""; pending = group = 0
}
{
	code = strip($0); lines++
	if ($0 ~ /[^ \t]/) nonblank++
	if (strip_comment) commented++
	if (strip_slashes) breach("comment-style", file ":" FNR, "// comment")
	if ($0 ~ /^[ \t]*#[ \t]*include[ \t]*"/) includes++
	blank = code !~ /[^ \t]/

	# a prototype needs a comment: above it, above its group (lines without an empty one between), or behind it
	if (!pending && !blank && !group) group = before ~ /\*\/[ \t]*$/ && beforecode !~ /[^ \t]/ ? 2 : 1
	if ($0 !~ /[^ \t]/ || code ~ /^[ \t]*#/ || (strip_comment && blank)) group = 0
	if ((file, FNR) in proto) pending = proto[file, FNR]
	if (pending && code ~ /[;{]/) {
		if (group != 2 && !strip_comment) breach("header-blocks", file ":" FNR, pending " has no comment above it")
		pending = 0
	}
	before = $0; beforecode = code

	if ((file, FNR) in begins) { fn = begins[file, FNR]; start = FNR; cx = 1; split("", label) }
	if (fn != "") {
		if (code !~ /^[ \t]*#/) cx += words(code)
		if (match(code, /^[ \t]*[A-Za-z_][A-Za-z0-9_]*[ \t]*:/) && code !~ /^[ \t]*(default|case)[ \t:]/) {
			l = substr(code, RSTART, RLENGTH); gsub(/[ \t:]/, "", l); label[l] = 1
		}
		if (match(code, /(^|[^A-Za-z0-9_])goto[ \t]+[A-Za-z_][A-Za-z0-9_]*/)) {
			l = substr(code, RSTART, RLENGTH); sub(/.*goto[ \t]+/, "", l)
			if (l in label) breach("backward-goto", file ":" FNR, fn " jumps back to " l)
		}
		if (FNR >= ends[file, start]) finish_function()
	}
}
function line(check, aim) {
	printf "# %-16s median %4d   95%% %4d   max %4d  %s   (%s)\n", check, percentile(check, 0.5), percentile(check, 0.95), \
	       top[check], toplace[check], aim
}
END {
	finish_file()
	for (i = 1; i <= nstruct; i++) {
		split(structs[i], s, "\t"); measure("struct-fields", fields[s[1], s[2]], fieldplace[s[1], s[2]], "struct " s[2])
	}
	share = functions ? int(100 * statics / functions) : 100
	if (share < wall["static-share"])
		breach("static-share", "src", share "% of the functions are static, the wall is " wall["static-share"] "%")
	for (i = 1; i in checks; i++) { print (nbad[checks[i]] ? "not ok " : "ok ") checks[i]; worst += nbad[checks[i]] }
	line("function-length", "aim: median 14, 95% 50")
	line("complexity", "aim: 95% 10")
	line("c-file-length", "aim: median 250")
	line("h-file-length", "aim: median 80")
	line("parameters", "aim: 95% 4")
	line("includes", "aim: 95% 10")
	line("struct-fields", "wall 20")
	printf "# static functions  %d of %d, %d%%   (aim: 75%%)\n", statics, functions, share
	if (c_lines && h_lines)
		printf "# comment lines     .c %d%% (aim: 12 to 25), .h %d%% (aim: 40 to 60)\n", 100 * c_comment / c_lines, \
		       100 * h_comment / h_lines
	exit worst > 0
}
