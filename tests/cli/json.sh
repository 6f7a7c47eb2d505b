#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# json.sh: what every command prints with --json is what docs/schema says.
#
# Each object of each command, in as many states of a store as there are kinds of output, is held
# against its schema. Then the schemas are tried themselves: every object is mutilated in every way
# (a key gone, a key more, a value of another type, at every depth), and none may pass.
# shellcheck disable=SC2119 # commands without words
set -u -o pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

SCHEMAS=$ROOT/docs/schema

# valid|mutilated SCHEMA FILE: prints what is wrong, and how many objects were looked at.
python_check() {
	python3 -W ignore - "$SCHEMAS" "$@" <<-'END'
		import copy, glob, json, re, sys
		import jsonschema
		folder, how, name, path = sys.argv[1:]
		schemas = {}
		for file in glob.glob(folder + "/*.json"):
		    with open(file) as f:
		        schema = json.load(f)
		    jsonschema.Draft7Validator.check_schema(schema)
		    schemas[schema["$id"]] = schema
		schema = schemas[next(i for i in schemas if i.endswith("/" + name + ".json"))]
		resolver = jsonschema.RefResolver(schema["$id"], schema, store=schemas)
		validator = jsonschema.Draft7Validator(schema, resolver=resolver)
		with open(path, "rb") as f:
		    objects = [json.loads(line.decode("utf-8")) for line in f]

		def nodes(value, at=()):
		    """Every object inside a value, by the way to it."""
		    if isinstance(value, dict):
		        yield at, value
		    items = value.items() if isinstance(value, dict) else enumerate(value)
		    for key, inner in items:
		        if isinstance(inner, (dict, list)):
		            yield from nodes(inner, at + (key,))

		def change(whole, at, key, value):
		    other = copy.deepcopy(whole)
		    node = other
		    for step in at:
		        node = node[step]
		    if value is None:
		        del node[key]
		    else:
		        node[key] = value[0]
		    return other

		def mutilations(whole):
		    for at, node in nodes(whole):
		        where = "/".join(map(str, at)) or "top"
		        yield where + ": a key more", change(whole, at, "surplus", [1])
		        for key, value in node.items():
		            if not key.endswith("_base64"):
		                yield where + ": without " + key, change(whole, at, key, None)
		            yield where + ": odd " + key, change(whole, at, key, [{"odd": True}])
		            if not isinstance(value, bool):
		                yield where + ": boolean " + key, change(whole, at, key, [True])
		    yield "another version", change(whole, (), "schema_version", [2])
		    yield "another type", change(whole, (), "type", ["thing"])

		wrong, looked_at = [], 0
		for whole in objects:
		    if how == "valid":
		        looked_at += 1
		        wrong += [e.message[:200] for e in validator.iter_errors(whole)]
		        wrong += ["not snake_case: " + k for _, n in nodes(whole) for k in n
		                  if not re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", k)]
		    else:
		        for what, other in mutilations(whole):
		            looked_at += 1
		            if validator.is_valid(other):
		                wrong.append("accepted: " + what)
		for line in wrong[:3]:
		    print(line)
		if not looked_at:
		    print("nothing to look at")
		print(looked_at)
		sys.exit(1 if wrong or not looked_at else 0)
	END
}

# NAME SCHEMA: the last output, as it is and mutilated.
expect_schema() {
	local said
	if said=$(python_check valid "$2" "$OUT" 2>&1); then
		ok "$1: fits $2.json, $said objects"
	else
		not_ok "$1: fits $2.json" "$(head -c 300 <<<"${said//$'\n'/; }")"
	fi
	cat "$OUT" >>"$WORK/all.$2"
}

# SCHEMA: rejects all mutilations of all objects seen.
expect_strict() {
	local said
	sort -u "$WORK/all.$1" | awk 'length($0) < 20000' | head -n 40 >"$WORK/some"
	if said=$(python_check mutilated "$1" "$WORK/some" 2>&1); then
		ok "$1.json rejects what is mutilated, $said ways"
	else
		not_ok "$1.json rejects what is mutilated" "$(head -c 300 <<<"${said//$'\n'/; }")"
	fi
}

status() { call status --config "$CONF" --state "$STATE" --json; }

# Splits the lines of scans by their type, so that each schema is also tried alone.
expect_parts() {
	local type
	for type in finding gap summary volume_summary explain explain_summary; do
		jq -c --arg t "$type" 'select(.type == $t)' "$WORK/all.scan" >"$OUT"
		expect_schema "all scans, $type" "$type"
		expect_strict "$type"
	done
}

test_healthy() {
	call check-config --config "$CONF" --json
	expect_schema "check-config" config
	gate
	expect_schema "gate, never scanned" gate
	status
	expect_schema "status, never scanned" status
	scan
	expect_schema "scan, clean" scan
	scan --quick
	expect_schema "scan, quick" scan
	expect_json "scan, quick: says so" 'summary.scope == "quick"'
	scan s1@imap22 --mailbox user.u001
	expect_json "scan of a mailbox: says so" 'summary.scope == "mailbox user.u001"'
	scan s1@imap22 --explain user.u001
	expect_schema "scan, explain" scan
	expect_exit "scan, explain: nothing fails" 0
	scan --progress
	cp "$ERR" "$OUT"
	expect_schema "scan, progress" progress
	status
	expect_schema "status, ok" status
	gate
	expect_schema "gate, permit" gate
	findings --json
	check "findings, none: prints nothing" "it does" test ! -s "$OUT"
}

# Every kind of finding and gap that a fixture can be made to have.
test_damaged() {
	local victims dir other
	mapfile -t victims < <(messages_of replica | head -n 8)
	dir=$(dirname "${victims[0]}")
	other=$(messages_of replica | tail -n 1) # in a mailbox of its own
	flip "$other" 100
	flip "${victims[0]}" 100
	printf x >>"${victims[1]}"
	rm "${victims[2]}"
	rm "${victims[3]}" && mkdir "${victims[3]}"
	flip "$dir/cyrus.index" $((160 + 112 * 5 + 14)) 5
	scan s1@imap22
	expect_schema "scan, findings" scan
	findings --json
	expect_schema "findings, open" finding
	status
	expect_schema "status, findings" status
	if command -v sqlite3 >/dev/null; then
		sqlite3 "$STATE/state.db" "UPDATE finding SET severity = id % 3"
		findings --json
		expect_schema "findings of every severity" finding
		expect_json "findings of every severity: are there" \
			'(map(.severity) | unique) == ["critical", "notice", "warning"]'
		status
		expect_schema "status, notices" status
		gate
		expect_schema "gate, warnings and notices" gate
		sqlite3 "$STATE/state.db" "UPDATE finding SET severity = 0"
	fi
	gate
	expect_schema "gate, deny because of damage" gate
	mv "$dir" "$WORK/moved"
	scan s1@imap22
	expect_schema "scan, a mailbox is gone" scan
	ln -s "$WORK/moved" "$dir"
	scan s1@imap22
	expect_schema "scan, a gap" scan
	rm "$dir" && mv "$WORK/moved" "$dir"
	flip "$other" 100
	scan s1@imap22
	findings --all --json
	expect_schema "findings, closed ones too" finding
	expect_json "findings: some are closed, some open" \
		'(map(.state) | unique) == ["closed", "open"]'
	scan --imapd-conf "$WORK/replica/imapd.conf"
	expect_schema "scan, --imapd-conf" scan
	mv "$WORK/replica/conf/mailboxes.db" "$WORK/aside"
	scan s1@imap22
	expect_schema "scan, no list of mailboxes" scan
	status
	expect_schema "status, a later run was not complete" status
	gate
	expect_schema "gate, no list of mailboxes" gate
	mv "$WORK/aside" "$WORK/replica/conf/mailboxes.db"
}

# Paths are bytes: a folder whose name is not UTF-8.
test_bytes() {
	local strange=$WORK/$'strange\xff\x1b'
	mv "$WORK/replica" "$strange"
	sed "s|$WORK/replica|$WORK/strange\xff\x1b|" "$strange/imapd.conf" >"$WORK/imapd.conf"
	call scan --imapd-conf "$WORK/imapd.conf" --state "$WORK/state.bytes" --json
	expect_exit "scan below a folder of strange bytes: exit 1" 1
	expect_schema "scan below a folder of strange bytes" scan
	expect_json "scan below a folder of strange bytes: whole as base64" \
		'any(found[]; (.path_base64 | @base64d | startswith("/")) and
			(.path | test("[^ -~]") | not))'
	call status --config "$CONF" --state "$WORK/state.bytes" --json
	expect_schema "status, a name of strange bytes" status
	expect_json "status, a name of strange bytes: whole as base64" \
		'any(.[]; .role == null and (.store | startswith("/")))'
	mv "$strange" "$WORK/replica"
}

test_stale() {
	mv "$WORK/master" "$WORK/aside" && mv "$WORK/stale/master" "$WORK/master"
	gate
	expect_schema "gate, young events" gate
	touch -d '-76 hours' "$WORK/master/conf/sync/log"
	gate
	expect_schema "gate, old events" gate
	rm -r "$WORK/master"
	gate
	expect_schema "gate, no master" gate
	call check-config --config "$CONF" --json
	expect_schema "check-config, no master" config
	expect_exit "check-config, no master: exit 3" 3
	printf '[host]\nname = x\n' >"$WORK/empty.conf"
	call check-config --config "$WORK/empty.conf" --json
	expect_schema "check-config, no store" config
}

# Volumes: clean, damaged, and what is kept of their blocks.
test_volume() {
	local image=$WORK/root.img block
	if ! "$ROOT/tests/support/mkroot.sh" "$image" 4k >"$WORK/said" 2>&1; then
		skip "volumes" "$(head -n 1 "$WORK/said")"
		return
	fi
	scan "$image"
	expect_schema "scan of an image, clean" scan
	block=$(PATH=$PATH:/usr/sbin:/sbin debugfs -R "blocks /usr/bin/grep" "$image" 2>/dev/null | awk '{ print $1 }')
	flip "$image" $((block * 4096 + 100))
	scan "$image"
	expect_schema "scan of an image, findings" scan
	expect_exit "scan of an image, findings: exit 1" 1
	printf '[host]\nname = x\n[volume v]\ndevice = %s\n' "$image" >"$WORK/volume.conf"
	call check-config --config "$WORK/volume.conf" --json
	expect_schema "check-config, a volume" config
	call status --config "$WORK/volume.conf" --state "$STATE" --json
	expect_schema "status, a volume" status
	call baseline "$image" --config "$CONF" --state "$STATE" --json
	jq -c 'select(.type == "baseline")' "$OUT" >"$WORK/one" && jq -c 'select(.type != "baseline")' "$OUT" >"$WORK/two"
	cp "$WORK/one" "$OUT"
	expect_schema "baselines" baseline
	cp "$WORK/two" "$OUT"
	expect_schema "baselines, what differs" baseline_difference
	call baseline "$image" accept --config "$CONF" --state "$STATE" --json
	expect_schema "baseline, accept" baseline_accept
	expect_strict baseline
	expect_strict baseline_difference
	expect_strict baseline_accept
}

begin json
if ! python3 -c 'import jsonschema' 2>/dev/null; then
	skip "all" "python3-jsonschema is not installed"
	finish
fi
check "the fixture is unpacked" "tar" unpack_pair
test_healthy
test_damaged
test_bytes
test_stale
test_volume
expect_parts
for schema in scan gate config status progress; do expect_strict "$schema"; done
finish
