package worker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"runtime"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/session"
	"github.com/privateer-mq/privateer/protocol"
)

// Numbers of the loop.
const (
	batch       = 256                    // messages read from one broker before the next has its turn
	waitMax     = 100 * time.Millisecond // a turn at least this often over ZeroMQ, whose waits can be late
	ignoreGrace = time.Second            // how long a handler may take to return once its context is over
	sendMax     = 1000                   // messages waiting to be sent to one broker
	bufferKept  = 64 << 10               // a larger encoding buffer is not kept
)

// A peer is one broker: the session with it, and the socket to it.
type peer struct {
	index    int
	endpoint string
	session  *session.Session
	link     link.Link // nil while there is none
	done     bool
	everOpen bool
	away     bool                // its loss was logged, and it is not back
	sent     []*protocol.Message // put into link since the last flush
	joined   bool                // Hooks.Joined was told, and not Lost since
	log      zerolog.Logger
}

// A loop owns the sockets, the sessions and the runs: one goroutine, no lock.
// A turn reads the clock, takes what has arrived from brokers and handlers,
// lets the sessions do what is due, and starts handlers while slots are free.
type loop struct {
	w     *Worker
	cfg   *Config
	host  link.Host
	inbox *inbox
	start time.Time
	peers []*peer
	runs  map[runID]*run

	draining bool
	fresh    int           // handlers started in this turn
	scanAt   time.Duration // next look for handlers that ignore their context
	unacked  int           // replies given up at the end
	fatal    error

	in      []link.Message
	msg     protocol.Message
	out     []session.Output
	notices []notice
	frames  [][]byte
	buf     []byte
}

func newLoop(w *Worker, host link.Host) *loop {
	l := &loop{
		w: w, cfg: &w.cfg, host: host, inbox: &inbox{host: host},
		start: time.Now(), runs: map[runID]*run{},
	}
	for i, endpoint := range w.cfg.Brokers {
		l.peers = append(l.peers, &peer{index: i, endpoint: endpoint, log: w.cfg.Logger.With().Str("broker", endpoint).Logger(), session: session.New(session.Config{
			Instance: random() | 1, Services: w.cfg.Services, Concurrency: w.cfg.Concurrency,
			TaskTimeout: w.cfg.TaskTimeout, ReconnectMax: w.cfg.ReconnectMax, RetainBytes: w.cfg.RetainBytes,
		}, 0)})
	}
	return l
}

func (l *loop) now() time.Duration { return time.Since(l.start) }

func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// run turns until every session has ended, and the handlers had their time to
// return.
func (l *loop) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, l.host.Wake)
	defer stop()
	for l.fatal == nil {
		more := l.turn(ctx.Err() != nil)
		if l.ended() {
			break
		}
		if l.fresh > 0 {
			l.fresh = 0
			runtime.Gosched() // a handler that is quick is over when the loop goes on
		}
		if more || !l.inbox.sleep() {
			continue
		}
		if err := l.host.Wait(l.wait()); err != nil {
			l.fatal = err
		}
	}
	l.awaitHandlers()
	if l.fatal == nil && l.unacked > 0 {
		return &UnacknowledgedError{l.unacked}
	}
	return l.fatal
}

// awaitHandlers gives those that still run, all answered for by now, a moment
// to see that their context has ended.
func (l *loop) awaitHandlers() {
	for _, r := range l.runs {
		r.ctx.end(ErrDraining)
	}
	end := l.now() + ignoreGrace
	for {
		for _, n := range l.inbox.take(nil) {
			if n.returned {
				delete(l.runs, n.run.runID)
			}
		}
		left := end - l.now()
		if len(l.runs) == 0 || left <= 0 {
			break
		}
		if l.inbox.sleep() && l.host.Wait(left) != nil {
			break
		}
	}
	l.w.counters.running.Store(uint64(len(l.runs)))
}

func (l *loop) ended() bool {
	for _, p := range l.peers {
		if !p.done {
			return false
		}
	}
	return true
}

// wait is the time until the next turn is needed, if nothing arrives.
func (l *loop) wait() time.Duration {
	now := l.now()
	wait := waitMax
	for _, p := range l.peers {
		if at, ok := p.session.Deadline(); ok {
			wait = min(wait, at-now)
		}
	}
	if len(l.runs) > 0 {
		wait = min(wait, l.scanAt-now)
	}
	return max(wait, 0)
}

