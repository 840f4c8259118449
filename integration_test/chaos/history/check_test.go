package history

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A verdict is what a story must be found to be.
type verdict struct {
	lost, repeated, wrong, late, hung, fds, goroutines int
	explained                                          int
	problems, crashes                                  int
}

func (v verdict) valid() bool { v.explained = 0; return v == verdict{} }

func verdictOf(r *Result) verdict {
	return verdict{lost: r.Lost, repeated: r.RepeatedRuns, wrong: r.WrongReply, late: r.LateStart, hung: r.Hung,
		fds: r.FDLeak, goroutines: r.GoroutineLeak, explained: r.ExplainedReruns, problems: len(r.Problems), crashes: len(r.Crashes)}
}

type storyTest struct {
	name string
	tell func(s *story)
	want verdict
}

func play(t *testing.T, tests []storyTest) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStory()
			test.tell(s)
			r := s.check()
			if got := verdictOf(r); got != test.want || r.Valid != test.want.valid() {
				t.Errorf("got %+v, valid %v; want %+v\n%s", got, r.Valid, test.want, strings.Join(append(r.Violations, r.Problems...), "\n"))
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	play(t, []storyTest{
		{"all is well", func(*story) {}, verdict{}},
		{"lost: a generous request is given up", func(s *story) {
			s.ask(3000, "a", Generous, 60_000)
			s.outcome(3500, "a", "WORKER_LOST", "maybe-started")
		}, verdict{lost: 1}},
		{"lost: a generous request expires", func(s *story) {
			s.ask(3000, "a", Generous, 20_000)
			s.outcome(23_000, "a", "EXPIRED", "not-started")
		}, verdict{lost: 1}},
		{"lost: nobody knows", func(s *story) {
			s.ask(3000, "a", Generous, 20_000)
			s.outcome(23_000, "a", "UNKNOWN", "maybe-started")
		}, verdict{lost: 1}},
		{"lost: cancelled, and nobody withdrew it", func(s *story) {
			s.ask(3000, "a", Generous, 20_000)
			s.outcome(3500, "a", "CANCELLED", "not-started")
		}, verdict{lost: 1}},
		{"lost: refused when all is over", func(s *story) {
			s.ask(60_500, "a", Probe, 10_000)
			s.outcome(60_600, "a", "OVERLOADED", "not-started")
		}, verdict{lost: 1}},
		{"lost: a short one is given up", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.outcome(3100, "a", "WORKER_LOST", "maybe-started")
		}, verdict{lost: 1}},
		{"lost: OK without a run", func(s *story) {
			s.ask(3000, "a", Generous, 60_000)
			s.ok(3010, "a")
		}, verdict{lost: 1}},
		{"not lost: refused, short, withdrawn, at most once", func(s *story) {
			s.ask(3000, "refused", Generous, 60_000)
			s.outcome(3010, "refused", "OVERLOADED", "not-started")
			s.ask(3000, "short", Short, 200)
			s.outcome(3200, "short", "EXPIRED", "not-started")
			s.ask(3000, "nobody", Short, 200)
			s.outcome(3200, "nobody", "UNKNOWN", "maybe-started")
			s.ask(3000, "withdrawn", Withdrawn, 60_000)
			s.add(3100, Event{Kind: Cancel, Key: "withdrawn"})
			s.outcome(3150, "withdrawn", "CANCELLED", "maybe-started")
			s.askOnce(3000, "once")
			s.outcome(3150, "once", "WORKER_LOST", "maybe-started")
		}, verdict{}},
		{"not lost: its client was killed", func(s *story) {
			s.ask(3000, "a", Generous, 10_000)
			s.fault(4000, Kill, "client-1.1")
		}, verdict{}},
		{"wrong reply: another body", func(s *story) {
			s.ask(3000, "a", Generous, 60_000)
			s.run(3005, 3010, "worker-1.1", "a", 1)
			s.reply(3010, "a", "digest id-first")
		}, verdict{wrong: 1}},
		{"wrong reply: it ran, and is said not to have", func(s *story) {
			s.ask(3000, "a", Withdrawn, 60_000)
			s.run(3005, 3010, "worker-1.1", "a", 1)
			s.outcome(3020, "a", "CANCELLED", "not-started")
		}, verdict{wrong: 1}},
		{"wrong reply: it is said to have run, and did not", func(s *story) {
			s.askOnce(3000, "a")
			s.outcome(3020, "a", "FAILED", "ran")
		}, verdict{wrong: 1}},
		{"an outcome nobody knows", func(s *story) {
			s.ask(3000, "a", Withdrawn, 60_000)
			s.outcome(3020, "a", "?", "")
		}, verdict{problems: 1}},
	})
}

