package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/clientcore"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// A wire is a client, a broker and a worker without a network between them: what
// one says is encoded, and read by the other's parser. Nothing may be refused
// there, nor be over what the broker has announced.
type wire struct {
	t        *testing.T
	now      time.Duration
	cfg      core.Config
	core     *core.Core
	session  *workercore.Session
	calls    *clientcore.Machine
	link     clientcore.LinkID
	seq      uint64 // keys of calls
	queue    []func()
	slow     bool // what the worker says does not arrive until release
	held     []func()
	handle   func(x *workercore.Run)
	outcomes map[protocol.ID]*clientcore.Outcome
	parts    map[protocol.ID]int
	stopped  map[protocol.ID]workercore.Cause
	crossed  map[protocol.Direction]map[protocol.Command]int
	list     int // the longest
	told     int // calls of the core
}

func newWire(t *testing.T, crossed map[protocol.Direction]map[protocol.Command]int, limit int64, worker workercore.Config) *wire {
	w := &wire{t: t, crossed: crossed, now: time.Second, outcomes: map[protocol.ID]*clientcore.Outcome{}, parts: map[protocol.ID]int{},
		stopped: map[protocol.ID]workercore.Cause{}}
	w.cfg = core.Config{Heartbeat: time.Minute, Liveness: 100, MaxAttempts: 3, MaxQueue: 10_000, MaxQueueBytes: 1 << 30,
		MaxMessage: limit, MaxPeers: 10, MaxServices: 300, MaxIDs: 50_000, MaxDead: 20, MaxDeadBytes: 64 << 20, DefaultDeadline: time.Hour, DefaultService: "default",
		ReplayWindow: time.Hour, ReplayBytes: 1 << 30, RecoveryWindow: time.Second, ReconnectMax: 10 * time.Minute, Retention: 100 * 24 * time.Hour}
	w.start(limit)
	w.newClient()
	worker.Instance, worker.RetainBytes = 1, 1<<30
	w.session = workercore.New(worker, w.now)
	w.turn(0)
	w.connected()
	return w
}

// start starts a broker, perhaps another one, with that limit.
func (w *wire) start(limit int64) {
	w.cfg.Epoch++
	w.cfg.MaxMessage = limit
	w.core = core.New(w.cfg, w.now)
}

func (w *wire) newClient() {
	w.calls = clientcore.New(clientcore.Config{Face: clientcore.Dealer, Brokers: 1, Instance: 1<<64 - 1, CallsMax: 10_000})
}

func (w *wire) connected() {
	w.fromCalls(w.calls.Connected(w.link, w.calls.Turn(w.now, nil)))
	w.run()
}

// restart is another broker in the place of this one, with another limit.
func (w *wire) restart(limit int64) {
	w.start(limit)
	w.fromCalls(w.calls.Disconnected(w.link, w.calls.Turn(w.now, nil)))
	w.fromSession(w.session.Receive(w.now, &protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonUnknown}, nil))
	w.run()
	w.connected()
	w.turn(2 * time.Second) // calls that were cut off ask again
}

func (w *wire) ask(id byte, n int, spec clientcore.Call) {
	w.seq++
	spec.Key, spec.ID, spec.Retries = w.seq, idOf(id, n), 3
	if spec.Service == "" {
		spec.Service = "s"
	}
	if spec.Timeout == 0 {
		spec.Timeout, spec.Deadline = time.Hour, w.now+3*time.Hour
	}
	w.fromCalls(w.calls.Start(spec, w.calls.Turn(w.now, nil)))
	w.run()
}

func idOf(kind byte, n int) protocol.ID { return protocol.ID{kind, byte(n >> 8), byte(n)} }

// turn lets time pass, and everybody do what is due.
func (w *wire) turn(d time.Duration) {
	w.now += d
	w.fromSession(w.session.Turn(w.now, 0, nil))
	w.session.Emptied(w.now)
	w.fromSession(w.session.Tick(w.now, nil))
	w.fromCalls(w.calls.End(true, w.calls.Turn(w.now, nil)))
	w.fromCore(w.core.Tick(w.now, nil))
	w.run()
}

// run delivers until nothing is under way.
func (w *wire) run() {
	for len(w.queue) > 0 {
		do := w.queue[0]
		w.queue = w.queue[1:]
		do()
		for {
			if _, ok := w.session.Waiting(); !ok {
				break
			}
			w.fromSession(w.session.StartNext(w.now, nil))
		}
		w.fromCalls(w.calls.End(true, w.calls.Turn(w.now, nil))) // CREDIT
	}
}

