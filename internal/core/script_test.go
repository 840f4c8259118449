package core

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

var update = flag.Bool("update", false, "rewrite the traces in testdata from what the core does now")

// TestScripts plays each story in testdata: commands, and below each of them,
// indented, everything the core put out. testdata/README.md has the grammar.
// After each command the core's invariants are checked.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("found %d scripts (%v), want at least 30", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compareTraces(t, string(want), got)
		})
	}
}

func compareTraces(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		line := func(s []string) string {
			if i < len(s) {
				return s[i]
			}
			return "(end)"
		}
		if line(w) != line(g) {
			t.Fatalf("line %d:\n want %s\n  got %s\n\nwhole trace:\n%s", i+1, line(w), line(g), got)
		}
	}
}

// A stage plays one script.
type stage struct {
	t     *testing.T
	core  *Core
	cfg   Config
	now   time.Duration
	line  int
	trace bytes.Buffer
	peers map[string]*actor
}

// An actor is a worker's end of its link, as the script sees it.
type actor struct {
	name           string
	link, seq, ack uint32
	deaf           bool // what is sent to it gets lost on the way
	gone           bool // what is sent to it cannot be sent
	full           bool
}

func testConfig() Config {
	return Config{Epoch: 1, Heartbeat: time.Second, Liveness: 3, MaxAttempts: 3, MaxQueue: 1000, MaxQueueBytes: 1 << 20,
		MaxMessage: 1 << 10, MaxPeers: 100, MaxServices: 10, MaxIDs: 10000, MaxDead: 10, MaxDeadBytes: 1 << 20, DefaultDeadline: 30 * time.Second,
		DefaultService: "default", ReplayWindow: 2 * time.Minute, ReplayBytes: 1 << 16, RecoveryWindow: 8 * time.Second,
		ReconnectMax: 2 * time.Second, Retention: 30 * time.Second}
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, cfg: testConfig(), peers: map[string]*actor{}}
	s.core = New(s.cfg, 0)
	return s
}

// run plays some lines.
func (s *stage) run(lines ...string) {
	for _, line := range lines {
		s.step(strings.Fields(line))
		if err := s.core.Check(); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
	}
}

func play(t *testing.T, script string) string {
	s := newStage(t)
	for _, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		s.line++
		if strings.HasPrefix(line, "    ") {
			continue // the old trace
		}
		fmt.Fprintln(&s.trace, line)
		if words := strings.Fields(line); len(words) > 0 && words[0][0] != '#' {
			s.step(words)
			if err := s.core.Check(); err != nil {
				t.Fatalf("script line %d, %q: %v\n\n%s", s.line, line, err, s.trace.String())
			}
		}
	}
	return s.trace.String()
}

func (s *stage) step(words []string) {
	switch w := words[0]; {
	case strings.HasPrefix(w, "+"):
		s.advance(s.duration(w[1:]))
	case w == "config":
		s.configure(words[1:])
	case w == "restart":
		s.cfg.Epoch++
		s.core = New(s.cfg, s.now)
	case w == "stopped":
		d := s.duration(words[1])
		s.now += d
		s.put(s.core.Stopped(s.now, d, s.now, nil))
	case w == "disconnected":
		var peer Peer
		if len(words) > 1 {
			peer.ID = []byte(words[1])
		}
		s.put(s.core.Disconnected(s.now, peer, nil))
	case w == "drain":
		s.put(s.core.Drain(s.now, nil))
	case w == "leave":
		s.put(s.core.Leave(s.now, nil))
	case w == "idle?":
		fmt.Fprintf(&s.trace, "    %t\n", s.core.Idle())
	case w == "withdraw":
		s.withdraw(words[1])
	case w == "dead":
		s.deadLetters(words[1:])
	case w == "deaf" || w == "hears" || w == "gone" || w == "back" || w == "full":
		a := s.actor(words[1])
		a.deaf = w == "deaf" || (a.deaf && w != "hears")
		a.gone, a.full = w == "gone" || (a.gone && w != "back"), w == "full" || (a.full && w != "back")
	case w == "gauges":
		fmt.Fprintf(&s.trace, "    %+v\n", s.core.Gauges())
	case w[0] == 'c' || w[0] == 'p':
		s.client(words)
	case w[0] == 'w' || w[0] == 'v' || w[0] == 'm':
		s.worker(words)
	default:
		s.t.Fatalf("script line %d: unknown command %q", s.line, w)
	}
}

