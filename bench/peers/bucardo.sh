#!/usr/bin/env bash
# P4 by Bucardo (Debian package `bucardo`): one statement's rows until both tables are equal, and one change.
# Needs: apt-get install bucardo. Run as root, as Bucardo expects.
source "$(dirname "$0")/server.sh"
command -v bucardo >/dev/null || { echo "bucardo is not installed: apt-get install bucardo" >&2; exit 2; }
export BUCARDO_DIR=$place/bucardo PGHOST=127.0.0.1 PGPORT=$port PGUSER=postgres
mkdir -p "$BUCARDO_DIR"
cd "$BUCARDO_DIR" # It leaves notes of its restarts wherever it is started.
control() { bucardo --dbhost=127.0.0.1 --dbport="$port" --dbuser=bucardo --dbname=bucardo --piddir="$BUCARDO_DIR" "$@"; }
bucardo install --batch --dbhost=127.0.0.1 --dbport="$port" --dbuser=postgres --piddir="$BUCARDO_DIR"
for database in app crm; do control add db "$database" dbname="$database" dbhost=127.0.0.1 dbport="$port" dbuser=postgres; done
control add table public.customers db=app relgroup=customers
control add sync customers relgroup=customers dbs=app:source,crm:source conflict_strategy=bucardo_latest
# Its processes are children of nobody, and end before the server does.
end() {
	control stop >/dev/null 2>&1 || true
	for file in "$BUCARDO_DIR"/*.pid; do
		[ -f "$file" ] && kill "$(head -n 1 "$file")" 2>/dev/null || true
	done
	sleep 1
	finish
}
trap end EXIT
control start --log-destination="$BUCARDO_DIR"
sleep 5
measure() {
	local began=$(date +%s.%N)
	sql app "UPDATE customers SET phone = phone || '.' WHERE id <= $1"
	until [ "$(sums app)" = "$(sums crm)" ]; do
		if [ "$(echo "$(date +%s.%N) - $began > 120" | bc)" = 1 ]; then
			echo "bucardo: the tables differ after 120 s; its log:" >&2
			tail -n 20 "$BUCARDO_DIR"/log.bucardo >&2
			exit 1
		fi
		sleep 0.02
	done
	echo "bucardo: $1 rows until equal: $(echo "$(date +%s.%N) - $began" | bc) s"
}
measure "$rows"
for _ in 1 2 3 4 5; do measure 1; done
