# strip(line): the line without comments and with empty literals; strip_comment tells whether it held a comment.
# State is kept in strip_in (inside a block comment); set it to 0 at the first line of a file.
function strip(line,    out, i, n, c, two, quote) {
	out = ""; n = length(line); strip_comment = strip_in; strip_slashes = 0
	for (i = 1; i <= n; i++) {
		c = substr(line, i, 1); two = substr(line, i, 2)
		if (strip_in) {
			if (two == "*/") { strip_in = 0; i++ }
		} else if (quote != "") {
			if (c == "\\") i++
			else if (c == quote) { out = out c; quote = "" }
		} else if (two == "/*") { strip_in = 1; strip_comment = 1; i++ }
		else if (two == "//") { strip_slashes = 1; break }
		else { if (c == "\"" || c == "'") quote = c; out = out c }
	}
	return out
}
