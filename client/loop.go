package client

import (
	crand "crypto/rand"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/calls"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	readMax        = 256                    // messages taken off one link in one turn
	waitMax        = time.Hour              // when nothing is due
	reconnectMin   = 100 * time.Millisecond // of one link
	reconnectMax   = 5 * time.Second
	connectTimeout = 3 * time.Second
	queueMax       = 1000
)

// A loop is the one goroutine that owns the host, its links and the state
// machine of a Client or Pipeline. Others reach it through the mailbox.
type loop struct {
	cfg    Config
	host   link.Host
	face   calls.Face
	epoch  time.Time // what now counts from
	log    zerolog.Logger
	mail   mailbox
	places chan struct{} // one token for each open request
	keys   atomic.Uint64
	done   chan struct{} // closed when the loop has ended
	ids    ids

	// The loop's alone.
	machine *calls.Machine
	links   map[calls.LinkID]*openLink
	order   []*openLink // all of links, oldest first
	open    map[uint64]*Call
	at      time.Duration // when this turn has begun
	ended   int           // calls that have got their outcome in it
	out     []calls.Output
	spare   []command
	read    []link.Message
	frames  [][]byte
	buffer  []byte
	stats   Stats // after done: anybody's, to read
}

type openLink struct {
	link.Link
	id     calls.LinkID
	broker int
}

// newLoop checks cfg and starts the goroutine.
func newLoop(cfg Config, face calls.Face) (*loop, error) {
	host, err := zmqlink.For(cfg.Brokers...)
	if err != nil {
		return nil, err
	}
	var instance [8]byte
	crand.Read(instance[:]) // never fails
	l := &loop{
		cfg: cfg, host: host, face: face, epoch: time.Now(), log: cfg.Logger,
		places: make(chan struct{}, cfg.MaxInFlight), done: make(chan struct{}),
		machine: calls.New(calls.Config{Face: face, Brokers: len(cfg.Brokers),
			Instance: binary.BigEndian.Uint64(instance[:]) | 1, CallsMax: cfg.MaxInFlight}),
		links: map[calls.LinkID]*openLink{}, open: map[uint64]*Call{},
		ids:   newIDs(),
		stats: newStats(),
	}
	if err := l.tryEndpoints(); err != nil {
		host.Close()
		return nil, err
	}
	go l.run()
	return l, nil
}

