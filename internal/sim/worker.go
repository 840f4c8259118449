package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// A workerSeat is one place where a worker runs: its process may be killed and
// started again, its host and the way to it stay.
type workerSeat struct {
	number   int
	path     path
	services []string
	process  *workerProcess // the running or the last one
	troubles []trouble      // what was done to it
	away     []trouble      // when it had no connection
	starting bool           // a new process is on its way
}

// A workerProcess is one worker: its turns, and what package worker's loop does
// around them.
type workerProcess struct {
	process
	seat     *workerSeat
	instance uint64
	services []string
	turns    *workercore.Turns
	sock     *socket
	runs     []*run // whose handler has not returned
	notices  []notice
	out      []workercore.Output
	frames   [][]byte
	buf      []byte
	said     protocol.Command // the last message of it that the broker has read
	stopping bool
	drained  bool              // Drain was called
	reading  *protocol.Message // what it reads now, for the oracle
	transit  time.Duration     // the least delay seen on this link
	since    time.Duration     // true time of its start
	welcomed bool              // by some broker
	endedAt  time.Duration     // true time of its end; never while it lives
	thawed   time.Duration     // when it went on after a pause, if it has heard nothing said since; else 0
}

const pauseSlack = 10 * time.Millisecond

// A notice is what a handler says to its loop.
type notice struct {
	run    *run
	result *workercore.Result // nil: progress, or
	part   [][]byte           // a part of its reply
}

