#!/usr/bin/env bash
# P7 by reladiff (PyPI): the differences of two tables, 100 of them and none.
source "$(dirname "$0")/server.sh"
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet 'reladiff[postgresql]'
url() { echo "postgresql://postgres@127.0.0.1:$port/$1"; }
measure() {
	local began=$(date +%s.%N)
	local found
	found=$("$place/venv/bin/reladiff" "$(url app)" customers "$(url crm)" customers -k id -c email -c name -c phone -c stage | wc -l)
	echo "reladiff: $rows rows a side, $found lines of difference: $(echo "$(date +%s.%N) - $began" | bc) s"
}
measure
sql crm "UPDATE customers SET phone = phone || '.' WHERE id % ($rows / 100) = 0"
measure
