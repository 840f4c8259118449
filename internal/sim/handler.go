package sim

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// A deed is what the handler of a request does. It is part of the request's
// plan: every attempt does the same, but for those that ask for a retry first.
type deed struct {
	takes    time.Duration
	progress time.Duration // says so this often; 0: never
	retries  int           // attempts that ask for another one
	fails    bool          // answers FAILED
	poison   bool          // kills its worker
	stubborn bool          // does not listen to its context
	reply    int           // bytes
	parts    int           // of its reply, before the end
	meta     protocol.Meta // headers of its reply
	text     string        // of its error
	mangled  bool          // its reply cannot be read
}

// A run is one start of a handler.
type run struct {
	request    *request
	worker     *workerProcess
	attempt    uint32
	epoch      uint64
	rerun      bool // the handler was told that it may be one
	started    time.Duration
	moved      []time.Duration // its start and its progress, oldest first
	ended      time.Duration   // never while it runs
	how        string          // ok, failed, retry, cancelled, expired, killed
	told       bool            // its context has been cancelled
	toldBy     workercore.Cause
	body       string
	code       protocol.Code
	refused    bool          // its parts ended while another run was the one that counts
	superseded bool          // the reply of another run was the outcome
	asked      time.Duration // its request's deadline when it was started
	wanted     time.Duration // its request's deadline, as it was known before that was over
	made       int           // parts of its reply
	sending    bool          // ... the last of which its worker has not taken
	left       bool          // ... and nobody had asked a new broker for them, when that took it back
	untaken    []trouble     // when it waited for that
	given      *givenRun     // where the handler is the caller's
}

func (r *run) running() bool { return r.ended == never }

// start is package worker's startRun: the handler begins now.
func (p *workerProcess) start(x *workercore.Run) {
	w := p.w
	q := w.oracle.request(x.ID)
	r := &run{request: q, worker: p, attempt: x.Attempt, epoch: x.Epoch, rerun: x.MaybeRerun, started: w.now, moved: []time.Duration{w.now}, ended: never}
	if q != nil {
		r.asked = q.wanted
		if q.mine > 0 { // what a broker has refused, it need not remember
			r.asked = min(r.asked, q.mine)
		}
		r.wanted = r.asked
	}
	if q == nil {
		w.fail("G7: %s starts a request that nobody has asked for: %v", p.name, x.ID)
		return
	}
	r.body = fmt.Sprintf("%s at %s, run %d", q.name, p.name, len(q.runs)+1)
	p.runs = append(p.runs, r)
	w.oracle.started(r, x)
	if w.given.Handle != nil {
		p.startGiven(r, x)
		return
	}
	d := &q.deed
	if d.poison {
		w.after(w.upTo(d.takes), func() {
			if r.running() && p.alive {
				w.oracle.poisoned(p)
				p.die()
				p.seat.restart(w, w.between(100*time.Millisecond, time.Second))
			}
		})
		return
	}
	if d.progress > 0 {
		p.tick(r, d.progress)
	}
	if d.parts > 0 {
		p.nextPart(r)
	} else {
		p.finishAt(r, w.now+d.takes, func() { p.returns(r) })
	}
	if !d.stubborn {
		p.finishAt(r, p.when(x.Deadline), func() { p.gaveUp(r, true) })
	}
}

// finishAt does what r's handler does at that moment, or when its process goes
// on again.
func (p *workerProcess) finishAt(r *run, at time.Duration, do func()) {
	p.w.at(at, func() {
		switch {
		case !r.running() || !p.alive:
		case p.isFrozen():
			p.finishAt(r, p.frozen+p.w.upTo(time.Millisecond), do)
		default:
			do()
		}
	})
}

func (p *workerProcess) tick(r *run, every time.Duration) {
	p.finishAt(r, p.w.now+every, func() {
		r.moves()
		p.notices = append(p.notices, notice{run: r})
		p.wake()
		p.tick(r, every)
	})
}

// moves: the handler of r gets on. What is older than its lease does not matter.
func (r *run) moves() {
	w := r.worker.w
	for len(r.moved) > 0 && r.moved[0] < w.now-w.plan.core.Lease {
		r.moved = r.moved[1:]
	}
	r.moved = append(r.moved, w.now)
}

// cancel ends the context of a run; a handler that listens returns soon.
func (p *workerProcess) cancel(id protocol.ID, cause workercore.Cause) {
	for _, r := range p.runs {
		if r.request.id != id {
			continue
		}
		r.told, r.toldBy = true, cause
		if r.sending { // SendPart returns
			r.taken()
			p.nextPart(r)
		}
		p.w.oracle.runCancelled(r)
		if !r.request.deed.stubborn {
			p.finishAt(r, p.w.now+p.w.upTo(2*time.Millisecond), func() { p.gaveUp(r, false) })
		}
	}
}

// returns is the handler's own end.
func (p *workerProcess) returns(r *run) {
	d := &r.request.deed
	switch {
	case r.request.asked < d.retries:
		r.request.asked++
		result := failedResult("not yet"+d.text, d.meta)
		result.Code = protocol.Retry
		p.leave(r, "retry", result)
	case d.fails:
		p.leave(r, "failed", failedResult("cannot"+d.text, d.meta))
	default:
		body := append([]byte(r.body), make([]byte, d.reply)...)
		p.leave(r, "ok", workercore.Result{Code: protocol.OK, Meta: d.meta, Frames: [][]byte{body}})
	}
}

func failedResult(text string, headers protocol.Meta) workercore.Result {
	return workercore.Result{Code: protocol.Failed, Meta: append(protocol.ErrorMeta(text), headers...)}
}

// gaveUp is a handler that has seen the end of its context.
func (p *workerProcess) gaveUp(r *run, deadline bool) {
	if r.given != nil {
		p.stopGiven(r)
		return
	}
	how := "cancelled"
	if deadline {
		how = "expired"
	}
	p.leave(r, how, workercore.Result{Code: protocol.Failed, Expired: deadline, Meta: protocol.ErrorMeta("context ended")})
}

func (p *workerProcess) leave(r *run, how string, result workercore.Result) {
	r.ended, r.how, r.code = p.w.now, how, result.Code
	p.notices = append(p.notices, notice{run: r, result: &result})
	p.wake()
	p.w.oracle.ended(r)
}
