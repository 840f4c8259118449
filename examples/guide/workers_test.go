package guide_test

import (
	"regexp"
	"slices"
	"testing"
	"time"
)

// A dialect is how a worker and its broker speak. Of a request and a reply it
// has the frames before the client's address.
type dialect struct {
	program                 string
	args                    []string
	ready, beat, disconnect []string
	request, partial, reply []string
}

var dialects = map[string]dialect{
	"PPP": {
		program: "ppworker",
		ready:   []string{"\x01"},
		beat:    []string{"\x02"},
	},
	"MDP 0.1": {
		program:    "mdworker",
		args:       []string{"--version=0.1", "--service=echo"},
		ready:      []string{"", "MDPW01", "\x01", "echo"},
		request:    []string{"", "MDPW01", "\x02"},
		reply:      []string{"", "MDPW01", "\x03"},
		beat:       []string{"", "MDPW01", "\x04"},
		disconnect: []string{"", "MDPW01", "\x05"},
	},
	"MDP 0.2": {
		program:    "mdworker",
		args:       []string{"--version=0.2", "--service=echo"},
		ready:      []string{"MDPW02", "\x01", "echo"},
		request:    []string{"MDPW02", "\x02"},
		partial:    []string{"MDPW02", "\x03"},
		reply:      []string{"MDPW02", "\x04"},
		beat:       []string{"MDPW02", "\x05"},
		disconnect: []string{"MDPW02", "\x06"},
	},
}

// A stage is a worker and its broker; the worker has just said READY.
type stage struct {
	*router
	dialect
	worker *process
}

// each runs a test for each kind of worker, in both languages.
func each(t *testing.T, args []string, test func(t *testing.T, s stage)) {
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, language string) {
				s := stage{router: newRouter(t), dialect: d}
				s.router.beat = d.beat
				s.worker = start(t, language, d.program, join(join(d.args, "--broker="+s.endpoint), args...)...)
				s.want(d.ready...)
				test(t, s)
			})
		})
	}
}

func (s stage) ask(frames ...string)       { s.t.Helper(); s.send(join(s.request, frames...)...) }
func (s stage) wantReply(frames ...string) { s.t.Helper(); s.want(join(s.reply, frames...)...) }

// wantAgain waits for READY on a new connection.
func (s stage) wantAgain() {
	s.t.Helper()
	first := s.peer
	if s.want(s.ready...); s.peer == first {
		s.t.Fatal("READY once more on the same connection")
	}
}

func TestWorkerFrames(t *testing.T) {
	each(t, []string{"--heartbeat=300ms"}, func(t *testing.T, s stage) {
		for _, body := range [][]string{{"hello"}, {""}, {"one", "", "\x02\x00\xff"}} {
			request := append([]string{"\x00client", ""}, body...)
			s.ask(request...)
			s.wantReply(request...)
		}
		if frames, ok := s.receive(patience); !ok || !slices.Equal(frames, s.dialect.beat) {
			t.Errorf("got %q, want a heartbeat", frames)
		}
		if s.disconnect == nil { // PPP alone passes through brokers behind brokers
			s.ask("a broker", "its client", "", "hello")
			s.wantReply("a broker", "its client", "", "hello")
		}
	})
}

func TestWorkerSendsPartialReplies(t *testing.T) {
	both(t, func(t *testing.T, language string) {
		r, d := newRouter(t), dialects["MDP 0.2"]
		r.beat = d.beat
		start(t, language, d.program, join(d.args, "--broker="+r.endpoint, "--parts=3", "--delay=40ms")...)
		r.want(d.ready...)
		for range 2 {
			r.send(join(d.request, "client", "", "hello", "you")...)
			for range 3 {
				r.want(join(d.partial, "client", "", "hello", "you")...)
			}
			r.want(join(d.reply, "client", "", "hello", "you")...)
		}
	})
}

func TestWorkerBeatsWhileItWorks(t *testing.T) {
	each(t, []string{"--heartbeat=300ms", "--delay=1.5s"}, func(t *testing.T, s stage) {
		s.ask("client", "", "hello")
		if s.wantReply("client", "", "hello"); s.beats < 2 {
			t.Errorf("%d heartbeats in five intervals", s.beats)
		}
	})
}

// With --single a worker is silent, and deaf, for longer than a broker may be.
func TestSingleWorker(t *testing.T) {
	each(t, []string{"--heartbeat=500ms", "--delay=1.7s", "--single"}, func(t *testing.T, s stage) {
		s.silent = true
		s.ask("client", "", "hello")
		s.wantReply("client", "", "hello")
		if s.beats > 0 {
			t.Errorf("%d heartbeats before the reply", s.beats)
		}
		s.silent = false
		if frames, ok := s.receive(patience); !ok || !slices.Equal(frames, s.dialect.beat) {
			t.Errorf("got %q, want a heartbeat", frames)
		}
	})
}

