package client

import (
	crand "crypto/rand"
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/drive"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

const (
	readMax        = 256                    // messages taken off one link in one turn
	waitMax        = time.Hour              // when nothing is due
	reconnectMin   = 100 * time.Millisecond // of one link
	reconnectMax   = 2 * time.Second
	connectTimeout = 3 * time.Second
	queueMax       = 1000
)

// A loop owns the host, its links and the state machine of a Client or Pipeline.
// Its turns run one at a time; others reach it through the mailbox.
type loop struct {
	cfg    Config
	host   link.Host
	face   clientcore.Face
	epoch  time.Time // what now counts from
	log    zerolog.Logger
	mail   mailbox
	places chan struct{} // one token for each open request
	keys   atomic.Uint64
	done   chan struct{} // closed when the loop has ended
	ids    ids

	arrivals *drive.Arrivals // nil: its host can only be waited for

	// The turns' alone.
	closing bool
	machine *clientcore.Machine
	links   map[clientcore.LinkID]*openLink
	order   []*openLink // all of links, oldest first
	trouble []string    // by broker: why it was not reached last, as far as it is known
	batches []batch     // what this turn has read, by link
	queued  []*openLink // those with something to send
	open    map[uint64]*Call
	at      time.Duration // when this turn has begun
	ended   int           // calls that have got their outcome in it
	out     []clientcore.Output
	spare   []command
	read    []link.Message // ... and all of it
	frames  [][]byte
	buffer  []byte
	stats   Stats // after done: anybody's, to read
}

type openLink struct {
	link.Link
	id     clientcore.LinkID
	broker int
	queuer link.Queuer // itself, if it is one
	queued bool        // something waits for the end of the turn
}

// newLoop checks cfg and starts the goroutine.
func newLoop(cfg Config, face clientcore.Face) (*loop, error) {
	var instance [8]byte
	crand.Read(instance[:]) // never fails
	l := &loop{
		cfg: cfg, face: face, epoch: time.Now(), log: cfg.Logger,
		places: make(chan struct{}, cfg.MaxInFlight), done: make(chan struct{}),
		machine: clientcore.New(clientcore.Config{Face: face, Brokers: len(cfg.Brokers),
			Instance: binary.BigEndian.Uint64(instance[:]) | 1, CallsMax: cfg.MaxInFlight}),
		trouble: make([]string, len(cfg.Brokers)), links: map[clientcore.LinkID]*openLink{}, open: map[uint64]*Call{},
		ids:   newIDs(),
		stats: newStats(),
	}
	arrivals := drive.NewArrivals(l.turn, l.finish)
	host, tells, err := transport.For(cfg.Transport, arrivals.Arrive, cfg.Brokers...)
	if err != nil {
		return nil, err
	}
	if l.host = host; tells {
		l.arrivals = arrivals
	}
	if err := l.tryEndpoints(); err != nil {
		host.Close()
		return nil, err
	}
	l.begin()
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
	id := link.Identity(func(b []byte) { crand.Read(b) }) // never fails
	o := link.Options{
		Role: link.Req, Endpoints: []string{l.cfg.Brokers[broker]}, Identity: id,
		SendMax: queueMax, RecvMax: queueMax, FrameBytesMax: l.cfg.MaxMessage + headerRoom,
		ReconnectMin: reconnectMin, ReconnectMax: reconnectMax, ConnectTimeout: connectTimeout,
		Monitor: true,
	}
	if l.face == clientcore.Dealer {
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
	l.wake()
	<-l.done
}

// begin lets turns begin. Where the host says what arrives they need no goroutine.
func (l *loop) begin() {
	if l.arrivals != nil {
		l.arrivals.Begin()
		return
	}
	go func() {
		if err := drive.Loop(l.host, l.turn, l.mail.sleep, waitMax); err != nil {
			l.log.Error().Err(err).Msg("client stops: waiting failed")
			l.stop()
			l.do()
		}
		l.finish()
	}()
}

// finish follows the last turn.
func (l *loop) finish() {
	if err := l.host.Close(); err != nil {
		l.log.Warn().Err(err).Msg("client: closing failed")
	}
	close(l.done)
}

// wake lets a turn see what was put into the mailbox.
func (l *loop) wake() {
	if l.arrivals != nil {
		l.arrivals.Arrive()
		return
	}
	l.host.Wake()
}

// turn does one turn: it reads, decides (clientcore.Machine), and sends.
func (l *loop) turn() (t drive.Turn) {
	if l.arrivals != nil && len(l.open) > 1 {
		runtime.Gosched() // others may have the next request ready: they leave together
	}
	t.Again = l.receive()
	l.at = l.now()
	t.Now, t.Due = l.at, drive.Never
	l.out = l.machine.Turn(l.at, l.out)
	l.take()
	if l.commands() {
		l.stop()
	}
	l.out = l.machine.End(!t.Again, l.out)
	l.do()
	t.Done = l.closing && l.machine.Settled()
	t.Yield = l.ended > 0 // who waits for an outcome often has the next request
	l.ended = 0
	if due, ok := l.machine.Deadline(); ok {
		t.Due = due
	}
	return t
}

// stop ends every call. What is posted later is refused.
func (l *loop) stop() {
	if l.closing {
		return
	}
	l.closing = true
	l.mail.Lock()
	l.mail.shut = true
	l.mail.Unlock()
	l.commands()
	l.out = l.machine.Close(l.out)
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
			l.out = l.machine.Start(c.call.spec, l.out)
			if c.call.early {
				l.out = l.machine.Withdraw(c.call.spec.Key, l.out)
			}
		case withdrawCall:
			c.call.early = !c.call.started
			l.out = l.machine.Withdraw(c.call.spec.Key, l.out)
		case partUsed:
			l.out = l.machine.Consumed(c.call.spec.Key, l.out)
		case tellStats:
			c.stats <- l.stats.clone(l.machine.Open())
		}
	}
	clear(list)
	l.spare = list
	return shut
}