func (w *world) startWorker(seat *workerSeat) {
	w.oracle.instances++
	p := &workerProcess{process: w.newProcess(fmt.Sprintf("w%c", instanceName(w.oracle.instances))), seat: seat,
		instance: uint64(instanceName(w.oracle.instances)), endedAt: never, services: w.serves(seat)}
	p.turns = workercore.NewTurns(w.plan.concurrency, workercore.New(workercore.Config{
		Instance: p.instance, Services: p.services, Concurrency: w.plan.concurrency, TaskTimeout: w.plan.taskTimeout,
		ReconnectMax: reconnectMax, RetainBytes: w.plan.retainBytes, IDsMax: w.plan.workerIDs,
	}, 0))
	p.turn, p.deadline = p.runTurn, p.turns.Deadline
	if old := seat.process; old != nil && !slices.Equal(old.services, p.services) {
		w.oracle.saw(seenOtherServices)
	}
	seat.process, seat.starting = p, false
	seat.leaves(w.now)
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

// runTurn is package worker's loop.turn: it reads, decides, does and starts, and may
// stand still in between.
func (p *workerProcess) runTurn() {
	var in []packet
	empty := true
	if p.sock != nil {
		in = p.sock.read()
		empty = len(p.sock.inbox) == 0
	}
	notices := p.notices
	p.notices = nil
	p.seam(0, true, func() {
		p.decide(in, notices, empty)
		p.seam(1, len(p.out) > 0, func() {
			stood := p.stood()
			p.sleptFor(stood)
			if stood > p.w.plan.core.Heartbeat {
				p.w.oracle.saw(seenStopBeforeSaying)
			}
			p.do()
			p.seam(2, p.turns.Waits(), func() {
				p.begin()
				p.turned(len(p.notices) > 0 || p.sock != nil && len(p.sock.inbox) > 0 && !p.isSlow())
			})
		})
	})
}

// sleptFor: nothing may be started before the broker was heard again. A wait that
// was cut short and a clock that drifts hide less than two heartbeats.
func (p *workerProcess) sleptFor(stood time.Duration) {
	if stood > 2*p.w.plan.core.Heartbeat+pauseSlack {
		p.thawed = p.w.now
	}
}

func (p *workerProcess) decide(in []packet, notices []notice, empty bool) {
	p.sleptFor(p.stood())
	p.told(p.turns.Begin(p.clock(), p.w.random.Uint64(), p.out))
	for i := range in {
		p.read(&in[i])
	}
	if empty {
		p.turns.Emptied(0)
	}
	for _, n := range notices {
		p.take(n)
	}
	if p.stopping && !p.drained {
		p.drained = true
		p.w.oracle.drains(p)
		p.told(p.turns.Drain(p.w.plan.drainTimeout, p.out))
	}
	p.told(p.turns.End(p.out))
}

// begin starts handlers.
func (p *workerProcess) begin() {
	stood := p.stood()
	p.sleptFor(stood)
	if stood > p.w.plan.core.Heartbeat && p.turns.Waits() {
		p.w.oracle.saw(seenStopBeforeStarting)
	}
	p.told(p.turns.Start(p.clock(), p.out))
	p.do()
	p.w.oracle.workerTurned(p)
	if p.w.looks() {
		p.w.oracle.checked(gMachines)
		if err := p.turns.Check(); err != nil {
			p.w.fail("machines: the session's invariants at %s: %v", p.name, err)
		}
	}
	if p.turns.Over() {
		p.end()
	}
}

func (p *workerProcess) read(in *packet) {
	switch in.kind {
	case link.Connected:
		p.told(p.turns.Connected(0, p.out))
	case link.Data:
		if p.transit = min(p.transit, p.w.now-in.sent); in.msg.Command == protocol.Welcome {
			p.transit = p.w.now - in.sent
		}
		if in.sent > p.thawed {
			p.thawed = 0
		}
		p.w.oracle.workerReads(p, in, in.msg)
		out, err := p.turns.Read(0, in.frames, p.out)
		if err != nil {
			p.w.fail("machines: %s cannot read what the broker says: %v", p.name, err)
		}
		p.told(out)
	}
}

func (p *workerProcess) take(n notice) {
	id := n.run.request.id
	switch {
	case n.part != nil:
		p.told(p.turns.Part(0, id, n.part, p.out))
		return
	case n.result == nil:
		p.told(p.turns.Progress(0, id, p.out))
		return
	}
	for i := range p.runs {
		if p.runs[i] == n.run {
			p.runs = append(p.runs[:i], p.runs[i+1:]...)
			break
		}
	}
	p.told(p.turns.Finished(0, id, *n.result, p.out))
}

// told takes what the session has put out beyond what is known.
func (p *workerProcess) told(out []workercore.Output) {
	for i := len(p.out); i < len(out); i++ {
		if out[i].Kind == workercore.Report {
			p.w.oracle.workerReports(p, &out[i])
		}
	}
	p.out = out
}

// do is package worker's loop.apply.
func (p *workerProcess) do() {
	for i := 0; i < len(p.out) && p.alive; i++ { // it grows while it is walked
		o := p.out[i]
		switch o.Kind {
		case workercore.Open:
			p.open()
		case workercore.Close:
			if p.sock != nil {
				p.sock.close()
				p.sock = nil
			}
		case workercore.Send:
			p.send(o.Message)
		case workercore.Start:
			if p.thawed > 0 {
				p.w.fail("G4: %s stood still until %v and starts %s before it has heard the broker again", p.name, p.thawed, o.Run.ID)
			}
			p.start(o.Run)
		case workercore.CancelRun:
			p.cancel(o.Fence.ID, o.Cause)
		case workercore.PartTaken, workercore.PartRefused:
			p.partTaken(&o)
		}
	}
	clear(p.out)
	p.out = p.out[:0]
}

func (p *workerProcess) open() {
	w := p.w
	if !w.net.calm && w.chance(200) {
		p.seat.trouble(w.now, w.now+reconnectMax, "no socket")
		p.told(p.turns.OpenFailed(0, "no file descriptor", p.out))
		return
	}
	p.sock = w.net.open(&socket{owner: &p.process, path: &p.seat.path, side: core.Back, role: link.Dealer, worker: p,
		id: w.routingID(), name: p.name, min: 10 * time.Millisecond, max: reconnectMax})
	p.told(p.turns.Opened(0, p.out))
}

func (p *workerProcess) send(m *protocol.Message) {
	if p.sock == nil || !p.turns.Stamp(0, m) {
		return
	}
	p.frames, p.buf = protocol.AppendFrames(p.frames[:0], p.buf[:0], protocol.BackIn, m)
	if p.mangled(m) {
		p.frames[0] = append(p.frames[0], protocol.MetaHeader, 0)
	}
	p.turns.Sent(0, m, p.sock.send(p.frames, m))
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
	p.w.oracle.drained(p)
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
