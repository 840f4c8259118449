package broker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// Numbers of the loop.
const (
	batch     = 256 // messages taken from one port in one turn
	asksMax   = 8   // questions from other goroutines that one turn answers
	trimEvery = time.Second
	trimMin   = 50_000 // requests and ids: less is not worth it
)

// A loop owns both ports and the core: one goroutine, no lock. A turn reads what
// has arrived, reads the clock, decides (core.Turns), and sends.
type loop struct {
	b        *Broker
	waits    failing    // the wait for messages
	reads    [2]failing // of each port
	fatal    error      // ends the loop
	cfg      *Config
	host     link.Host
	ports    [2]link.Link // by protocol.Port
	core     *core.Core
	turns    *core.Turns
	start    time.Time
	epoch    uint64
	drops    map[core.What]uint64
	recorder *recorder // nil where nobody can ask
	pace     pace
	trimAt   time.Duration
	most     int           // requests and ids held since memory was given back last
	clock    time.Duration // read last
	awaiting []awaiting    // those who wait for workers
	warned   limiter
	mute     map[string]struct{}       // workers without heartbeats whose connection stands
	met      [2]map[string]protocol.ID // by port: an id drawn when a peer that has chosen its routing id connected
	lookAt   time.Duration             // next look at the ports
	full     [2]bool                   // by port: that it accepts nothing was said

	in     [2][]link.Message // by protocol.Port: what was read
	again  bool              // there may be more
	drains bool              // it is to end
	out    []core.Output
	sent   [2][]int // by port: the outputs that were put into it
	frames [][]byte
	buf    []byte
}

func (l *loop) now() time.Duration {
	l.clock = time.Since(l.start)
	return l.clock
}

// decide makes the deciding parts.
func (l *loop) decide() {
	l.core = core.New(l.cfg.core(l.epoch), 0)
	l.turns = core.NewTurns(l.core, core.TurnConfig{Dialects: l.cfg.dialects, DrainTimeout: l.cfg.DrainTimeout, NewID: newID})
}

// run turns until ctx is done and what is held is finished, or the drain
// time-out has come. It returns an error if the links were closed under it.
func (l *loop) run(ctx context.Context) error {
	began := l.now()
	before, wait := began, time.Duration(0)
	for {
		l.drains = ctx.Err() != nil
		l.turn(before, wait)
		if l.fatal != nil {
			return l.fatal
		}
		if l.turns.Over(l.clock) {
			return nil
		}
		l.tellAwaiting()
		before = l.now()
		if wait = l.turns.Wait(before); l.again || len(l.b.asks) > 0 {
			wait = 0
		}
		err := l.host.Wait(wait)
		if errors.Is(err, link.ErrClosed) {
			return err
		}
		if err = l.waits.failed(l, err); err != nil {
			return err
		}
		worked := before - began
		began = l.now()
		l.turned(began, max(began-before-wait, 0), worked, began-before)
	}
}

// A failing is what fails each time, or does not.
type failing struct {
	what  string
	since time.Duration // that it fails; 0: it does not
	tells time.Duration // when it is said again
}

const (
	failingMost  = 10 * time.Second // until the broker ends: who started it can do better
	failingEach  = 10 * time.Millisecond
	failingTells = time.Second
)

// failed takes what came of it. What fails is said, and tried again a little later: it
// must neither keep a core busy nor fill the log. The error that it returns ends the
// broker.
func (f *failing) failed(l *loop, err error) error {
	if err == nil {
		f.since = 0
		return nil
	}
	now := l.now()
	if f.since == 0 {
		f.since = max(now, 1)
	}
	if now >= f.tells {
		f.tells = now + failingTells
		l.cfg.Logger.Error().Err(err).Msg(f.what + " failed")
	}
	if now-f.since >= failingMost {
		return fmt.Errorf("broker: %s has failed for %v: %w", f.what, failingMost, err)
	}
	time.Sleep(failingEach)
	return nil
}

// turned notes how the loop keeps up.
func (l *loop) turned(now, lag, worked, waited time.Duration) {
	l.b.ticked.Store(int64(now))
	l.noteHeld(now)
	l.lookAtPorts(now)
	l.pace.turned(now, lag, worked, waited)
	if l.floodOver(now) {
		go debug.FreeOSMemory() // it takes a while
	}
	if m := l.b.metrics; m != nil {
		m.lag.Observe(lag.Seconds())
	}
}

// floodOver reports, once, that much less is held than before: it is time to
// give memory back to the system. Go itself does so only while it allocates,
// and an idle broker does not.
func (l *loop) floodOver(now time.Duration) bool {
	if now < l.trimAt {
		return false
	}
	l.trimAt = now + trimEvery
	g := l.core.Gauges()
	held := g.Open + g.IDs
	l.most = max(l.most, held)
	if l.most < trimMin || held > l.most/8 {
		return false
	}
	l.most = held
	return true
}