// tryEndpoints opens and closes a link to each broker, so that a bad endpoint
// is New's error and not that of every request.
func (l *loop) tryEndpoints() error {
	for i := range l.cfg.Brokers {
		k, err := l.host.Open(l.options(i))
		if err != nil {
			return err
		}
		if err := k.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (l *loop) options(broker int) link.Options {
	id := make([]byte, 16)
	crand.Read(id) // never fails
	o := link.Options{
		Role: link.Req, Endpoints: []string{l.cfg.Brokers[broker]}, Identity: id,
		SendMax: queueMax, RecvMax: queueMax, FrameBytesMax: l.cfg.MaxMessage + headerRoom,
		ReconnectMin: reconnectMin, ReconnectMax: reconnectMax, ConnectTimeout: connectTimeout,
		Monitor: true,
	}
	if l.face == calls.Dealer {
		o.Role = link.Dealer
	}
	return o
}

// now is the state machine's clock: monotonic, from the loop's start. The loop
// itself reads it once a turn (at).
func (l *loop) now() time.Duration { return time.Since(l.epoch) }

// close ends the loop and waits for it: 250 ms at most, and what the host
// takes to close.
func (l *loop) close() {
	l.mail.Lock()
	l.mail.shut = true
	l.mail.Unlock()
	l.host.Wake()
	<-l.done
}

// run is the loop: wait, read everything, take commands, fire what is due.
func (l *loop) run() {
	defer close(l.done)
	closing, again := false, false
	for {
		wait := waitMax
		if due, ok := l.machine.Deadline(); ok {
			wait = due - l.now()
		}
		if l.ended > 0 { // who waits for an outcome often has the next request
			l.ended = 0
			runtime.Gosched()
		}
		if again || !l.mail.sleep() {
			wait = 0
		}
		if err := l.host.Wait(wait); err != nil {
			l.log.Error().Err(err).Msg("client stops: waiting failed")
			l.stop(&closing)
			break
		}
		l.at = time.Since(l.epoch)
		again = l.receive()
		if l.commands() {
			l.stop(&closing)
		}
		l.do(l.machine.Tick(l.at, l.out))
		if closing && l.machine.Settled() {
			break
		}
	}
	if err := l.host.Close(); err != nil {
		l.log.Warn().Err(err).Msg("client: closing failed")
	}
}

// stop ends every call. What is posted later is refused.
func (l *loop) stop(closing *bool) {
	if *closing {
		return
	}
	*closing = true
	l.mail.Lock()
	l.mail.shut = true
	l.mail.Unlock()
	l.commands()
	l.do(l.machine.Close(l.at, l.out))
}

// commands does what others have asked for. It reports whether the loop is to
// end.
func (l *loop) commands() (shut bool) {
	list, shut := l.mail.take(l.spare)
	for _, c := range list {
		switch c.kind {
		case startCall:
			l.open[c.call.spec.Key] = c.call
			c.call.started = true
			l.stats.Requests++
			l.do(l.machine.Start(l.at, c.call.spec, l.out))
			if c.call.early {
				l.do(l.machine.Withdraw(l.at, c.call.spec.Key, l.out))
			}
		case withdrawCall:
			c.call.early = !c.call.started
			l.do(l.machine.Withdraw(l.at, c.call.spec.Key, l.out))
		case partUsed:
			l.do(l.machine.Consumed(l.at, c.call.spec.Key, l.out))
		case tellStats:
			c.stats <- l.stats.clone(l.machine.Open())
		}
	}
	clear(list)
	l.spare = list
	return shut
}

// receive reads every link. It reports whether more may be waiting.
func (l *loop) receive() (again bool) {
	for _, k := range append([]*openLink(nil), l.order...) {
		if l.links[k.id] != k { // closed meanwhile
			continue
		}
		var err error
		l.read, err = k.Recv(l.read[:0], readMax)
		if err != nil {
			l.log.Warn().Err(err).Str("broker", l.cfg.Brokers[k.broker]).Msg("client: reading failed; link closed")
			l.drop(k)
			l.do(l.machine.OpenFailed(l.at, k.id, l.out))
			continue
		}
		again = again || len(l.read) == readMax
		// What was received before a connection ended counts, so messages go
		// before events.
		for i := range l.read {
			if l.read[i].Kind == link.Data {
				l.message(k, l.read[i].Frames)
			}
		}
		for i := range l.read {
			switch l.read[i].Kind {
			case link.Connected:
				l.log.Debug().Str("broker", l.cfg.Brokers[k.broker]).Msg("connected")
				l.hookLink(k, true)
				l.do(l.machine.Connected(l.at, k.id, l.out))
			case link.Disconnected:
				l.log.Debug().Str("broker", l.cfg.Brokers[k.broker]).Msg("disconnected")
				l.stats.Disconnects++
				l.hookLink(k, false)
				l.do(l.machine.Disconnected(l.at, k.id, l.out))
			}
		}
		clear(l.read)
	}
	return again
}

// message parses what came from k and gives it to the state machine.
func (l *loop) message(k *openLink, frames [][]byte) {
	var msg protocol.Message
	if l.face == calls.Dealer {
		_, content, ok := protocol.SplitEnvelope(frames)
		if !ok {
			l.do(l.machine.Garbage(l.at, k.id, l.out))
			return
		}
		frames = content
	}
	if err := protocol.Parse(protocol.FrontOut, frames, &msg); err != nil {
		l.log.Debug().Err(err).Str("broker", l.cfg.Brokers[k.broker]).Msg("malformed message dropped")
		l.do(l.machine.Garbage(l.at, k.id, l.out))
		return
	}
	l.do(l.machine.Receive(l.at, k.id, &msg, l.out))
}

// do carries out what the state machine asks for, in order.
func (l *loop) do(out []calls.Output) {
	for i := 0; i < len(out); i++ {
		switch o := out[i]; o.Kind {
		case calls.Open:
			out = l.openLink(o, out)
		case calls.Close:
			if k := l.links[o.Link]; k != nil {
				l.drop(k)
			}
		case calls.Send:
			if l.machine.Wanted(o) {
				out = l.machine.Sent(l.at, o, l.send(o), out)
			}
		case calls.Part:
			if c := l.open[o.Key]; c != nil {
				l.stats.Parts++
				c.parts.put(o.Part)
			}
		case calls.Complete:
			if c := l.open[o.Key]; c != nil {
				delete(l.open, o.Key)
				l.outcome(c, o.Outcome)
			}
		case calls.Drop:
			l.stats.Dropped[o.Reason.String()]++
			l.log.Debug().Stringer("reason", o.Reason).Stringer("request_id", o.ID).Msg("dropped")
		case calls.Event:
			l.event(o)
		}
	}
	clear(out)
	l.out = out[:0]
}

func (l *loop) openLink(o calls.Output, out []calls.Output) []calls.Output {
	k, err := l.host.Open(l.options(o.Broker))
	if err != nil {
		l.log.Warn().Err(err).Str("broker", l.cfg.Brokers[o.Broker]).Msg("client: no link")
		return l.machine.OpenFailed(l.at, o.Link, out)
	}
	l.stats.Links++
	opened := &openLink{Link: k, id: o.Link, broker: o.Broker}
	l.links[o.Link] = opened
	l.order = append(l.order, opened)
	return out
}

// drop closes k.
func (l *loop) drop(k *openLink) {
	delete(l.links, k.id)
	for i := range l.order {
		if l.order[i] == k {
			l.order = append(l.order[:i], l.order[i+1:]...)
			break
		}
	}
	if err := k.Close(); err != nil {
		l.log.Warn().Err(err).Str("broker", l.cfg.Brokers[k.broker]).Msg("client: closing a link failed")
	}
}

// send reports whether the link took the message.
func (l *loop) send(o calls.Output) bool {
	k := l.links[o.Link]
	if k == nil {
		return false
	}
	l.frames = l.frames[:0]
	if l.face == calls.Dealer {
		l.frames = append(l.frames, []byte{})
	}
	l.frames, l.buffer = protocol.AppendFrames(l.frames, l.buffer[:0], protocol.FrontIn, o.Message)
	err := k.Send(nil, l.frames...)
	clear(l.frames)
	if err != nil {
		return false
	}
	l.stats.sent(o.Message.Command)
	l.hookSent(&o)
	return true
}
