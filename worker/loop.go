package worker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/drive"
	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// Numbers of the loop.
const (
	batch       = 256                    // messages read from one broker before the next has its turn
	waitMax     = 100 * time.Millisecond // a turn at least this often over ZeroMQ, whose waits can be late
	ignoreGrace = time.Second            // how long a handler may take to return once its context is over
	sendMax     = 1000                   // messages waiting to be sent to one broker
	bufferKept  = 64 << 10               // a larger encoding buffer is not kept
	frameMax    = 1<<30 + 64<<10         // no broker may allow more (its MaxMessage), and what it says comes with it
)

// A peer is one broker: the session with it, and the socket to it.
type peer struct {
	index    int
	endpoint string
	link     link.Link // nil while there is none
	in       []link.Message
	empty    bool // it was when it was read
	everOpen bool
	trouble  string              // of the link that was closed last, as far as it is known
	away     bool                // its loss was logged, and it is not back
	sent     []*protocol.Message // put into link since the last flush
	joined   bool                // Hooks.Joined was told, and not Lost since
	failed   func(number int, err error)
	log      zerolog.Logger
}

// A loop owns the sockets, the sessions and the runs. Its turns run one at a
// time, so there is no lock. A turn takes what has arrived from brokers and
// handlers, reads the clock, decides (workercore.Turns), starts handlers, and sends.
type loop struct {
	w        *Worker
	cfg      *Config
	ctx      context.Context // of Run
	host     link.Host
	arrivals *drive.Arrivals // nil: the host can only be waited for
	over     chan struct{}   // closed after the last turn
	inbox    *inbox
	start    time.Time
	turns    *workercore.Turns
	peers    []*peer
	runs     map[runID]*run

	draining bool
	holding  bool          // a hold was logged, and no handler has returned without one since
	fresh    int           // handlers started in this turn
	scanAt   time.Duration // next look for handlers that ignore their context
	unacked  int           // replies given up at the end
	fatal    error

	handIn func(notice) // of a run that has returned

	out     []workercore.Output
	notices []notice
	frames  [][]byte
	buf     []byte
}

func newLoop(w *Worker) *loop {
	l := &loop{
		w: w, cfg: &w.cfg, inbox: &inbox{},
		start: time.Now(), runs: map[runID]*run{}, over: make(chan struct{}),
	}
	l.handIn = l.inbox.put
	info := w.cfg.info()
	var sessions []*workercore.Session
	for i, endpoint := range w.cfg.Brokers {
		p := &peer{index: i, endpoint: endpoint, log: w.cfg.Logger.With().Str("broker", endpoint).Logger()}
		p.failed = func(number int, _ error) { l.turns.Sent(p.index, p.sent[number], false) }
		l.peers = append(l.peers, p)
		sessions = append(sessions, workercore.New(workercore.Config{
			Instance: random() | 1, Info: info, Services: w.cfg.Services, Concurrency: w.cfg.Concurrency,
			TaskTimeout: w.cfg.TaskTimeout, ReconnectMax: w.cfg.ReconnectMax, RetainBytes: w.cfg.RetainBytes,
		}, 0))
	}
	l.turns = workercore.NewTurns(w.cfg.Concurrency, sessions...)
	return l
}

// openHost makes the host, and how turns are made to look.
func (l *loop) openHost() error {
	arrivals := drive.NewArrivals(l.turn, func() { close(l.over) })
	host, tells, err := transport.For(l.cfg.Transport, arrivals.Arrive, l.cfg.Brokers...)
	if err != nil {
		return err
	}
	if l.host = host; tells {
		l.arrivals = arrivals
		l.inbox.wakes(arrivals.Arrive, true)
	} else {
		l.inbox.wakes(host.Wake, false)
	}
	return nil
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
	l.ctx = ctx
	stop := context.AfterFunc(ctx, l.inbox.ring)
	defer stop()
	if l.arrivals != nil {
		l.arrivals.Begin()
		<-l.over
		l.inbox.wakes(l.host.Wake, false)
	} else if err := drive.Loop(l.host, l.turn, l.inbox.sleep, waitMax); err != nil {
		l.fatal = err
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

// turn does one turn: it reads, decides, starts and sends.
func (l *loop) turn() (t drive.Turn) {
	for _, p := range l.peers {
		l.read(p)
		t.Again = t.Again || !p.empty
	}
	l.notices = l.inbox.take(l.notices)
	now := l.now()
	l.out = l.turns.Begin(now, random(), l.out)
	for _, p := range l.peers {
		l.take(p)
	}
	l.takeNotices()
	if l.ctx.Err() != nil && !l.draining {
		l.draining = true
		l.out = l.turns.Drain(l.cfg.DrainTimeout, l.out)
	}
	l.out = l.turns.End(l.out)
	l.apply(now)
	l.out = l.turns.Start(l.now(), l.out)
	l.apply(now)
	if now >= l.scanAt {
		l.scan(now)
	}
	for _, p := range l.peers {
		l.flush(p)
	}
	t.Now, t.Due = now, drive.Never
	t.Done = l.fatal != nil || l.turns.Over()
	t.Yield = l.fresh > 0 // a handler that is quick is over when the loop goes on
	l.fresh = 0
	if at, ok := l.turns.Deadline(); ok {
		t.Due = at
	}
	if len(l.runs) > 0 {
		t.Due = min(t.Due, l.scanAt)
	}
	return t
}

// read reads what waits at one socket, up to one batch.
func (l *loop) read(p *peer) {
	p.in, p.empty = p.in[:0], true
	if p.link == nil {
		return
	}
	in, err := p.link.Recv(p.in, batch)
	if err != nil && !errors.Is(err, link.ErrClosed) {
		p.log.Error().Err(err).Msg("reading failed")
	}
	p.in, p.empty = in, len(in) < batch
}

// take passes on what was read.
func (l *loop) take(p *peer) {
	for i := range p.in {
		switch p.in[i].Kind {
		case link.Connected:
			l.out = l.turns.Connected(p.index, l.out)
		case link.Data: // an end shows by silence, or not at all
			var err error
			if l.out, err = l.turns.Read(p.index, p.in[i].Frames, l.out); err != nil {
				p.log.Debug().Err(err).Str("state", "malformed").Msg("message of the broker discarded")
			}
		}
	}
	clear(p.in)
	if p.empty {
		l.turns.Emptied(p.index)
	}
}

// takeNotices passes on what handlers have said.
func (l *loop) takeNotices() {
	for i := range l.notices {
		n := &l.notices[i]
		r := n.run
		switch {
		case n.part:
			l.out = l.turns.Part(r.broker, r.id, n.result.Frames, l.out)
			continue
		case !n.returned:
			r.told.Store(false)
			l.out = l.turns.Progress(r.broker, r.id, l.out)
			continue
		}
		delete(l.runs, r.runID)
		l.w.counters.running.Store(uint64(len(l.runs)))
		r.ctx.end(context.Canceled)
		if n.panicked != "" {
			l.w.counters.panics.Add(1)
			about(l.peers[r.broker].log.Error(), r).Str("state", "panicked").Str("stack", string(n.stack)).Msg(n.panicked)
		}
		if n.result.Hold > 0 {
			l.held(r, n.result.Hold)
		} else {
			l.holding = false
		}
		l.out = l.turns.Finished(r.broker, r.id, n.result, l.out)
	}
	clear(l.notices)
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
