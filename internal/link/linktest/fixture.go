package linktest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// Patience is how long a test waits for what must happen. Only failing tests
// take that long.
const Patience = 20 * time.Second

// Long is for a Wait that must end early: when it does not, the test fails.
const Long = Patience + time.Second

// An End is a host with one link, and what was read from it.
type End struct {
	Host link.Host
	Link link.Link
	Read []link.Message
	t    *testing.T
}

// NewEnd is an end of a link that is open already.
func NewEnd(t *testing.T, h link.Host, l link.Link) *End { return &End{Host: h, Link: l, t: t} }

// NewHost returns a host for links of a role, which is closed when the test ends.
func NewHost(t *testing.T, k Kind, role link.Role) link.Host {
	t.Helper()
	made := k.Connect
	if role == link.Router {
		made = k.Bind
	}
	h, err := made()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close host: %v", err)
		}
	})
	return h
}

// Open opens a link on a host of its own. Unless the test says otherwise, its
// ReconnectMin is 10 ms.
func Open(t *testing.T, k Kind, endpoint string, o link.Options) *End {
	t.Helper()
	o.Endpoints = []string{endpoint}
	if o.ReconnectMin == 0 {
		o.ReconnectMin = 10 * time.Millisecond
	}
	h := NewHost(t, k, o.Role)
	l, err := h.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return NewEnd(t, h, l)
}

// Pair opens a router and a dealer and waits until they are connected.
func Pair(t *testing.T, k Kind, forRouter, forDealer link.Options) (router, dealer *End) {
	t.Helper()
	forRouter.Role, forRouter.Monitor = link.Router, true
	forDealer.Monitor = true
	if forDealer.Role == link.Router {
		forDealer.Role = link.Dealer
	}
	router = Open(t, k, k.Free(t), forRouter)
	dealer = Open(t, k, router.Link.Addr(), forDealer)
	Until(t, "both sides report Connected", func() bool {
		return router.Count(link.Connected) == 1 && dealer.Count(link.Connected) == 1
	}, router, dealer)
	return router, dealer
}

// Until reads from the ends in turn until done.
func Until(t *testing.T, what string, done func() bool, ends ...*End) {
	t.Helper()
	give := time.Now().Add(Patience)
	for !done() {
		if time.Now().After(give) {
			t.Fatalf("after %v still not true: %s", Patience, what)
		}
		if len(ends) == 0 {
			<-time.After(time.Millisecond) // others are at work
		}
		for _, e := range ends {
			if err := e.Host.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			e.Recv(100)
		}
	}
}

// Recv reads up to limit messages and returns how many there were.
func (e *End) Recv(limit int) int {
	e.t.Helper()
	before := len(e.Read)
	var err error
	if e.Read, err = e.Link.Recv(e.Read, limit); err != nil {
		e.t.Fatal(err)
	}
	return len(e.Read) - before
}

// Data returns the messages read that are no events.
func (e *End) Data() []link.Message {
	var data []link.Message
	for _, m := range e.Read {
		if m.Kind == link.Data {
			data = append(data, m)
		}
	}
	return data
}

// Count counts the messages read of a kind.
func (e *End) Count(kind link.Kind) int {
	n := 0
	for _, m := range e.Read {
		if m.Kind == kind {
			n++
		}
	}
	return n
}

// Send sends, and fails the test if that fails.
func (e *End) Send(peer string, frames ...string) {
	e.t.Helper()
	if err := e.TrySend(peer, frames...); err != nil {
		e.t.Fatalf("send %q: %v", frames, err)
	}
}

// TrySend sends to a peer; "" stands for none.
func (e *End) TrySend(peer string, frames ...string) error {
	raw := make([][]byte, len(frames))
	for i, f := range frames {
		raw[i] = []byte(f)
	}
	if peer == "" {
		return e.Link.Send(nil, raw...)
	}
	return e.Link.Send([]byte(peer), raw...)
}

// text joins a message's frames, for comparing.
func text(m link.Message) string {
	return fmt.Sprintf("%s%q", m.Peer, m.Frames)
}

// Expect compares a message with its text: peer["frame" "frame"].
func Expect(t *testing.T, m link.Message, want string) {
	t.Helper()
	if got := text(m); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

// ExpectError fails the test unless err is want.
func ExpectError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