// advance lets time pass, turning the core whenever it asks for it.
func (s *stage) advance(d time.Duration) {
	end := s.now + d
	for {
		due, ok := s.core.Deadline()
		if !ok || due > end {
			break
		}
		s.now = max(s.now, due)
		s.put(s.core.Tick(s.now, nil))
	}
	s.now = end
	s.put(s.core.Tick(s.now, nil))
}

func (s *stage) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		s.t.Fatalf("script line %d: %v", s.line, err)
	}
	return d
}

func (s *stage) number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("script line %d: %v", s.line, err)
	}
	return n
}

func (s *stage) configure(settings []string) {
	for _, set := range settings {
		k, v, _ := strings.Cut(set, "=")
		switch k {
		case "max-deadline":
			s.cfg.MaxDeadline = s.duration(v)
		case "max-attempts":
			s.cfg.MaxAttempts = s.number(v)
		case "max-queue":
			s.cfg.MaxQueue = s.number(v)
		case "max-queue-bytes":
			s.cfg.MaxQueueBytes = int64(s.number(v))
		case "max-services":
			s.cfg.MaxServices = s.number(v)
		case "max-peers":
			s.cfg.MaxPeers = s.number(v)
		case "max-ids":
			s.cfg.MaxIDs = s.number(v)
		case "max-dead-bytes":
			s.cfg.MaxDeadBytes = int64(s.number(v))
		case "max-dead":
			s.cfg.MaxDead = s.number(v)
		case "replay-window":
			s.cfg.ReplayWindow = s.duration(v)
		case "replay-bytes":
			s.cfg.ReplayBytes = int64(s.number(v))
		case "lease":
			s.cfg.Lease = s.duration(v)
		default:
			s.t.Fatalf("script line %d: unknown setting %q", s.line, k)
		}
	}
	s.core = New(s.cfg, s.now)
}

func (s *stage) actor(name string) *actor {
	a := s.peers[name]
	if a == nil {
		a = &actor{name: name}
		s.peers[name] = a
	}
	return a
}

// id makes a name like X a request id, and back.
func id(name string) (id protocol.ID) {
	copy(id[:], name)
	return id
}

func name(id protocol.ID) string { return strings.TrimRight(string(id[:]), "\x00") }

// put writes outputs to the trace, and what cannot be sent back to the core.
func (s *stage) put(out []Output) {
	for i := 0; i < len(out); i++ {
		o := out[i]
		if o.Kind != Send {
			s.write(formatEvent(o))
			continue
		}
		a := s.actor(string(o.To.ID))
		s.write(formatSend(o, a))
		switch {
		case a.gone || a.full:
			out = s.core.Undeliverable(s.now, o.Side, o.To, &o.Msg, a.gone, out)
		case o.Side == Back && !a.deaf && o.Msg.Seq == a.ack+1 && o.Msg.Link == a.link:
			a.ack++
		}
	}
}

func (s *stage) write(line string) { fmt.Fprintf(&s.trace, "    %-8v %s\n", s.now, line) }

// withdraw ends all requests of a service, as an operator.
func (s *stage) withdraw(service string) {
	w := Withdrawal{Service: service}
	for done := false; !done; {
		var out []Output
		out, done = s.core.WithdrawSome(s.now, &w, nil)
		s.put(out)
	}
	fmt.Fprintf(&s.trace, "    %t, %d\n", w.Known, w.Ended)
}

func (s *stage) deadLetters(words []string) {
	switch {
	case len(words) == 0:
		for _, d := range s.core.DeadLetters() {
			fmt.Fprintf(&s.trace, "    %s %s %v attempts=%d lost-with=%d: %s\n", name(d.ID), d.Service, d.Code, d.Attempt, len(d.Workers), d.Reason)
		}
	case words[0] == "drop":
		fmt.Fprintf(&s.trace, "    %t\n", s.core.DropDead(id(words[1])))
	case words[0] == "requeue":
		out, ok := s.core.RequeueDead(s.now, id(words[1]), id(words[2]), nil)
		fmt.Fprintf(&s.trace, "    %t\n", ok)
		s.put(out)
	}
}