// turn does one turn. It reports whether more waits to be read.
func (l *loop) turn(stopping bool) (more bool) {
	now := l.now()
	for _, p := range l.peers {
		l.out = p.session.Turn(now, random(), l.out)
		l.apply(now, p)
	}
	for _, p := range l.peers {
		more = l.read(now, p) || more
	}
	l.takeNotices(now)
	if stopping && !l.draining {
		l.draining = true
		for _, p := range l.peers {
			l.out = p.session.Drain(now, l.cfg.DrainTimeout, l.out)
			l.apply(now, p)
		}
	}
	for _, p := range l.peers {
		l.out = p.session.Tick(now, l.out)
		l.apply(now, p)
	}
	l.shareSlots(now)
	l.startHandlers(now)
	if now >= l.scanAt {
		l.scan(now)
	}
	for _, p := range l.peers {
		l.flush(now, p)
	}
	return more
}

// read passes what waits at one socket to its session, up to one batch.
func (l *loop) read(now time.Duration, p *peer) (more bool) {
	if p.link == nil {
		return false
	}
	in, err := p.link.Recv(l.in[:0], batch)
	if err != nil && !errors.Is(err, link.ErrClosed) {
		p.log.Error().Err(err).Msg("reading failed")
	}
	more = len(in) == batch
	for i := range in {
		switch {
		case in[i].Kind == link.Connected:
			l.out = p.session.Connected(now, l.out)
		case in[i].Kind != link.Data:
			continue // it shows at the session by silence, or not at all
		default:
			if err := protocol.Parse(protocol.BackOut, in[i].Frames, &l.msg); err != nil {
				l.w.counters.dropped[session.DropMalformed].Add(1)
				p.log.Debug().Err(err).Str("state", "malformed").Msg("message of the broker discarded")
				continue
			}
			l.out = p.session.Receive(now, &l.msg, l.out)
		}
		l.apply(now, p)
	}
	clear(in)
	l.in = in[:0]
	return more
}

// takeNotices passes on what handlers have said.
func (l *loop) takeNotices(now time.Duration) {
	list := l.inbox.take(l.notices)
	for i := range list {
		n := &list[i]
		p := l.peers[n.run.broker]
		if n.part {
			l.out = p.session.Part(now, n.run.id, n.result.Frames, l.out)
			l.apply(now, p)
			continue
		}
		if !n.returned {
			n.run.told.Store(false)
			l.out = p.session.Progress(now, n.run.id, l.out)
			l.apply(now, p)
			continue
		}
		delete(l.runs, n.run.runID)
		l.w.counters.running.Store(uint64(len(l.runs)))
		n.run.ctx.end(context.Canceled)
		if n.panicked != "" {
			l.w.counters.panics.Add(1)
			about(p.log.Error(), n.run).Str("state", "panicked").Str("stack", string(n.stack)).Msg(n.panicked)
		}
		l.out = p.session.Finished(now, n.run.id, n.result, l.out)
		l.apply(now, p)
	}
	clear(list)
	l.notices = list
}

// shareSlots tells each session of the slots that the others' stuck handlers
// take: the handlers are shared.
func (l *loop) shareSlots(now time.Duration) {
	if len(l.peers) == 1 {
		return
	}
	stuck := 0
	for _, p := range l.peers {
		stuck += p.session.Stuck()
	}
	for _, p := range l.peers {
		l.out = p.session.SetElsewhere(now, stuck-p.session.Stuck(), l.out)
		l.apply(now, p)
	}
}

// startHandlers starts what has waited longest, over all brokers, while slots
// are free.
func (l *loop) startHandlers(now time.Duration) {
	for len(l.runs) < l.cfg.Concurrency {
		var next *peer
		var oldest time.Duration
		for _, p := range l.peers {
			if since, ok := p.session.Waiting(); ok && (next == nil || since < oldest) {
				next, oldest = p, since
			}
		}
		if next == nil {
			return
		}
		// A request that cannot be started any more only leaves the queue.
		l.out = next.session.StartNext(l.now(), l.out)
		l.apply(now, next)
	}
}

// scan reports handlers that go on long after their context has ended.
func (l *loop) scan(now time.Duration) {
	l.scanAt = now + ignoreGrace/4
	for _, r := range l.runs {
		if !r.ignored && now-r.over >= ignoreGrace {
			r.ignored = true
			l.w.counters.ignored.Add(1)
			about(l.peers[r.broker].log.Warn(), r).Str("state", "ignored-context").
				Msg("handler ignores its context; its slot stays taken until it returns")
		}
	}
}