// A batch is what was read from one link in this turn.
type batch struct {
	link       *openLink
	first, end int // in loop.read
	err        error
}

// receive reads every link. It reports whether more may be waiting.
func (l *loop) receive() (again bool) {
	for _, k := range l.order {
		b := batch{link: k, first: len(l.read)}
		l.read, b.err = k.Recv(l.read, readMax)
		b.end = len(l.read)
		again = again || b.end == b.first+readMax
		l.batches = append(l.batches, b)
	}
	return again
}

// take gives what was read to the state machine.
func (l *loop) take() {
	for _, b := range l.batches {
		l.takeBatch(b, l.read[b.first:b.end])
	}
	clear(l.read)
	clear(l.batches)
	l.read, l.batches = l.read[:0], l.batches[:0]
}

func (l *loop) takeBatch(b batch, read []link.Message) {
	k := b.link
	if b.err != nil {
		l.log.Warn().Err(b.err).Str("broker", l.cfg.Brokers[k.broker]).Msg("client: reading failed; link closed")
		l.drop(k)
		l.out = l.machine.OpenFailed(k.id, l.out)
		return
	}
	// What was received before a connection ended counts, so messages go
	// before events.
	for i := range read {
		if read[i].Kind != link.Data {
			continue
		}
		var err error
		if l.out, err = l.machine.Read(k.id, read[i].Frames, l.out); err != nil {
			l.log.Debug().Err(err).Str("broker", l.cfg.Brokers[k.broker]).Msg("malformed message dropped")
		}
	}
	for i := range read {
		switch read[i].Kind {
		case link.Connected:
			l.log.Debug().Str("broker", l.cfg.Brokers[k.broker]).Msg("connected")
			l.hookLink(k, true)
			l.out = l.machine.Connected(k.id, l.out)
		case link.Disconnected:
			l.log.Debug().Str("broker", l.cfg.Brokers[k.broker]).Msg("disconnected")
			l.stats.Disconnects++
			l.hookLink(k, false)
			l.out = l.machine.Disconnected(k.id, l.out)
		}
	}
}

