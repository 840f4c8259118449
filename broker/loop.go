package broker

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// Numbers of the loop.
const (
	batch       = 256 // messages taken from one port before the other has its turn
	roundsMax   = 64  // batches taken before a turn ends, after a stop
	waitMax     = 100 * time.Millisecond
	drainedPoll = 10 * time.Millisecond
	asksMax     = 8                     // questions from other goroutines that one turn answers
	lateMin     = 50 * time.Millisecond // a turn so late is told to the core
	trimEvery   = time.Second
	trimMin     = 50_000                 // requests and ids: less is not worth it
	farewell    = 200 * time.Millisecond // after the last answer, before the ports are closed
)

// A loop owns both ports and the core: one goroutine, no lock. A turn reads
// the clock, takes what has arrived, lets the core fire what is due, and sends.
type loop struct {
	b        *Broker
	cfg      *Config
	host     link.Host
	ports    [2]link.Link // by protocol.Port
	core     *core.Core
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

	in     []link.Message
	msg    protocol.Message
	out    []core.Output
	sent   [2][]int // by port: the outputs that were put into it
	frames [][]byte
	buf    []byte
}

func (l *loop) now() time.Duration {
	l.clock = time.Since(l.start)
	return l.clock
}

// run turns until ctx is done and what is held is finished, or the drain
// time-out has come. It returns an error if the links were closed under it.
func (l *loop) run(ctx context.Context) error {
	woke := l.now()
	began := woke
	var drainEnd time.Duration
	for {
		if drainEnd == 0 && ctx.Err() != nil {
			drainEnd = l.now() + l.cfg.DrainTimeout
			l.out = l.core.Drain(l.now(), l.out)
			l.deliver()
		}
		l.turn(woke)
		if now := l.now(); drainEnd != 0 && (now >= drainEnd || l.core.Idle()) {
			l.out = l.core.Leave(now, l.out)
			l.deliver()
			l.farewell(now + farewell)
			return nil
		}
		l.tellAwaiting()
		wait := l.wait(drainEnd)
		slept := l.now()
		woke = slept + wait
		if err := l.host.Wait(wait); errors.Is(err, link.ErrClosed) {
			return err
		} else if err != nil {
			l.cfg.Logger.Error().Err(err).Msg("waiting for messages failed")
		}
		worked := slept - began
		began = l.now()
		l.turned(began, max(began-woke, 0), worked, began-slept)
	}
}

// turned notes how the loop keeps up.
func (l *loop) turned(now, lag, worked, waited time.Duration) {
	l.b.ticked.Store(int64(now))
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

// farewell reads on until end, so that the last answers arrive: TCP throws away
// what is under way to a peer when the socket is closed with input unread.
func (l *loop) farewell(end time.Duration) {
	for now := l.now(); now < end; now = l.now() {
		if err := l.host.Wait(min(end-now, drainedPoll)); err != nil {
			return
		}
		l.turn(l.now())
	}
}

// wait is the time until the next turn is needed, if nothing arrives.
func (l *loop) wait(drainEnd time.Duration) time.Duration {
	wait := min(waitMax, l.cfg.Heartbeat)
	if len(l.b.asks) > 0 {
		wait = 0
	}
	now := l.now()
	if at, ok := l.core.Deadline(); ok {
		wait = min(wait, max(at-now, 0))
	}
	if drainEnd != 0 {
		wait = min(wait, max(drainEnd-now, 0), drainedPoll)
	}
	return wait
}

// turn does one turn. woke is when it should have begun at the latest.
func (l *loop) turn(woke time.Duration) {
	now := l.now()
	late := now - woke
	stopped := late > l.cfg.Heartbeat
	if late > lateMin {
		l.out = l.core.Stopped(now, late, l.out)
		l.deliver()
	}
	for round := 0; ; round++ {
		more := l.take(protocol.FrontPort)
		more = l.take(protocol.BackPort) || more
		if !more || !stopped || round == roundsMax { // after a stop: hear everybody first
			break
		}
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
	l.out = l.core.Tick(l.now(), l.out)
	l.deliver()
	l.host.Recycle(l.core.Spent())
}

// take passes what waits at one port to the core, up to one batch. It reports
// whether there may be more.
func (l *loop) take(at protocol.Port) bool {
	in, err := l.ports[at].Recv(l.in[:0], batch)
	if err != nil && !errors.Is(err, link.ErrClosed) {
		l.cfg.Logger.Error().Err(err).Msg("reading failed")
	}
	now := l.now()
	for i := range in {
		switch in[i].Kind {
		case link.Data:
			l.read(now, at, &in[i])
		case link.Disconnected:
			l.out = l.core.Disconnected(now, l.out)
		}
	}
	more := len(in) == batch
	clear(in)
	l.in = in[:0]
	l.deliver()
	return more
}

// read passes one message to the core, whatever dialect it is in.
func (l *loop) read(now time.Duration, at protocol.Port, m *link.Message) {
	o, err := protocol.Read(at, m.Frames, l.cfg.dialects, &l.msg)
	if err != nil && l.b.metrics != nil {
		l.b.metrics.broke(err)
	}
	from := core.Peer{ID: m.Peer, Port: at, Dialect: o.Dialect, Envelope: o.Envelope}
	switch {
	case err != nil && o.Worker:
		l.out = l.core.Malformed(now, core.Back, from, &l.msg, err, l.out)
		l.msg = protocol.Message{}
	case err != nil:
		l.out = l.core.Malformed(now, core.Front, from, &l.msg, err, l.out)
		l.msg = protocol.Message{}
	case o.Worker:
		l.out = l.core.Worker(now, from, &l.msg, l.out)
	default:
		if o.Dialect != protocol.PRV1 {
			l.msg.ID = newID()
		}
		l.out = l.core.Client(now, from, &l.msg, l.out)
	}
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
					l.b.metrics.note(&o.Event)
				}
				l.note(&o.Event)
			}
		}
		l.flush(protocol.FrontPort)
		l.flush(protocol.BackPort)
	}
	clear(l.out)
	l.out = l.out[:0]
}

// send encodes output i and puts it into its port.
func (l *loop) send(i int) {
	o := &l.out[i]
	to := protocol.Origin{Dialect: o.To.Dialect, Worker: o.Side == core.Back, Envelope: o.To.Envelope}
	if to.Dialect != protocol.PRV1 && !to.Worker && o.Msg.Code != protocol.OK {
		if !l.cfg.LegacyErrors.text() {
			l.drops[core.DropSilent]++ // its time-out is the only error that it knows
			return
		}
		o.Msg.Body = [][]byte{protocol.ErrorBody(&o.Msg)}
	}
	if to.Worker {
		o.Msg.SentMS = uint32(l.now() / time.Millisecond)
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
		l.out = l.core.Undeliverable(l.now(), side, to, &msg, errors.Is(err, link.ErrUnreachable), l.out)
	})
	l.sent[at] = l.sent[at][:0]
}

// close ends the ports; the last messages have a moment to leave.
func (l *loop) close() error {
	l.cfg.Logger.Info().Str("state", "stopped").Msg("broker stopped")
	return l.host.Close()
}
