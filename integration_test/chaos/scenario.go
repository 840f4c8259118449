package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// A scenario is what is done to whom, how often.
type scenario struct {
	name string
	text string
	ci   bool // one of those that are played before a change goes in

	// heartbeat and window are the broker's. Where faults last for a while
	// they are short, so that a short run sees silence judged.
	heartbeat, window time.Duration
	proxied           bool // clients and workers come through the proxy
	attacked          bool // there is an attacker

	moves []move
	// The pause before a fault is drawn between these two. After every group
	// of faults there is a calm, where group is not 0.
	pauseMin, pauseMax time.Duration
	group              int
	calm               time.Duration
}

// A move is one kind of fault. Moves are drawn by their weight.
type move struct {
	kind             string
	role             string // of the target: broker, worker, client
	weight           int
	lastMin, lastMax time.Duration // how long it lasts; of a kill or drain, until the next process starts
}

const (
	defaultHeartbeat = time.Second     // as of the broker
	defaultWindow    = 8 * time.Second // likewise
	quickHeartbeat   = 250 * time.Millisecond
	quickWindow      = 6 * time.Second // liveness, the longest pause before a reconnect, and its time-out
	liveness         = 3               // heartbeats, as of the broker
)

const ms = time.Millisecond

var scenarios = []scenario{
	{
		name: "kill-worker", text: "workers are killed with SIGKILL", ci: true,
		heartbeat: defaultHeartbeat, window: defaultWindow,
		moves:    []move{{history.Kill, "worker", 1, 0, 500 * ms}},
		pauseMin: 400 * ms, pauseMax: 1200 * ms,
	},
	{
		name: "kill-broker", text: "the broker is killed with SIGKILL, and started again, several times within a recovery window", ci: true,
		heartbeat: defaultHeartbeat, window: defaultWindow,
		moves:    []move{{history.Kill, "broker", 1, 0, 1000 * ms}},
		pauseMin: 300 * ms, pauseMax: 4000 * ms, group: 4, calm: 10 * time.Second,
	},
	{
		name: "kill-client", text: "clients are killed with SIGKILL",
		heartbeat: defaultHeartbeat, window: defaultWindow,
		moves:    []move{{history.Kill, "client", 1, 0, 500 * ms}},
		pauseMin: 400 * ms, pauseMax: 1200 * ms,
	},
	{
		name: "freeze", text: "workers, clients and the broker are stopped with SIGSTOP for a while", ci: true,
		heartbeat: quickHeartbeat, window: quickWindow,
		moves: []move{
			{history.Freeze, "worker", 3, 100 * ms, 2500 * ms},
			{history.Freeze, "broker", 1, 100 * ms, 2000 * ms},
			{history.Freeze, "client", 1, 100 * ms, 2500 * ms},
		},
		pauseMin: 300 * ms, pauseMax: 1500 * ms,
	},
	{
		name: "link", text: "links are cut, half-open, stalled one way and slow", ci: true, proxied: true,
		heartbeat: quickHeartbeat, window: quickWindow,
		moves:    linkMoves(2500 * ms),
		pauseMin: 200 * ms, pauseMax: 1000 * ms,
	},
	{
		name: "rst", text: "connections are reset (SO_LINGER 0), many times in a row", proxied: true,
		heartbeat: quickHeartbeat, window: quickWindow,
		moves: []move{
			{history.RST, "worker", 2, 200 * ms, 1500 * ms},
			{history.RST, "client", 1, 200 * ms, 1500 * ms},
		},
		pauseMin: 300 * ms, pauseMax: 1200 * ms,
	},
	{
		name: "drain", text: "workers and the broker are ended with SIGTERM, and started again", ci: true,
		heartbeat: defaultHeartbeat, window: defaultWindow,
		moves: []move{
			{history.Drain, "worker", 4, 0, 500 * ms},
			{history.Drain, "broker", 1, 0, 500 * ms},
		},
		pauseMin: 400 * ms, pauseMax: 1500 * ms,
	},
	{
		name: "mixed", text: "all of it at once", ci: true, proxied: true,
		heartbeat: defaultHeartbeat, window: defaultWindow,
		moves: append(linkMoves(5*time.Second),
			move{history.RST, "worker", 1, 200 * ms, 1500 * ms},
			move{history.RST, "client", 1, 200 * ms, 1500 * ms},
			move{history.Kill, "worker", 5, 0, time.Second},
			move{history.Kill, "client", 1, 0, time.Second},
			move{history.Kill, "broker", 2, 0, time.Second},
			move{history.Freeze, "worker", 3, 100 * ms, 6 * time.Second},
			move{history.Freeze, "broker", 1, 100 * ms, 4 * time.Second},
			move{history.Freeze, "client", 1, 100 * ms, 5 * time.Second},
			move{history.Drain, "worker", 2, 0, time.Second},
			move{history.Drain, "broker", 1, 0, time.Second},
		),
		pauseMin: 200 * ms, pauseMax: 1500 * ms, group: 12, calm: 10 * time.Second,
	},
	{
		name: "hostile", text: "messages without an end, half handshakes, peers that never read, garbage; the broker's memory, its counters and the replies in time are looked at",
		heartbeat: defaultHeartbeat, window: defaultWindow, attacked: true,
	},
}

// What an attacked broker must hold to.
const (
	attackedMemory = 256 << 20 // bytes; not with the race detector, which takes several times as much
	attackedTime   = 1500 * ms // within which 95 of 100 replies come: a handler takes up to a second
)

// attacksMet are the attacks, each with the counter of the broker that must have
// met it. (A message that never ends, in frames with bytes, is met by what all such
// messages take together, before it is as long as one may be.)
var attacksMet = map[string]string{
	"messages of a million empty frames":     "cut long_message",
	"messages without an end":                "cut unfinished",
	"clients that do not read":               "full",
	"many clients that do not read":          "cut slow",
	"handshakes that are begun and not done": "cut late_handshake",
}

// linkMoves are what is done to links, for up to last.
func linkMoves(last time.Duration) (moves []move) {
	for _, kind := range []string{history.Cut, history.HalfOpen, history.Stall, history.Slow} {
		moves = append(moves,
			move{kind, "worker", 2, 20 * ms, last},
			move{kind, "client", 1, 20 * ms, last})
	}
	return moves
}

// find returns the scenarios of a name, all, or ci.
func find(name string) ([]scenario, error) {
	var found []scenario
	var names []string
	for _, s := range scenarios {
		if s.name == name || name == "all" || name == "ci" && s.ci {
			found = append(found, s)
		}
		names = append(names, s.name)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no scenario %q; there are %s, all and ci", name, strings.Join(names, ", "))
	}
	return found, nil
}
