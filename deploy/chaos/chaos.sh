#!/bin/bash
# Kills and freezes workers while clients count what becomes of their requests.
# docker-compose.yml runs it in the profile "chaos". The workers' containers share
# this one's process namespace and user, so that a signal reaches them from here:
# no Docker socket, no privilege. Docker starts a worker that was killed again.
#
#   CHAOS_SECONDS=60  how long
#   CHAOS_BROKER      front endpoint of the broker
#   CHAOS_CLIENTS=4   clients, each with one request at a time
#
# Its last line is
#   chaos: requests=N ok=N lost=N wrong=N repeated=N killed=N frozen=N
# lost: it has no reply, or another outcome than OK. wrong: a reply that is not the
# checksum. repeated: those that needed more than one attempt. Exit code: 0 if
# nothing was lost or wrong, and workers were killed and frozen, and requests were
# repeated because of it; otherwise 1, or 2 if it could not begin.
set -u

seconds=${CHAOS_SECONDS:-60}
broker=${CHAOS_BROKER:-tcp://broker:5555}
clients=${CHAOS_CLIENTS:-4}
service=chaos
freeze_seconds=5 # longer than the three heartbeats after which a worker is given up

fail() {
	echo "chaos: $*" >&2
	exit 2
}
[ $$ -eq 1 ] || fail "it strikes every worker that it sees: run it as a container's first process, docker compose --profile chaos run --rm chaos"
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "CHAOS_SECONDS is \"$seconds\": give a number of seconds, 1 or more"
[[ $clients =~ ^[1-9][0-9]*$ ]] || fail "CHAOS_CLIENTS is \"$clients\": give a number, 1 or more"
dir=$(mktemp -d) || fail "cannot write to the folder for temporary files: give the container a tmpfs at /tmp"

killed=0
frozen=0

# The processes of the workers; not what they run for a request.
workers() {
	local p words
	for p in /proc/[0-9]*; do
		mapfile -d '' -t words <"$p/cmdline" || continue # it has ended
		[[ ${words[0]:-} == *privateer && ${words[1]:-} == worker ]] && echo "${p#/proc/}"
	done 2>/dev/null
}

# One client: each request has its own body, and its reply is compared with what
# this shell's sha256sum makes of it.
client() {
	local n=0 body reply
	until [ -e "$dir/stop" ]; do
		n=$((n + 1)) body="client $1 request $n"
		if reply=$(privateer request --broker "$broker" "$service" "$body" 2>"$dir/$1.said"); then
			if [ "$reply" = "$(printf %s "$body" | sha256sum)" ]; then
				echo "ok"
			else
				echo "wrong $body: $reply"
			fi
		else
			echo "lost $body: $(tail -n 1 "$dir/$1.said")"
		fi
		grep -qE ' attempt=([2-9]|[1-9][0-9])' "$dir/$1.said" && echo repeated
	done >"$dir/$1.log"
}

# strike SIGNAL: hits the worker whose turn it is, and sets victim.
turn=0
strike() {
	local list
	mapfile -t list < <(workers)
	[ ${#list[@]} -gt 1 ] || return 1 # one must be left
	victim=${list[turn++ % ${#list[@]}]}
	kill -s "$1" "$victim" 2>/dev/null
}

stopping=
trap 'stopping=yes' TERM INT

playing() { [ "$SECONDS" -lt "$seconds" ] && [ -z "$stopping" ]; }

# doze SECONDS: less, if it is over.
doze() {
	local end=$((SECONDS + $1))
	while [ "$SECONDS" -lt "$end" ] && playing; do sleep 0.2; done
}

until [ "$(workers | wc -l)" -ge 3 ]; do
	[ "$SECONDS" -lt 60 ] || fail "fewer than 3 workers within a minute: see the logs of chaos-worker1 to 3"
	sleep 0.2
done
privateer ping --broker "$broker" >/dev/null || fail "no broker answers at $broker: see its log"

SECONDS=0
for ((i = 1; i <= clients; i++)); do client "$i" & done
doze 1
while playing; do
	if strike KILL; then
		killed=$((killed + 1))
		echo "[${SECONDS}s] killed worker process $victim"
	fi
	doze 2
	if playing && strike STOP; then
		frozen=$((frozen + 1))
		echo "[${SECONDS}s] froze worker process $victim for $freeze_seconds s"
		doze "$freeze_seconds"
		kill -s CONT "$victim" 2>/dev/null
	fi
	doze 2
done
touch "$dir/stop"
for ((i = 1; i <= clients; i++)); do wait -n; done

count() { cat "$dir"/*.log | grep -c "^$1" || true; }
ok=$(count ok) lost=$(count lost) wrong=$(count wrong) repeated=$(count repeated)
cat "$dir"/*.log | grep -E '^(lost|wrong) ' | head -n 20
echo "chaos: requests=$((ok + lost + wrong)) ok=$ok lost=$lost wrong=$wrong repeated=$repeated killed=$killed frozen=$frozen"
rm -rf "$dir"
[ "$lost" -eq 0 ] && [ "$wrong" -eq 0 ] && [ "$killed" -gt 0 ] && [ "$frozen" -gt 0 ] && [ "$repeated" -gt 0 ] && [ "$ok" -gt 0 ]