// turn does one turn: it reads, decides and sends. before is the clock's reading
// before the wait, and wait how long that was to be.
func (l *loop) turn(before, wait time.Duration) {
	var found [2]bool
	for at := range l.ports {
		found[at] = l.receive(protocol.Port(at))
	}
	l.again = !found[0] || !found[1]
	now := l.now()
	l.out = l.turns.Begin(now, before, wait, l.out)
	if l.drains {
		l.out = l.turns.Drain(now, l.out)
	}
	for at := range l.ports {
		l.take(protocol.Port(at))
	}
	for range asksMax { // the others have to wait for the next turn
		select {
		case f := <-l.b.asks:
			f(l)
			continue
		default:
		}
		break
	}
	l.out = l.turns.End(found, l.out)
	l.deliver()
	l.host.Recycle(l.core.Spent())
}

// receive reads what waits at one port, up to one batch. It reports whether it
// was found empty.
func (l *loop) receive(at protocol.Port) (empty bool) {
	in, err := l.ports[at].Recv(l.in[at][:0], batch)
	if errors.Is(err, link.ErrClosed) {
		err = nil // the wait says so
	}
	if err = l.reads[at].failed(l, err); err != nil {
		l.fatal = err
	}
	l.in[at] = in
	return len(in) < batch
}

// take passes what was read to the core.
func (l *loop) take(at protocol.Port) {
	for i := range l.in[at] {
		m := &l.in[at][i]
		switch m.Kind {
		case link.Connected:
			l.greet(at, m)
		case link.Data:
			var err error
			l.meet(at, m)
			if l.out, err = l.turns.Read(at, m.Peer, m.Frames, l.out); err != nil && l.b.metrics != nil {
				l.b.metrics.broke(err)
			}
		case link.Disconnected:
			if m.Peer == nil && at == protocol.FrontPort { // of one client of many
				continue
			}
			l.part(at, m)
			l.out = l.core.Disconnected(l.clock, core.Peer{ID: m.Peer, Port: at}, l.out)
		}
	}
	clear(l.in[at])
}

// deliver does what the core has decided, in order. What cannot be sent goes
// back to the core, whose answers are appended to the outputs.
func (l *loop) deliver() {
	for i := 0; i < len(l.out); { // it grows while it is walked
		for ; i < len(l.out); i++ {
			o := &l.out[i]
			switch o.Kind {
			case core.Send:
				l.send(i)
			case core.Drop:
				l.drops[o.Event.What]++
				if l.recorder != nil {
					l.recorder.add(l.clock, &o.Event)
				}
			case core.Note:
				if l.recorder != nil {
					l.recorder.add(l.clock, &o.Event)
					l.b.metrics.note(l.clock, &o.Event)
				}
				l.note(&o.Event)
			}
		}
		l.flush(protocol.FrontPort)
		l.flush(protocol.BackPort)
	}
	l.out = emptied(l.out)
	for at := range l.sent {
		l.sent[at] = emptied(l.sent[at])
	}
}

// listsKept is the longest list that is used again: one turn that had much to say
// does not keep its memory for ever.
const listsKept = 1 << 13

func emptied[T any](list []T) []T {
	if cap(list) > listsKept {
		return nil
	}
	clear(list)
	return list[:0]
}

// send encodes output i and puts it into its port.
func (l *loop) send(i int) {
	o := &l.out[i]
	to := protocol.Origin{Dialect: o.To.Dialect, Worker: o.Side == core.Back, Envelope: o.To.Envelope}
	if l.stale(o, &to) {
		l.drops[core.DropClientGone]++
		return
	}
	if to.Dialect != protocol.PRV1 && !to.Worker && o.Msg.Code != protocol.OK {
		if !l.cfg.LegacyErrors.text() {
			l.drops[core.DropSilent]++ // its time-out is the only error that it knows
			return
		}
		o.Msg.Body = [][]byte{protocol.ErrorBody(&o.Msg)}
	}
	if to.Worker && to.Dialect == protocol.PPP && !l.fits(o, &to) {
		return
	}
	if to.Worker {
		o.Msg.SentMS = uint32(l.clock / time.Millisecond) // as old as the decision
	}
	frames, buf := protocol.Append(l.frames[:0], l.buf[:0], &to, &o.Msg)
	if len(frames) == 0 { // its dialect has no such message
		return
	}
	l.ports[o.To.Port].Put(o.To.ID, frames...)
	l.sent[o.To.Port] = append(l.sent[o.To.Port], i)
	clear(frames)
	l.frames, l.buf = frames[:0], buf[:0]
}

// flush sends what was put into a port.
func (l *loop) flush(at protocol.Port) {
	if len(l.sent[at]) == 0 {
		return
	}
	l.ports[at].Flush(func(number int, err error) {
		o := &l.out[l.sent[at][number]]
		side, to, msg := o.Side, o.To, o.Msg
		if side == core.Back && errors.Is(err, link.ErrUnreachable) {
			delete(l.mute, string(to.ID)) // libzmq does not name whose connection has ended
		}
		// It failed now, however long ago it was decided: a grace begins.
		l.out = l.core.Undeliverable(time.Since(l.start), side, to, &msg, errors.Is(err, link.ErrUnreachable), l.out)
	})
	l.sent[at] = l.sent[at][:0]
}

// close ends the ports; the last messages have a moment to leave.
func (l *loop) close() error {
	l.noteHeld(l.now() + time.Second) // whenever it was said last
	l.cfg.Logger.Info().Str("state", "stopped").Msg("broker stopped")
	return l.host.Close()
}