var paused = regexp.MustCompile(`connecting again after (\S+)`)

// wantPauses compares how long the worker has waited before it connected again.
func (s stage) wantPauses(want ...time.Duration) {
	s.t.Helper()
	var got []time.Duration
	for end := time.Now().Add(patience); len(got) < len(want) && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		got = nil
		for _, m := range paused.FindAllStringSubmatch(s.worker.stderr.String(), -1) {
			d, err := time.ParseDuration(m[1])
			s.must(err)
			got = append(got, d)
		}
	}
	if !slices.Equal(got, want) {
		s.t.Fatalf("pauses %v, want %v", got, want)
	}
}

func TestWorkerLeavesASilentBroker(t *testing.T) {
	each(t, []string{"--heartbeat=100ms"}, func(t *testing.T, s stage) {
		const ms = time.Millisecond
		s.silent = true
		first := s.peer
		s.wantAgain()
		s.wantAgain()
		s.wantAgain()
		s.wantPauses(100*ms, 200*ms, 400*ms)
		s.send(s.dialect.beat...) // once: it speaks again
		s.wantAgain()
		s.wantPauses(100*ms, 200*ms, 400*ms, 100*ms)
		s.silent = false
		s.wantGone(first)
		s.wantQuiet(time.Second) // it stays where it is
		s.ask("client", "", "hello")
		s.wantReply("client", "", "hello")
	})
}

func TestParanoidPirateHasItsName(t *testing.T) {
	both(t, func(t *testing.T, language string) {
		r, d := newRouter(t), dialects["PPP"]
		r.beat, r.silent = d.beat, true
		start(t, language, d.program, "--broker="+r.endpoint, "--heartbeat=100ms", "--name=pirate 7")
		for range 3 {
			if r.want(d.ready...); r.peer != "pirate 7" {
				t.Errorf("routing id %q", r.peer)
			}
		}
	})
}

// The reply to a request from before a READY would be taken for another's.
func TestWorkerForgetsItsLastConversation(t *testing.T) {
	each(t, []string{"--heartbeat=200ms", "--delay=1.2s"}, func(t *testing.T, s stage) {
		s.ask("client 1", "", "old")
		s.silent = true
		s.wantAgain()
		s.silent = false
		s.ask("client 2", "", "new")
		s.wantReply("client 2", "", "new")
	})
}

func TestWorkerIsDisconnected(t *testing.T) {
	each(t, []string{"--heartbeat=300ms", "--delay=200ms"}, func(t *testing.T, s stage) {
		if s.disconnect == nil {
			return // PPP has no such command
		}
		for range 3 {
			s.ask("client 1", "", "old")
			first := s.peer
			s.send(s.disconnect...)
			s.wantAgain()
			s.wantGone(first)
		}
		s.ask("client 2", "", "new")
		s.wantReply("client 2", "", "new")
		s.wantPauses(100*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond)
	})
}

// A broker that only ever says DISCONNECT is not run against at full speed.
func TestWorkerIsRefused(t *testing.T) {
	each(t, nil, func(t *testing.T, s stage) {
		if s.disconnect == nil {
			return
		}
		s.silent = true
		for range 3 {
			s.send(s.disconnect...)
			s.wantAgain()
		}
		s.wantPauses(100*time.Millisecond, 200*time.Millisecond, 400*time.Millisecond)
	})
}

func TestWorkerIsTerminated(t *testing.T) {
	for name, args := range map[string][]string{"idle": nil, "at work": {"--delay=10m"}} {
		t.Run(name, func(t *testing.T) {
			each(t, args, func(t *testing.T, s stage) {
				if args != nil {
					s.ask("client", "", "hello")
					s.wantQuiet(100 * time.Millisecond)
				}
				s.worker.terminate()
				if s.disconnect != nil {
					s.want(s.disconnect...)
				}
				s.wantGone(s.peer)
				s.worker.wantExit(0)
			})
		})
	}
}

// A signal is heard while the worker waits before it connects again, too.
func TestWorkerIsTerminatedInAPause(t *testing.T) {
	each(t, []string{"--heartbeat=20ms"}, func(t *testing.T, s stage) {
		s.silent = true
		for range 4 {
			s.wantAgain()
		}
		s.wantQuiet(300 * time.Millisecond) // of the 1.6 s that it waits
		begin := time.Now()
		s.worker.terminate()
		s.worker.wantExit(0)
		if took := time.Since(begin); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