// do carries out what the state machine asks for, in order, and sends what that
// has queued.
func (l *loop) do() {
	out := l.out
	for i := 0; i < len(out); i++ { // it grows while it is walked
		switch o := out[i]; o.Kind {
		case clientcore.Open:
			out = l.openLink(o, out)
		case clientcore.Close:
			if k := l.links[o.Link]; k != nil {
				l.drop(k)
			}
		case clientcore.Send:
			if l.machine.Wanted(o) {
				out = l.machine.Sent(o, l.send(o), out)
			}
		case clientcore.Part:
			if c := l.open[o.Key]; c != nil {
				l.stats.Parts++
				c.parts.put(o.Part)
			}
		case clientcore.Complete:
			if c := l.open[o.Key]; c != nil {
				delete(l.open, o.Key)
				l.outcome(c, o.Outcome)
			}
		case clientcore.Drop:
			l.stats.Dropped[o.Reason.String()]++
			l.log.Debug().Stringer("reason", o.Reason).Stringer("request_id", o.ID).Msg("dropped")
		case clientcore.Event:
			l.event(o)
		}
	}
	clear(out)
	l.out = out[:0]
	l.flush()
}

func (l *loop) openLink(o clientcore.Output, out []clientcore.Output) []clientcore.Output {
	k, err := l.host.Open(l.options(o.Broker))
	if err != nil {
		l.log.Warn().Err(err).Str("broker", l.cfg.Brokers[o.Broker]).Msg("client: no link")
		l.trouble[o.Broker] = err.Error()
		return l.machine.OpenFailed(o.Link, out)
	}
	l.stats.Links++
	opened := &openLink{Link: k, id: o.Link, broker: o.Broker}
	opened.queuer, _ = k.(link.Queuer)
	l.links[o.Link] = opened
	l.order = append(l.order, opened)
	return out
}

// keepTrouble notes why k has no connection, or had none last.
func (l *loop) keepTrouble(k *openLink) {
	if o, ok := k.Link.(link.Observed); ok {
		if text := o.Stats().LastTrouble; text != "" {
			l.trouble[k.broker] = text
		}
	}
}

// troubles are why the brokers were not reached, as far as it is known.
func (l *loop) troubles() (text string) {
	for _, k := range l.order {
		l.keepTrouble(k)
	}
	for _, why := range l.trouble {
		if why != "" {
			text += "; " + why
		}
	}
	return text
}

// flush sends what was queued in this turn: one write for each link.
func (l *loop) flush() {
	for i, k := range l.queued {
		if k.queued {
			k.queued = false
			k.Flush(nil)
		}
		l.queued[i] = nil
	}
	l.queued = l.queued[:0]
}

// drop closes k.
func (l *loop) drop(k *openLink) {
	if k.queued {
		k.queued = false
		k.Flush(nil)
	}
	l.keepTrouble(k)
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
func (l *loop) send(o clientcore.Output) bool {
	k := l.links[o.Link]
	if k == nil {
		return false
	}
	l.frames = l.frames[:0]
	if l.face == clientcore.Dealer {
		l.frames = append(l.frames, []byte{})
	}
	l.frames, l.buffer = protocol.AppendFrames(l.frames, l.buffer[:0], protocol.FrontIn, o.Message)
	var err error
	if k.queuer == nil {
		err = k.Send(nil, l.frames...)
	} else if err = k.queuer.Queue(nil, l.frames...); err == nil && !k.queued {
		k.queued = true
		l.queued = append(l.queued, k)
	}
	clear(l.frames)
	if err != nil {
		return false
	}
	l.stats.sent(o.Message.Command)
	l.hookSent(&o)
	return true
}