func TestTimes(t *testing.T) {
	// A heartbeat, 250 ms and a second for a loaded machine: 2250 ms.
	play(t, []storyTest{
		{"hung: no outcome", func(s *story) { s.ask(3000, "a", Generous, 20_000) }, verdict{hung: 1}},
		{"not hung: the history ends before its time does", func(s *story) { s.ask(3000, "a", Generous, 60_000) }, verdict{}},
		{"hung: the outcome comes late", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.outcome(6451, "a", "EXPIRED", "not-started")
		}, verdict{hung: 1}},
		{"not hung: just in time", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.outcome(6449, "a", "EXPIRED", "not-started")
		}, verdict{}},
		{"not hung: the client was frozen", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.fault(3100, Freeze, "client-1.1")
			s.mend(6100, Freeze, "client-1.1")
			s.outcome(9449, "a", "EXPIRED", "not-started")
		}, verdict{}},
		{"hung: another client was frozen", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.fault(3100, Freeze, "client-2.1")
			s.mend(6100, Freeze, "client-2.1")
			s.outcome(8449, "a", "EXPIRED", "not-started")
		}, verdict{hung: 1}},
		{"hung: withdrawn, and does not return", func(s *story) {
			s.ask(3000, "a", Withdrawn, 60_000)
			s.add(3100, Event{Kind: Cancel, Key: "a"})
			s.outcome(5351, "a", "CANCELLED", "maybe-started")
		}, verdict{hung: 1}},
		{"late start", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.outcome(3200, "a", "EXPIRED", "maybe-started")
			s.run(3451, 3460, "worker-1.1", "a", 1)
		}, verdict{late: 1}},
		{"start just in time", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.outcome(3200, "a", "EXPIRED", "maybe-started")
			s.run(3449, 3460, "worker-1.1", "a", 1)
		}, verdict{}},
		{"late start that the frozen broker allows", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.fault(3050, Freeze, "broker.1")
			s.mend(3150, Freeze, "broker.1")
			s.outcome(3200, "a", "EXPIRED", "maybe-started")
			s.run(3549, 3560, "worker-1.1", "a", 1)
		}, verdict{}},
		{"late start that the slow link allows", func(s *story) {
			s.ask(3000, "a", Short, 200)
			s.add(2900, Event{Kind: Fault, Fault: Slow, Target: "worker-1", Delay: 50e6})
			s.mend(5000, Slow, "worker-1")
			s.outcome(3200, "a", "EXPIRED", "maybe-started")
			s.run(3499, 3560, "worker-1.1", "a", 1)
		}, verdict{}},
		{"late start of one run that a freeze caught, and not of two", func(s *story) {
			s.fault(3001, Freeze, "worker-2.1")
			for _, key := range []string{"a", "b"} {
				s.ask(3000, key, Short, 200)
				s.run(5001, 5002, "worker-2.1", key, 1)
				s.outcome(3300, key, "EXPIRED", "maybe-started")
			}
			s.mend(5000, Freeze, "worker-2.1")
		}, verdict{late: 1}},
		{"late start long after the worker's own freeze", func(s *story) {
			s.fault(3001, Freeze, "worker-2.1")
			s.mend(5000, Freeze, "worker-2.1")
			s.ask(3000, "a", Short, 200)
			s.run(5100, 5102, "worker-2.1", "a", 1)
			s.outcome(3300, "a", "EXPIRED", "maybe-started")
		}, verdict{late: 1}},
		{"a run that nobody asked for", func(s *story) { s.run(3000, 3010, "worker-1.1", "a", 1) }, verdict{problems: 1}},
	})
}

func TestLeaksAndCrashes(t *testing.T) {
	play(t, []storyTest{
		{"open files", func(s *story) { s.ladder("worker-2", 20, 10, 29, 20) }, verdict{fds: 9}},
		{"open files, within the tolerance", func(s *story) { s.ladder("worker-2", 20, 10, 28, 20) }, verdict{}},
		{"goroutines", func(s *story) { s.ladder("worker-2", 20, 10, 20, 21) }, verdict{goroutines: 11}},
		{"a peak at the end is no leak", func(s *story) {
			s.ladder("worker-2", 20, 10, 99, 99)
			s.gauge(61_700, "worker-2.2", 20, 10)
		}, verdict{}},
		{"not measured at the end", func(s *story) { s.gauge(1500, "worker-2.1", 20, 10) }, verdict{problems: 1}},
		{"never measured", func(s *story) { s.drop(Gauge) }, verdict{problems: 1}},
		{"a crash", func(s *story) { s.exit(5000, "worker-1.1", "exit status 2", false) }, verdict{crashes: 1}},
		{"an end in good order", func(s *story) { s.exit(62_500, "worker-1.1", "exit status 0", true) }, verdict{}},
		{"no fault", func(s *story) { s.drop(Fault) }, verdict{problems: 1}},
		{"nothing OK", func(s *story) { s.drop(Submit); s.drop(Start); s.drop(Outcome) }, verdict{problems: 1}},
		{"broken off", func(s *story) { s.drop(Phase) }, verdict{problems: 6}},
		{"no setup", func(s *story) { s.events[0].Setup = &Parameters{} }, verdict{problems: 1}},
	})
}

