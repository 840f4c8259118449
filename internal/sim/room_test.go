package sim

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// A stage is a world without a broker: workers and runs are put there by hand.
// All is calm at 8 s and settled at 20 s; what R1 has asked for ends at 48 s.
type stage struct {
	w    *world
	wait *call // for R1
}

func newStage(concurrency int) *stage {
	w := &world{plan: plan{core: core.Config{Heartbeat: time.Second, Liveness: 3, MaxAttempts: 3}, concurrency: concurrency, calm: 8 * time.Second}}
	w.oracle = oracle{w: w, byID: map[protocol.ID]*request{}, starts: []brokerStart{{epoch: 1, to: never}}}
	s := &stage{w: w}
	s.wait = &call{request: w.oracle.newRequest("echo"), deadline: 48 * time.Second, generous: true}
	s.wait.request.calls = []*call{s.wait}
	return s
}

func (s *stage) worker(from, to float64, services ...string) *workerProcess {
	p := &workerProcess{seat: &workerSeat{}, services: services, since: seconds(from), endedAt: seconds(to)}
	s.w.oracle.workers = append(s.w.oracle.workers, p)
	return p
}

// runs lets p run a request of its own.
func (s *stage) runs(p *workerProcess, from, to float64) *run {
	return s.ran(s.w.oracle.newRequest("echo"), p, from, to)
}

func (s *stage) ran(q *request, p *workerProcess, from, to float64) *run {
	r := &run{request: q, worker: p, started: seconds(from), ended: seconds(to)}
	q.runs = append(q.runs, r)
	return r
}

// goesAlone: q has lost a worker, and has its outcome at over.
func goesAlone(q *request, at, over float64) {
	q.alone, q.aloneAt, q.over = true, seconds(at), seconds(over)
}

func seconds(n float64) time.Duration {
	if n < 0 {
		return never
	}
	return time.Duration(n * float64(time.Second))
}

// A request whose client can wait may expire only if no worker had room for it.
func TestExpiredForWantOfRoom(t *testing.T) {
	tests := []struct {
		name        string
		concurrency int
		play        func(s *stage)
		ok          bool
	}{
		{"the only slot is taken", 1, func(s *stage) {
			s.runs(s.worker(0, -1, "echo"), 10, 49)
		}, true},
		{"nobody does anything", 1, func(s *stage) {
			s.worker(0, -1, "echo")
		}, false},
		{"the only slot is free for a moment between two runs", 1, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, 30)
			s.runs(w, 30.5, -1)
		}, true},
		{"the only slot is free for two seconds between two runs", 1, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, 30)
			s.runs(w, 32, -1)
		}, false},
		{"it rests before its second attempt", 1, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, 40)
			s.ran(s.wait.request, w, 40, 43)
			s.ran(s.wait.request, w, 44.9, 48)
			s.wait.request.lost = []*holding{{}}
		}, true},
		{"it waits beside a free worker before its second attempt", 1, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, 40)
			s.ran(s.wait.request, w, 40, 43)
			s.ran(s.wait.request, w, 45.1, 48)
			s.wait.request.lost = []*holding{{}}
		}, false},
		{"there was room while the broker was in trouble", 1, func(s *stage) {
			s.runs(s.worker(0, -1, "echo"), 20, -1)
		}, true},
		{"the broker had only just been started", 1, func(s *stage) {
			s.w.oracle.starts[0].from = seconds(14)
			s.runs(s.worker(0, -1, "echo"), 26, -1)
		}, true},
		{"all was well again only after its deadline", 1, func(s *stage) {
			s.w.oracle.starts[0].from = seconds(40)
			s.runs(s.worker(0, -1, "echo"), 10, -1)
		}, false},
		{"there is no worker, again and again", 1, func(s *stage) {
			w := s.worker(0, 25, "echo")
			s.runs(w, 10, 25)
			s.runs(s.worker(40, -1, "echo"), 40.1, -1)
		}, true},
		{"there is a free worker in the end", 1, func(s *stage) {
			s.runs(s.worker(0, -1, "echo"), 10, -1)
			s.worker(44, -1, "echo")
		}, false},
		{"a free worker serves something else", 1, func(s *stage) {
			s.runs(s.worker(0, -1, "echo", "sum"), 10, -1)
			s.worker(0, -1, "sum")
		}, true},
		{"one slot of two is free", 2, func(s *stage) {
			s.runs(s.worker(0, -1, "echo"), 10, -1)
		}, false},
		{"one slot of two is free, at a worker that is kept for a lone request", 2, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, -1)
			goesAlone(s.runs(w, 5, 6).request, 6, -1)
		}, true},
		{"the lone request has its outcome", 2, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, -1)
			goesAlone(s.runs(w, 5, 6).request, 6, 30)
		}, false},
		{"the lone request goes alone only since a moment ago", 2, func(s *stage) {
			w := s.worker(0, -1, "echo")
			s.runs(w, 10, -1)
			goesAlone(s.runs(w, 5, 6).request, 40, -1)
		}, false},
		{"it is the lone request itself", 2, func(s *stage) {
			s.runs(s.worker(0, -1, "echo"), 10, -1)
			goesAlone(s.wait.request, 6, -1)
		}, true},
		{"a worker is idle, whoever goes alone", 2, func(s *stage) {
			s.worker(0, -1, "echo")
			goesAlone(s.wait.request, 6, -1)
		}, false},
		{"the slot's handler waits for a part to be taken, as they do", 1, func(s *stage) {
			r := s.runs(s.worker(0, -1, "echo"), 10, -1)
			r.untaken = []trouble{{from: seconds(22), to: seconds(23)}, {from: seconds(30), to: seconds(31)}}
		}, true},
		{"the slot's handler waits for a part that nobody takes", 1, func(s *stage) {
			r := s.runs(s.worker(0, -1, "echo"), 10, -1)
			r.untaken = []trouble{{from: seconds(22), to: never}}
		}, false},
		{"the slot is held, and its handler has returned", 1, func(s *stage) {
			s.runs(s.worker(0, -1, "echo"), 10, 21)
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStage(test.concurrency)
			test.play(s)
			s.w.now = s.wait.deadline
			s.w.oracle.checkGenerous(s.wait, &clientcore.Outcome{Code: protocol.Expired, Certainty: protocol.MaybeStarted})
			if ok := s.w.failed == nil; ok != test.ok {
				t.Errorf("excused: %t, want %t: %v; there was room for %v", ok, test.ok, s.w.failed,
					s.w.oracle.room(s.wait.request, seconds(20), s.wait.deadline))
			}
		})
	}
}
