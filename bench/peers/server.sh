# Sourced by the scripts beside it: a private Postgres with two equal tables, stopped and removed at the end.
set -euo pipefail
rows=${AVOWAL_BENCH_ROWS:-50000}
bin=$(dirname "$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)")
place=$(mktemp -d)
port=$((20000 + RANDOM % 20000))
as_owner=()
if [ "$(id -u)" = 0 ]; then
	chown postgres "$place"
	as_owner=(setpriv --reuid postgres --regid postgres --clear-groups)
fi
finish() {
	"${as_owner[@]}" "$bin/pg_ctl" -D "$place/data" -m immediate stop >/dev/null || true
	rm -rf "$place"
}
trap finish EXIT
"${as_owner[@]}" "$bin/initdb" -N -E UTF8 --locale=C -A trust -U postgres -D "$place/data" >/dev/null
"${as_owner[@]}" "$bin/pg_ctl" -D "$place/data" -l "$place/log" -w \
	-o "-k $place -p $port -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off" start >/dev/null
sql() { psql -h 127.0.0.1 -p "$port" -U postgres -XAtq -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }
for database in app crm; do
	sql postgres "CREATE DATABASE $database"
	sql "$database" "CREATE TABLE customers (id bigint PRIMARY KEY, email text UNIQUE, name text, phone text, stage text)"
	sql "$database" "INSERT INTO customers SELECT n, 'person' || n || '@example.com', 'Person ' || n, \
		'+1555' || lpad(n::text, 7, '0'), 'lead' FROM generate_series(1, $rows) n"
done
sums() { sql "$1" "SELECT count(*), sum(hashtext(email || name || phone || stage)::bigint) FROM customers"; }
