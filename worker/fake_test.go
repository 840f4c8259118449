package worker_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// A fakeBroker is a Router that speaks PRV1 with one worker at a time, as a
// faithful broker would, unless the test says otherwise. It belongs to the
// test's goroutine.
type fakeBroker struct {
	t     *testing.T
	host  link.Host
	link  link.Link
	start time.Time
	epoch uint64

	peer    []byte
	number  uint32 // of the worker's link
	in, out uint32 // messages received and sent on it
	queue   []*protocol.Message
}

func newFakeBroker(t *testing.T, name string) *fakeBroker {
	t.Helper()
	b := &fakeBroker{t: t, host: link.NewMemory(), start: time.Now(), epoch: 1}
	b.bind(name)
	t.Cleanup(func() { b.host.Close() })
	return b
}

func (b *fakeBroker) bind(name string) {
	b.t.Helper()
	l, err := b.host.Open(link.Options{Role: link.Router, Endpoints: []string{"mem://" + name}, Handover: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.link = l
}

func (b *fakeBroker) now() time.Duration { return time.Since(b.start) }

// started is when a broker hears of a handler that was started at 0.
const started = 20 * time.Millisecond

// next returns the next message of the worker; nil when within passes without.
func (b *fakeBroker) next(within time.Duration) *protocol.Message {
	b.t.Helper()
	end := time.Now().Add(within)
	for len(b.queue) == 0 {
		in, err := b.link.Recv(nil, 100)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, raw := range in {
			m := new(protocol.Message)
			if err := protocol.Parse(protocol.BackIn, raw.Frames, m); err != nil {
				b.t.Fatalf("worker sent what is no message: %v", err)
			}
			b.take(raw.Peer, m)
		}
		if len(b.queue) > 0 {
			break
		}
		if !time.Now().Before(end) {
			return nil
		}
		if err := b.host.Wait(time.Until(end)); err != nil {
			b.t.Fatal(err)
		}
	}
	m := b.queue[0]
	b.queue = b.queue[1:]
	return m
}

func (b *fakeBroker) take(peer []byte, m *protocol.Message) {
	if m.Command == protocol.Ready {
		b.peer, b.number, b.in, b.out = peer, m.Link, 0, 0
	}
	if m.Command != protocol.Disconnect && string(peer) == string(b.peer) {
		if m.Link != b.number || m.Seq != b.in+1 {
			b.t.Errorf("%v: %s has number %d on link %d, want %d on %d", b.now(), m.Command, m.Seq, m.Link, b.in+1, b.number)
		}
		b.in = m.Seq
	}
	b.queue = append(b.queue, m)
}

// expect returns the next message with command cmd. Heartbeats and progress
// that come before it are passed over, anything else is an error.
func (b *fakeBroker) expect(cmd protocol.Command) *protocol.Message {
	b.t.Helper()
	for {
		m := b.next(time.Minute)
		switch {
		case m == nil:
			b.t.Fatalf("%v: no %s within a minute", b.now(), cmd)
		case m.Command == cmd:
			return m
		case m.Command != protocol.Heartbeat && m.Command != protocol.Progress:
			b.t.Fatalf("%v: %s, want %s", b.now(), m.Command, cmd)
		}
	}
}

func (b *fakeBroker) send(m *protocol.Message) {
	b.t.Helper()
	m.Link, m.Ack, m.SentMS = b.number, b.in, uint32(b.now()/time.Millisecond)
	if m.Command != protocol.Disconnect {
		b.out++
		m.Seq = b.out
	}
	if m.Command != protocol.Cancel {
		m.Epoch = b.epoch
	}
	frames, _ := protocol.AppendFrames(nil, nil, protocol.BackOut, m)
	if err := b.link.Send(b.peer, frames...); err != nil {
		b.t.Fatalf("%v: sending %s: %v", b.now(), m.Command, err)
	}
}

// welcome takes a READY and answers it; then the worker's heartbeat is read.
func (b *fakeBroker) welcome() *protocol.Message {
	b.t.Helper()
	m := b.expect(protocol.Ready)
	b.send(&protocol.Message{
		Command:   protocol.Welcome,
		Intervals: &protocol.Intervals{HeartbeatMS: 1000, Liveness: 3, ReconnectMaxMS: 2000, RetentionMS: 30_000},
		Limits:    &protocol.Limits{MessageBytesMax: 1000, FramesMax: 16},
	})
	if h := b.expect(protocol.Heartbeat); h.Ack != 1 {
		b.t.Errorf("%v: first heartbeat acknowledges %d, want WELCOME, 1", b.now(), h.Ack)
	}
	return m
}

// request hands request id over.
func (b *fakeBroker) request(id byte, body string) {
	b.t.Helper()
	b.hand(&protocol.Message{ID: protocol.ID{id}, Number: 1, RemainingMS: 30_000, Body: [][]byte{[]byte(body)}})
}

func (b *fakeBroker) hand(m *protocol.Message) {
	b.t.Helper()
	m.Command = protocol.Request
	if m.Service == nil {
		m.Service = []byte("default")
	}
	b.send(m)
}

func (b *fakeBroker) ack(m *protocol.Message) {
	b.t.Helper()
	b.send(&protocol.Message{Command: protocol.Ack, Acks: []protocol.Acked{{ID: m.ID, Attempt: m.Number, Epoch: m.Epoch, RemainingMS: 30_000}}})
}

// reply waits for the reply to id, checks its code, and acknowledges it.
func (b *fakeBroker) reply(id byte, code protocol.Code) *protocol.Message {
	b.t.Helper()
	m := b.expect(protocol.Reply)
	if m.ID != (protocol.ID{id}) || m.Code != code {
		b.t.Fatalf("%v: reply to %s is %s (%q), want %s", b.now(), m.ID, m.Code, m.Meta.Get(protocol.MetaErrorText), code)
	}
	b.ack(m)
	return m
}

// A running is a worker at work in the test's bubble.
type running struct {
	*worker.Worker
	t    *testing.T
	stop context.CancelFunc
	done chan error
}

func start(t *testing.T, cfg worker.Config, h worker.Handler) *running {
	t.Helper()
	w, err := worker.New(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r := &running{Worker: w, t: t, stop: stop, done: make(chan error, 1)}
	go func() { r.done <- w.Run(ctx) }()
	return r
}

// leave stops the worker, plays the broker's part in that, and checks that it
// ends without an error.
func (r *running) leave(b *fakeBroker) {
	r.t.Helper()
	r.stop()
	m := b.expect(protocol.Disconnect)
	if m.Code != protocol.ReasonShutdown || len(m.Entries) != 0 {
		r.t.Errorf("DISCONNECT %s with %d entries", protocol.CodeName(protocol.Disconnect, m.Code), len(m.Entries))
	}
	b.send(&protocol.Message{Command: protocol.Disconnect, Code: protocol.ReasonShutdown})
	if err := <-r.done; err != nil {
		r.t.Errorf("Run returned %v", err)
	}
}

// end stops the worker without the broker's part in it, and returns how that
// went.
func (r *running) end() error {
	r.stop()
	return <-r.done
}

// bubble runs f in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func logTo(t *testing.T) zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.DebugLevel)
}
