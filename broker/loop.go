package broker

import (
	"context"
	"errors"
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
	lateMin     = 50 * time.Millisecond  // a turn so late is told to the core
	farewell    = 200 * time.Millisecond // after the last answer, before the ports are closed
)

// A loop owns both ports and the core: one goroutine, no lock. A turn reads
// the clock, takes what has arrived, lets the core fire what is due, and sends.
type loop struct {
	b           *Broker
	cfg         *Config
	host        link.Host
	front, back link.Link
	core        *core.Core
	start       time.Time
	epoch       uint64
	drops       map[core.What]uint64
	warned      limiter

	in     []link.Message
	msg    protocol.Message
	out    []core.Output
	frames [][]byte
	buf    []byte
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

// run turns until ctx is done and what is held is finished, or the drain
// time-out has come.
func (l *loop) run(ctx context.Context) {
	woke := l.now()
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
			return
		}
		wait := l.wait(drainEnd)
		woke = l.now() + wait
		if err := l.host.Wait(wait); err != nil {
			l.cfg.Logger.Error().Err(err).Msg("waiting for messages failed")
		}
	}
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
		more := l.take(core.Front, l.front)
		more = l.take(core.Back, l.back) || more
		if !more || !stopped || round == roundsMax { // after a stop: hear everybody first
			break
		}
	}
	for asked := true; asked; {
		select {
		case f := <-l.b.asks:
			f(l)
		default:
			asked = false
		}
	}
	l.out = l.core.Tick(l.now(), l.out)
	l.deliver()
}

// take passes what waits at one port to the core, up to one batch. It reports
// whether there may be more.
func (l *loop) take(side core.Side, port link.Link) bool {
	in, err := port.Recv(l.in[:0], batch)
	if err != nil && !errors.Is(err, link.ErrClosed) {
		l.cfg.Logger.Error().Err(err).Msg("reading failed")
	}
	now := l.now()
	for i := range in {
		switch {
		case in[i].Kind == link.Data && side == core.Front:
			l.fromClient(now, &in[i])
		case in[i].Kind == link.Data:
			l.fromWorker(now, &in[i])
		case in[i].Kind == link.Disconnected:
			l.out = l.core.Disconnected(now, l.out)
		}
	}
	more := len(in) == batch
	clear(in)
	l.in = in[:0]
	l.deliver()
	return more
}

func (l *loop) fromClient(now time.Duration, m *link.Message) {
	envelope, content, ok := protocol.SplitEnvelope(m.Frames)
	if !ok {
		l.malformed(now, core.Front, core.Peer{ID: m.Peer, Dialect: core.Plain}, errNoDelimiter)
		return
	}
	from := core.Peer{ID: m.Peer, Envelope: envelope}
	if !protocol.Sniff(content[0]) {
		if len(content) > protocol.FramesMax {
			l.malformed(now, core.Front, core.Peer{ID: m.Peer, Dialect: core.Plain}, errTooManyFrames)
			return
		}
		from.Dialect = core.Plain
		l.msg = protocol.Message{Command: protocol.Request, ID: newID(), Number: 1, Body: content}
		l.out = l.core.Client(now, from, &l.msg, l.out)
		return
	}
	if err := protocol.Parse(protocol.FrontIn, content, &l.msg); err != nil {
		l.malformed(now, core.Front, from, err)
		return
	}
	l.out = l.core.Client(now, from, &l.msg, l.out)
}

func (l *loop) fromWorker(now time.Duration, m *link.Message) {
	from := core.Peer{ID: m.Peer}
	if len(m.Frames) > 0 && protocol.Sniff(m.Frames[0]) {
		if err := protocol.Parse(protocol.BackIn, m.Frames, &l.msg); err != nil {
			l.malformed(now, core.Back, from, err)
			return
		}
		l.out = l.core.Worker(now, from, &l.msg, l.out)
		return
	}
	from.Dialect = core.PPP
	if !protocol.ParsePPP(m.Frames, &l.msg) {
		l.malformed(now, core.Back, from, errNoWorker)
		return
	}
	l.out = l.core.Worker(now, from, &l.msg, l.out)
}

var (
	errTooManyFrames = errors.New("a plain request has more than 1024 frames")
	errNoDelimiter   = errors.New("a message to the frontend has no empty delimiter frame: is this a worker? Workers connect to the backend")
	errNoWorker      = errors.New("a message to the backend is neither PRV1 nor PPP: is this a client? Clients connect to the frontend")
)

func (l *loop) malformed(now time.Duration, side core.Side, from core.Peer, err error) {
	l.out = l.core.Malformed(now, side, from, &l.msg, err, l.out)
	l.msg = protocol.Message{}
}

// deliver does what the core has decided, in order.
func (l *loop) deliver() {
	for i := 0; i < len(l.out); i++ { // it grows while it is walked
		o := &l.out[i]
		switch o.Kind {
		case core.Send:
			l.send(i)
		case core.Drop:
			l.drops[o.Event.What]++
		case core.Note:
			l.note(&o.Event)
		}
	}
	clear(l.out)
	l.out = l.out[:0]
}

// send encodes and sends output i. What cannot be sent goes back to the core,
// whose answer is appended to the outputs.
func (l *loop) send(i int) {
	o := &l.out[i]
	port, direction := l.back, protocol.BackOut
	frames := l.frames[:0]
	buf := l.buf[:0]
	switch {
	case o.To.Dialect == core.Plain && o.Msg.Code != protocol.OK:
		l.drops[core.DropSilent]++ // its time-out is the only error that it knows
		return
	case o.To.Dialect == core.Plain:
		port = l.front
		frames = append(append(append(frames, o.To.Envelope...), nil), o.Msg.Body...)
	case o.Side == core.Front:
		port, direction = l.front, protocol.FrontOut
		frames = append(append(frames, o.To.Envelope...), nil)
		frames, buf = protocol.AppendFrames(frames, buf, direction, &o.Msg)
	case o.To.Dialect == core.PPP:
		if frames, buf = protocol.AppendPPP(frames, buf, &o.Msg); len(frames) == 0 {
			return
		}
	default:
		o.Msg.SentMS = uint32(l.now() / time.Millisecond)
		frames, buf = protocol.AppendFrames(frames, buf, direction, &o.Msg)
	}
	err := port.Send(o.To.ID, frames...)
	clear(frames)
	l.frames, l.buf = frames[:0], buf[:0]
	if err != nil {
		side, to, msg := o.Side, o.To, o.Msg
		l.out = l.core.Undeliverable(l.now(), side, to, &msg, errors.Is(err, link.ErrUnreachable), l.out)
	}
}

// close ends the ports; the last messages have a moment to leave.
func (l *loop) close() error {
	l.cfg.Logger.Info().Str("state", "stopped").Msg("broker stopped")
	return l.host.Close()
}
