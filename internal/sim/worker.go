package sim

import (
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/session"
	"github.com/privateer-mq/privateer/protocol"
)

// A workerSeat is one place where a worker runs: its process may be killed and
// started again, its host and the way to it stay.
type workerSeat struct {
	number   int
	path     path
	services []string
	process  *workerProcess // the running or the last one
	troubles []trouble
	starting bool // a new process is on its way
}

// A workerProcess is one worker: a session, and what package worker's loop
// does around it.
type workerProcess struct {
	process
	seat     *workerSeat
	instance uint64
	session  *session.Session
	sock     *socket
	runs     []*run // whose handler has not returned
	notices  []notice
	out      []session.Output
	msg      protocol.Message
	frames   [][]byte
	buf      []byte
	said     protocol.Command // the last message of it that the broker has read
	stopping bool
	drained  bool // Drain was called
	done     bool
	reading  *protocol.Message // what it reads now, for the oracle
	transit  time.Duration     // the least delay seen on this link
	endedAt  time.Duration     // true time of its end; never while it lives
	thawed   time.Duration     // when it went on after a pause, if it has heard nothing said since; else 0
}

const pauseSlack = 10 * time.Millisecond

// A notice is what a handler says to its loop.
type notice struct {
	run    *run
	result *session.Result // nil: progress, or
	part   [][]byte        // a part of its reply
}

func (w *world) startWorker(seat *workerSeat) {
	w.oracle.instances++
	p := &workerProcess{process: w.newProcess(fmt.Sprintf("w%c", instanceName(w.oracle.instances))), seat: seat,
		instance: uint64(instanceName(w.oracle.instances)), endedAt: never}
	p.session = session.New(session.Config{
		Instance: p.instance, Services: seat.services, Concurrency: w.plan.concurrency, TaskTimeout: w.plan.taskTimeout,
		ReconnectMax: reconnectMax, RetainBytes: w.plan.retainBytes, IDsMax: w.plan.workerIDs,
	}, 0)
	p.turn, p.deadline = p.runTurn, p.session.Deadline
	seat.process, seat.starting = p, false
	w.oracle.workerStarted(p)
	p.wake()
}

// instanceName is a letter for each process, so that traces can be read.
func instanceName(n int) rune {
	const letters = "123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if n <= len(letters) {
		return rune(letters[n-1])
	}
	return rune(0x400 + n)
}

// runTurn is package worker's loop.turn.
func (p *workerProcess) runTurn() {
	now := p.clock()
	// A wait that was cut short and a clock that drifts hide less than these
	// two heartbeats.
	if p.stopped && p.w.now-p.frozenFrom > 2*p.w.plan.core.Heartbeat+pauseSlack {
		p.thawed = p.w.now
	}
	p.do(p.session.Turn(now, p.w.random.Uint64(), p.out))
	if p.sock != nil {
		for _, in := range p.sock.read() {
			p.read(now, &in)
		}
	}
	notices := p.notices
	p.notices = nil
	for _, n := range notices {
		p.take(now, n)
	}
	if p.stopping && !p.drained {
		p.drained = true
		p.do(p.session.Drain(now, p.w.plan.drainTimeout, p.out))
	}
	p.do(p.session.Tick(now, p.out))
	for len(p.runs) < p.w.plan.concurrency && p.alive {
		if _, ok := p.session.Waiting(); !ok {
			break
		}
		p.do(p.session.StartNext(p.clock(), p.out))
	}
	if err := p.session.Check(); err != nil {
		p.w.fail("the session's invariants at %s: %v", p.name, err)
	}
	p.w.oracle.workerTurned(p)
	if p.done {
		p.end()
	}
}

