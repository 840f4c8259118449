package client

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/transport"
	"github.com/privateer-mq/privateer/protocol"
)

// A fake is a small broker: one goroutine, one Router, and a function that
// says what to do with each message.
type fake struct {
	t      *testing.T
	host   link.Host
	router link.Link
	epoch  uint64
	handle func(f *fake, q *asked)
	done   chan struct{}
	later  []delayed

	sync.Mutex
	stop bool
	seen []seen
}

// seen is what the fake was sent, for assertions.
type seen struct {
	at  time.Time
	msg protocol.Message
}

// asked is one message, and the way back to who sent it.
type asked struct {
	peer     []byte
	envelope [][]byte
	msg      protocol.Message
}

type delayed struct {
	at time.Time
	do func()
}

// startFake binds endpoint. handle may be nil: answer everything at once.
func startFake(t *testing.T, endpoint string, epoch uint64, handle func(*fake, *asked)) *fake {
	t.Helper()
	host, _, err := transport.For("", nil, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	router, err := host.Open(link.Options{Role: link.Router, Endpoints: []string{endpoint}, Monitor: true})
	if err != nil {
		t.Fatal(err)
	}
	if handle == nil {
		handle = (*fake).echo
	}
	f := &fake{t: t, host: host, router: router, epoch: epoch, handle: handle, done: make(chan struct{})}
	go f.run()
	t.Cleanup(f.kill)
	return f
}

func (f *fake) run() {
	defer close(f.done)
	for {
		wait := time.Hour
		for _, d := range f.later {
			wait = min(wait, time.Until(d.at))
		}
		if err := f.host.Wait(wait); err != nil {
			f.t.Error(err)
			return
		}
		f.Lock()
		stop := f.stop
		f.Unlock()
		if stop {
			f.host.Close()
			return
		}
		list, err := f.router.Recv(nil, 1000)
		if err != nil {
			f.t.Error(err)
			return
		}
		for _, m := range list {
			if m.Kind == link.Data {
				f.take(m)
			}
		}
		now := time.Now()
		for len(f.later) > 0 {
			i := slices.IndexFunc(f.later, func(d delayed) bool { return !d.at.After(now) })
			if i < 0 {
				break
			}
			d := f.later[i]
			f.later = slices.Delete(f.later, i, i+1)
			d.do()
		}
	}
}

func (f *fake) take(m link.Message) {
	envelope, content, ok := protocol.SplitEnvelope(m.Frames)
	if !ok {
		f.t.Errorf("message without a delimiter: %q", m.Frames)
		return
	}
	q := &asked{peer: m.Peer, envelope: envelope}
	if err := protocol.Parse(protocol.FrontIn, content, &q.msg); err != nil {
		f.t.Errorf("malformed message: %v", err)
		return
	}
	f.Lock()
	f.seen = append(f.seen, seen{time.Now(), q.msg})
	f.Unlock()
	f.handle(f, q)
}

// echo answers everything as a healthy broker with a fast worker does.
func (f *fake) echo(q *asked) {
	switch q.msg.Command {
	case protocol.Ping:
		f.pong(q)
	case protocol.Request:
		f.reply(q, protocol.OK, protocol.Ran, q.msg.Body...)
	case protocol.Cancel:
		f.reply(q, protocol.Cancelled, protocol.NotStarted)
	}
}

func (f *fake) pong(q *asked) {
	f.send(q, &protocol.Message{Command: protocol.Pong, ID: q.msg.ID, Epoch: f.epoch,
		Limits: &protocol.Limits{MessageBytesMax: 1 << 20, FramesMax: 1024}})
}

func (f *fake) accept(q *asked) {
	f.send(q, &protocol.Message{Command: protocol.Accepted, ID: q.msg.ID, Number: q.msg.Number, Epoch: f.epoch})
}

func (f *fake) reply(q *asked, code protocol.Code, c protocol.Certainty, body ...[]byte) {
	f.send(q, &protocol.Message{Command: protocol.Reply, Code: code, Flags: protocol.Flags(0).WithCertainty(c),
		ID: q.msg.ID, Number: q.msg.Number, Epoch: f.epoch, Attempt: 1, Body: body})
}

func (f *fake) send(q *asked, m *protocol.Message) {
	frames := append(slices.Clone(q.envelope), []byte{})
	frames, _ = protocol.AppendFrames(frames, nil, protocol.FrontOut, m)
	_ = f.router.Send(q.peer, frames...) // a client may be gone
}

func (f *fake) after(d time.Duration, do func()) {
	f.later = append(f.later, delayed{time.Now().Add(d), do})
}

// kill ends the fake: its connections break.
func (f *fake) kill() {
	f.Lock()
	f.stop = true
	f.Unlock()
	f.host.Wake()
	<-f.done
}

// messages returns what came with command c, so far.
func (f *fake) messages(c protocol.Command) (list []seen) {
	f.Lock()
	defer f.Unlock()
	for _, s := range f.seen {
		if s.msg.Command == c {
			list = append(list, s)
		}
	}
	return list
}
