# SPDX-License-Identifier: Apache-2.0
#
# The shape of the source tree: awk -v layers="base:0 io:1 ..." [-v root=src] -f layers.awk FILE...
#
# Prints one line a violation, FILE:LINE: what, and exits 1 if there was any:
#
#   - an include names a lower rank or its own folder, and is written from src/;
#   - one door each: liburing is included by io/ring.c, libblkid by io/identity.c, ioctls and the
#     kernel's filesystem header by io/dev.c, SQLite by state/*.c;
#   - a source lies where the Makefile finds it: src/<layer>/ or one folder below;
#   - a file has at most 800 lines, a function at most 80, and no note says that work is left.
#
# Plain POSIX awk; mawk runs it.

BEGIN {
	if (root == "")
		root = "src"
	count = split(layers, list, " ")
	for (i = 1; i <= count; i++) {
		split(list[i], pair, ":")
		rank[pair[1]] = pair[2] + 0
	}
	if (count == 0) {
		print "layers.awk: no layers given"
		exit bad = 1
	}
	max_file = 800
	max_function = 80
}

function complain(line, what) {
	print FILENAME ":" line ": " what
	bad = 1
}

# FILENAME without the root: "io/ring.c".
function begin_file() {
	file_end()
	name = substr(FILENAME, length(root) + 2)
	parts = split(name, part, "/")
	own = part[1]
	in_function = 0
	last_name = FILENAME
	last_line = 0
	if (!(own in rank))
		complain(1, "lies in no layer")
	else if (parts > 3)
		complain(1, "lies deeper than the Makefile looks")
}

function file_end() {
	if (last_line > max_file) {
		print last_name ":" last_line ": " last_line " lines, more than " max_file
		bad = 1
	}
}

# `path` as written between the quotes.
function check_own_include(path,    piece, pieces, folder) {
	pieces = split(path, piece, "/")
	folder = piece[1]
	if (path == "assay.h")
		return
	if (pieces < 2 || path ~ /(^|\/)\.\.?\//)
		complain(FNR, "includes \"" path "\": write it from " root "/")
	else if (!(folder in rank))
		complain(FNR, "includes \"" path "\": there is no layer " folder)
	else if (folder != own && rank[folder] >= rank[own])
		complain(FNR, "includes \"" path "\": " own " (rank " rank[own] \
			") may not use " folder " (rank " rank[folder] ")")
}

function check_system_include(path) {
	if (path ~ /^liburing/ && name != "io/ring.c")
		complain(FNR, "includes <" path ">: only io/ring.c may")
	if (path ~ /^blkid/ && name != "io/identity.c")
		complain(FNR, "includes <" path ">: only io/identity.c may")
	if ((path ~ /(^|\/)ioctls?\.h$/ || path == "linux/fs.h") && name != "io/dev.c")
		complain(FNR, "includes <" path ">: only io/dev.c may")
	if (path ~ /^sqlite3/ && (own != "state" || (name !~ /\.c$/ && name != "state/sql.h")))
		complain(FNR, "includes <" path ">: only state/*.c and state/sql.h may")
}

FNR == 1 { begin_file() }

{ last_line = FNR }

/^[ \t]*#[ \t]*include[ \t]/ {
	path = $0
	if (match(path, /"[^"]*"/))
		kind = "own"
	else if (match(path, /<[^>]*>/))
		kind = "system"
	else {
		complain(FNR, "includes what a macro says")
		next
	}
	path = substr(path, RSTART + 1, RLENGTH - 2)
	if (kind == "own")
		check_own_include(path)
	else
		check_system_include(path)
}

/(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)/ {
	complain(FNR, "a note that work is left")
}

# In this style a function's braces, and only they, stand in the first column.
/^[A-Za-z_].*\(/ { signature = $0 }

/^\{/ {
	in_function = FNR
}

/^\}/ {
	if (in_function && FNR - in_function + 1 > max_function) {
		what = signature
		sub(/\(.*/, "", what)
		sub(/.*[ *]/, "", what)
		complain(in_function, what "() has " (FNR - in_function + 1) " lines, more than " \
			max_function)
	}
	in_function = 0
}

END {
	file_end()
	exit bad
}