func (p *workerProcess) read(now time.Duration, in *packet) {
	switch in.kind {
	case link.Connected:
		p.do(p.session.Connected(now, p.out))
	case link.Data:
		if err := protocol.Parse(protocol.BackOut, in.frames, &p.msg); err != nil {
			p.w.fail("%s cannot read what the broker says: %v", p.name, err)
			return
		}
		if p.transit = min(p.transit, p.w.now-in.sent); p.msg.Command == protocol.Welcome {
			p.transit = p.w.now - in.sent
		}
		if in.sent > p.thawed {
			p.thawed = 0
		}
		p.w.oracle.workerReads(p, in, &p.msg)
		p.do(p.session.Receive(now, &p.msg, p.out))
	}
}

func (p *workerProcess) take(now time.Duration, n notice) {
	if n.part != nil {
		p.do(p.session.Part(now, n.run.request.id, n.part, p.out))
		return
	}
	if n.result == nil {
		p.do(p.session.Progress(now, n.run.request.id, p.out))
		return
	}
	for i := range p.runs {
		if p.runs[i] == n.run {
			p.runs = append(p.runs[:i], p.runs[i+1:]...)
			break
		}
	}
	p.do(p.session.Finished(now, n.run.request.id, *n.result, p.out))
}

// do is package worker's loop.apply.
func (p *workerProcess) do(out []session.Output) {
	for i := 0; i < len(out); i++ { // it grows while it is walked
		o := out[i]
		switch o.Kind {
		case session.Open:
			out = p.open(out)
		case session.Close:
			if p.sock != nil {
				p.sock.close()
				p.sock = nil
			}
		case session.Send:
			p.send(o.Message)
		case session.Start:
			if p.thawed > 0 {
				p.w.fail("%s stood still until %v and starts %s before it has heard the broker again", p.name, p.thawed, o.Run.ID)
			}
			p.start(o.Run)
		case session.CancelRun:
			p.cancel(o.Fence.ID, o.Cause)
		case session.PartTaken, session.PartRefused:
			p.partTaken(&o)
		case session.Report:
			p.w.oracle.workerReports(p, &o)
		case session.Drop:
			p.w.oracle.workerDrops(p, o.Reason)
		case session.Done:
			p.done = true
		}
	}
	clear(out)
	p.out = out[:0]
}

func (p *workerProcess) open(out []session.Output) []session.Output {
	w := p.w
	if !w.net.calm && w.chance(200) {
		p.seat.trouble(w.now, w.now+reconnectMax, "no socket")
		return p.session.OpenFailed(p.clock(), "no file descriptor", out)
	}
	p.sock = w.net.open(&socket{owner: &p.process, path: &p.seat.path, side: core.Back, role: link.Dealer, worker: p,
		id: w.routingID(), name: p.name, min: 10 * time.Millisecond, max: reconnectMax})
	return p.session.Opened(p.clock(), out)
}

func (p *workerProcess) send(m *protocol.Message) {
	if p.sock == nil || !p.session.Stamp(p.clock(), m) {
		return
	}
	p.frames, p.buf = protocol.AppendFrames(p.frames[:0], p.buf[:0], protocol.BackIn, m)
	p.session.Sent(p.clock(), m, p.sock.send(p.frames, m))
}

// die is kill -9.
func (p *workerProcess) die() {
	p.alive = false
	p.endedAt = p.w.now
	if p.sock != nil {
		p.sock.close()
	}
	for _, r := range p.runs {
		r.ended, r.how = p.w.now, "killed"
	}
	p.runs = nil
	p.w.oracle.workerEnded(p)
}

// end is the end of a drain.
func (p *workerProcess) end() {
	if p.sock != nil {
		p.sock.close()
	}
	p.die()
	p.seat.restart(p.w, p.w.between(10*time.Millisecond, time.Second))
}

// restart starts a new process after d.
func (s *workerSeat) restart(w *world, d time.Duration) {
	if s.starting {
		return
	}
	s.starting = true
	w.after(d, func() { w.startWorker(s) })
}

// routingID is 16 random bytes, as every socket has them.
func (w *world) routingID() string {
	var b [16]byte
	for i := 0; i < len(b); i += 8 {
		v := w.random.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return string(b[:])
}