// What an attacked broker must hold to: the story's takes 30 MiB.
func TestAttacked(t *testing.T) {
	slow := func(n int) func(s *story) {
		return func(s *story) {
			s.events[0].Setup.Within = 50 * time.Millisecond
			for i := range 40 {
				at := 3000 + 10*i
				key := fmt.Sprint("k", i)
				s.ask(at, key, Generous, 60_000)
				s.run(at+1, at+2, "worker-2.1", key, 1)
				if i < n {
					at += 60
				}
				s.ok(at+3, key)
			}
		}
	}
	play(t, []storyTest{
		{"memory", func(s *story) { s.events[0].Setup.MemoryMax = 30 << 20 }, verdict{}},
		{"too much memory", func(s *story) { s.events[0].Setup.MemoryMax = 29 << 20 }, verdict{problems: 1}},
		{"noticed", func(s *story) {
			s.events[0].Setup.Met = map[string]string{"a flood": "cut flood", "a drought": "cut drought"}
			s.add(4000, Event{Kind: Count, Proc: "broker.1", Counters: map[string]int{"cut flood": 1}})
			s.add(5000, Event{Kind: Count, Proc: "broker.1", Counters: map[string]int{"cut flood": 1, "cut drought": 7}})
		}, verdict{}},
		{"one not noticed", func(s *story) {
			s.events[0].Setup.Met = map[string]string{"a flood": "cut flood", "a drought": "cut drought"}
			s.add(5000, Event{Kind: Count, Proc: "broker.1", Counters: map[string]int{"cut flood": 1}})
		}, verdict{problems: 1}},
		{"nothing counted", func(s *story) {
			s.events[0].Setup.Met = map[string]string{"a flood": "cut flood", "a drought": "cut drought"}
		}, verdict{problems: 2}},
		{"in time", slow(2), verdict{}},
		{"late", slow(3), verdict{problems: 1}},
	})
}

// ladder measures the processes of a slot, of which the second one is there at
// the end.
func (s *story) ladder(slot string, fdsBefore, goroutinesBefore, fdsAfter, goroutinesAfter int) {
	s.gauge(1500, slot+".1", fdsBefore, goroutinesBefore)
	s.gauge(61_500, slot+".2", fdsAfter, goroutinesAfter)
}

func TestLineAndRecovery(t *testing.T) {
	s := newStory()
	s.ask(3000, "a", Generous, 60_000)
	s.run(3010, 0, "worker-2.1", "a", 1)
	s.fault(3100, Kill, "worker-2.1")
	s.run(3140, 3190, "worker-1.1", "a", 2)
	s.ok(3200, "a")
	r := s.check()
	const want = "chaos: scenario=story seed=7 attempted=2 acknowledged=2 ok=2 failed=0 rejected=0 expired=0 unknown=0" +
		" | lost=0 repeated-runs=0 wrong-reply=0 late-start=0 hung=0" +
		" | max-recovery-ms=40 p99-ms=30 peak-rss-mib=30 fd-leak=0 goroutine-leak=0 | valid=true"
	if r.Line() != want {
		t.Errorf("got  %s\nwant %s", r.Line(), want)
	}
	if r.Faults["kill worker"] != 2 || r.MedianRecoveryMS != 40 || r.Recoveries != 1 || r.ExplainedReruns != 1 {
		t.Errorf("%+v", r)
	}
}

// What is written by several processes is read as one history, up to a line
// that SIGKILL cut short; and a log that speaks of a crash is found.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, proc := range []string{"b", "a"} {
		w, err := NewWriter(dir, proc)
		if err != nil {
			t.Fatal(err)
		}
		w.Add(Event{Kind: Start, Key: proc})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name, text string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	add("a.jsonl", `{"t":99,"kind":"st`)
	add("good.log", "all is well\nno panic: at all\n")
	add("bad.log", "well\npanic: runtime error\n\ngoroutine 1\n")
	events, crashes, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 2 || events[0].Proc != "b" || events[1].Proc != "a" || events[0].T >= events[1].T {
		t.Errorf("read %+v", events)
	}
	if len(crashes) != 1 || crashes[0] != "bad.log: panic: runtime error" {
		t.Errorf("crashes %q", crashes)
	}
	r := Check(events, crashes)
	if r.Valid {
		t.Error("it is valid in spite of a crash")
	}
	if err := r.Store(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, ResultFile))
	var back Result
	if err != nil || json.Unmarshal(text, &back) != nil || back.Line() != r.Line() {
		t.Errorf("%v: stored %s", err, text)
	}
	add("c.jsonl", "not JSON\n")
	if _, _, err := Read(dir); err == nil {
		t.Error("a broken line in the middle of a history is not noticed")
	}
}
