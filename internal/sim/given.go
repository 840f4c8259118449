package sim

import (
	"bytes"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// What the caller may give: the requests, and the handler that does them.

// Options say how a seed is played.
type Options struct {
	Seed  uint64
	Trace bool // keep it: slower, and nothing else changes

	// Handle does what is asked; nil: handlers do what the seed draws. It is
	// called at a drawn moment of each run that gets so far, one at a time, and
	// takes no simulated time.
	Handle func(*Handling) workercore.Result
	// Ask says what request number i is, from 0 and below AskMax. With Handle
	// only, and then always.
	Ask func(i int) Ask
}

// An Ask is a request as its caller gives it.
type Ask struct {
	Service    string
	Body       [][]byte // not changed
	AtMostOnce bool
}

// A Handling is one call of the given handler.
type Handling struct {
	Run  *workercore.Run
	Left time.Duration    // until its deadline, on the worker's clock
	Over workercore.Cause // why its context has ended; 0: it has not
}

// Bounds of what may be given.
const (
	AskMax      = 40      // requests of a seed: 37, and one per client when all is calm again
	AskBytesMax = 1 << 20 // of all frames of a body or reply, which is the broker's default
	askAllMax   = 1 << 30 // more than all requests and replies of a seed together
	crashOne    = 12      // one run in so many takes its worker along, at any moment
)

// A givenRun is what a run has to do with the given handler.
type givenRun struct {
	x      *workercore.Run
	again  string             // why its request was run once more
	result *workercore.Result // nil: not called yet
	called time.Duration
	over   workercore.Cause // why its context had ended by then
}

// A Story is what became of one request.
type Story struct {
	ID        protocol.ID
	Ask       Ask
	Outcome   *clientcore.Outcome // nil: whoever asked was killed before
	Certainty protocol.Certainty  // of all that its clients have heard
	Runs      []RunStory
}

// A RunStory is one run of a request. Its times are since the start of the
// simulation.
type RunStory struct {
	Worker     string
	Attempt    int
	MaybeRerun bool
	Again      string // why it was run again, though it had been started
	Started    time.Duration
	Called     time.Duration     // when the handler was; 0: it was not
	Over       workercore.Cause  // why its context had ended by then; 0: it had not
	Result     workercore.Result // of the handler, if it was called
	Ended      time.Duration
	How        string        // ok, failed, retry, cancelled, expired, killed
	WorkerEnd  time.Duration // 0: it outlived the simulation
}

// give makes room in the plan for what is given.
func (w *world) give() {
	p := &w.plan
	p.core.MaxMessage, p.core.MaxQueueBytes = AskBytesMax, askAllMax
	if !p.tight {
		p.core.ReplayBytes, p.retainBytes = askAllMax, askAllMax
	} else { // the texts of errors stay, which a given handler's test compares
		p.core.ReplayBytes = 4096
	}
	p.services = nil
	for i := range p.requests + p.clients {
		if s := w.given.Ask(i).Service; !slices.Contains(p.services, s) {
			p.services = append(p.services, s)
		}
	}
	p.core.MaxServices = len(p.services)
}

// givenRequest is the next of the given requests.
func (w *world) givenRequest() *request {
	ask := w.given.Ask(len(w.oracle.requests))
	q := w.oracle.newRequest(ask.Service)
	q.once, q.body = ask.AtMostOnce, ask.Body
	return q
}

// givenDeed draws how long a run takes and whether its handler is told of the
// end of its context at once; the rest is the given handler's.
func (w *world) givenDeed() deed {
	d := w.drawDeed()
	d.retries, d.fails, d.poison = 0, false, false
	return d
}

// startGiven begins a run of the given handler, which is called at some moment
// of it. What it returns goes out at the end.
func (p *workerProcess) startGiven(r *run, x *workercore.Run) {
	w, d := p.w, &r.request.deed
	own := *x
	r.given = &givenRun{x: &own}
	if n := len(r.request.runs); n > 1 {
		r.given.again = w.oracle.excuse(r.request.runs[n-2], r)
	}
	if d.progress > 0 {
		p.tick(r, d.progress)
	}
	p.finishAt(r, w.now+w.upTo(d.takes), func() { p.handle(r) })
	p.finishAt(r, w.now+d.takes, func() { p.returnsGiven(r) })
	if !d.stubborn {
		p.finishAt(r, p.when(x.Deadline), func() { p.gaveUp(r, true) })
	}
	if at := w.now + w.upTo(d.takes+5*time.Millisecond); w.chance(crashOne) && at < w.plan.calm {
		w.at(at, func() { p.crash() })
	}
}

func (p *workerProcess) crash() {
	if p.alive {
		p.w.trace.faults[killWorker]++
		p.w.note("fault: %s is killed in the middle of a run", p.name)
		p.die()
		p.seat.restart(p.w, p.w.between(100*time.Millisecond, time.Second))
	}
}

// handle calls the given handler, once for each run.
func (p *workerProcess) handle(r *run) {
	g := r.given
	if g.result != nil {
		return
	}
	g.called, g.over = p.w.now, p.over(r)
	got := p.w.given.Handle(&Handling{Run: g.x, Left: g.x.Deadline - p.clock(), Over: g.over})
	g.result = &got
	p.w.note("%s calls the handler of %s: %v", p.name, r.request.name, got.Code)
	p.w.digest(uint64(p.w.now), uint64(got.Code))
}

// over is why the context of r has ended; 0 if it has not.
func (p *workerProcess) over(r *run) workercore.Cause {
	switch {
	case r.told:
		return r.toldBy
	case p.clock() >= r.given.x.Deadline:
		return workercore.CauseExpired
	}
	return 0
}

// stopGiven: the context of r has ended, and its handler would have seen it.
// One that has done its work already only has to return.
func (p *workerProcess) stopGiven(r *run) {
	if r.given.result == nil {
		p.returnsGiven(r)
	}
}

// returnsGiven is the end of a run of the given handler.
func (p *workerProcess) returnsGiven(r *run) {
	p.handle(r)
	result, over, d := *r.given.result, p.over(r), &r.request.deed
	result.Expired = result.Expired || over == workercore.CauseExpired
	how := "failed"
	switch {
	case result.Code == protocol.OK:
		how = "ok"
	case result.Code == protocol.Retry:
		how = "retry"
		d.retries++ // the oracle may see its retries used up
	case over == workercore.CauseExpired:
		how = "expired"
	case over != 0:
		how = "cancelled"
	default:
		d.fails = true // the oracle may see it fail
	}
	p.leave(r, how, result)
}

// isReply reports whether body is what r has returned.
func (r *run) isReply(body [][]byte) bool {
	if r.given != nil {
		return slices.EqualFunc(body, r.given.result.Frames, bytes.Equal)
	}
	if r.request.window == 0 && r.made > 0 { // joined
		for i := range r.made {
			if i >= len(body) || !bytes.Equal(body[i], r.part(i+1)) {
				return false
			}
		}
		body = body[r.made:]
	}
	return len(body) == 1 && bytes.Equal(bytes.TrimRight(body[0], "\x00"), []byte(r.body))
}

// stories are what became of the given requests, in their order.
func (o *oracle) stories() []Story {
	list := make([]Story, len(o.requests))
	for i, q := range o.requests {
		s := &list[i]
		*s = Story{ID: q.id, Ask: Ask{q.service, q.body, q.once}}
		s.Outcome, s.Certainty = q.heard()
		for _, r := range q.runs {
			s.Runs = append(s.Runs, r.story())
		}
	}
	return list
}

// heard is what all the clients together know of q: OK if one of them does,
// otherwise what is nearest to ran.
func (q *request) heard() (*clientcore.Outcome, protocol.Certainty) {
	var best *clientcore.Outcome
	certainty := protocol.NotStarted
	for _, c := range q.calls {
		out := c.outcome
		if out == nil {
			certainty = max(certainty, protocol.MaybeStarted)
			continue
		}
		certainty = max(certainty, out.Certainty)
		if best == nil || best.Code != protocol.OK && (out.Code == protocol.OK || out.Certainty >= best.Certainty) {
			best = out
		}
	}
	return best, certainty
}

func (r *run) story() RunStory {
	s := RunStory{Worker: r.worker.name, Attempt: int(r.attempt),
		MaybeRerun: r.rerun, Started: r.started, Ended: r.ended, How: r.how}
	if r.worker.endedAt != never {
		s.WorkerEnd = r.worker.endedAt
	}
	if g := r.given; g != nil {
		s.Again, s.Called, s.Over = g.again, g.called, g.over
		if g.result != nil {
			s.Result = *g.result
		}
	}
	return s
}