func (w *wire) release() {
	w.queue, w.held, w.slow = append(w.queue, w.held...), nil, false
	w.run()
}

// cross encodes m and lets its reader's parser read it.
func (w *wire) cross(d protocol.Direction, m *protocol.Message) *protocol.Message {
	frames, _ := protocol.AppendFrames(nil, nil, d, m)
	for i := range frames {
		frames[i] = slices.Clone(frames[i]) // the broker's memory is used again
	}
	read, size := &protocol.Message{}, uint64(0)
	if err := protocol.Parse(d, frames, read); err != nil {
		w.t.Fatalf("%v %v is refused: %v", d, m.Command, err)
	}
	for _, f := range read.Body {
		size += uint64(len(f))
	}
	if size > uint64(w.cfg.MaxMessage) {
		w.t.Errorf("%v %v has a body of %d bytes, over the limit of %d", d, m.Command, size, w.cfg.MaxMessage)
	}
	if w.crossed[d] == nil {
		w.crossed[d] = map[protocol.Command]int{}
	}
	w.crossed[d][m.Command]++
	w.list = max(w.list, len(read.Entries), len(read.Acks))
	return read
}

func (w *wire) fromCore(out []core.Output) {
	for i := range out {
		if out[i].Kind != core.Send {
			continue
		}
		var do func()
		if out[i].Side == core.Front {
			m, link := w.cross(protocol.FrontOut, &out[i].Msg), w.link
			do = func() { w.fromCalls(w.calls.Receive(link, m, w.calls.Turn(w.now, nil))) }
		} else {
			m := w.cross(protocol.BackOut, &out[i].Msg)
			do = func() { w.fromSession(w.session.Receive(w.now, m, nil)) }
		}
		w.queue = append(w.queue, do)
	}
	if w.told++; w.told < 100 || w.told%1000 == 0 { // a look is dear where much is remembered
		if err := w.core.Check(); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *wire) fromSession(out []workercore.Output) {
	for _, o := range out {
		switch o.Kind {
		case workercore.Open:
			w.fromSession(w.session.Opened(w.now, nil))
		case workercore.Send:
			if !w.session.Stamp(w.now, o.Message) {
				continue
			}
			m := w.cross(protocol.BackIn, o.Message)
			w.session.Sent(w.now, o.Message, true)
			to := &w.queue
			if w.slow {
				to = &w.held
			}
			*to = append(*to, func() {
				w.fromCore(w.core.Worker(w.now, core.Peer{ID: []byte("w"), Port: protocol.BackPort}, m, nil))
			})
		case workercore.Start:
			w.handle(o.Run)
		case workercore.CancelRun:
			w.stopped[o.Fence.ID] = o.Cause
		case workercore.Report:
			if o.Event == workercore.LinkReset || o.Event == workercore.Reconnecting || o.Event == workercore.Refused {
				w.t.Logf("worker: %v %s", o.Event, o.Text)
			}
		}
	}
}

func (w *wire) fromCalls(out []clientcore.Output) {
	for i := 0; i < len(out); i++ { // it grows
		switch o := out[i]; o.Kind {
		case clientcore.Open:
			w.link = o.Link
		case clientcore.Send:
			if !w.calls.Wanted(o) {
				continue
			}
			m := w.cross(protocol.FrontIn, o.Message)
			out = w.calls.Sent(o, true, out)
			w.queue = append(w.queue, func() {
				w.fromCore(w.core.Client(w.now, core.Peer{ID: []byte("c"), Envelope: [][]byte{{}}}, m, nil))
			})
		case clientcore.Part:
			w.parts[o.ID]++
			out = append(out, w.calls.Consumed(o.Key, nil)...)
		case clientcore.Complete:
			if w.outcomes[o.ID] != nil {
				w.t.Errorf("two outcomes of %v", o.ID)
			}
			outcome := *o.Outcome // it is used again
			w.outcomes[o.ID] = &outcome
		}
	}
}

// ends lets the handler of a request return.
func (w *wire) ends(id protocol.ID, r workercore.Result) {
	w.fromSession(w.session.Finished(w.now, id, r, nil))
	w.run()
}

func (w *wire) want(id protocol.ID, code protocol.Code, texts ...string) {
	w.t.Helper()
	o := w.outcomes[id]
	if o == nil || o.Code != code {
		w.t.Fatalf("%v: the outcome is %+v, want %v", id, o, code)
	}
	for _, text := range texts {
		if got := o.Text + o.Meta.Get(protocol.MetaErrorText); !strings.Contains(got, text) {
			w.t.Errorf("%v: %q does not say %q", id, got, text)
		}
	}
	delete(w.outcomes, id)
}
