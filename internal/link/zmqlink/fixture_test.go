package zmqlink_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
)

// patience is how long a test waits for what must happen. Only failing tests
// take that long.
const patience = 20 * time.Second

// long is for a Wait that must end early: when it does not, the test fails.
const long = patience + time.Second

// A kind is one implementation, or one scheme of it, that the contract holds for.
type kind struct {
	name string
	free func(t *testing.T) string // an endpoint that can be bound
	open func(h link.Host)         // before its links are opened; may be nil
}

var memoryNames atomic.Uint64

var kinds = []kind{
	{"memory", func(*testing.T) string { return fmt.Sprintf("mem://contract-%d", memoryNames.Add(1)) }, nil},
	{"tcp", func(*testing.T) string { return "tcp://127.0.0.1:0" }, nil},
	{"tcp, plain calls", func(*testing.T) string { return "tcp://127.0.0.1:0" }, zmqlink.Plain},
	{"ipc", func(t *testing.T) string { return "ipc://" + filepath.Join(t.TempDir(), "s") }, nil},
}

// prepare is the open of the kind that is being tried.
var prepare func(link.Host)

// contract runs one case over every kind of link.
func contract(t *testing.T, run func(t *testing.T, k kind)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			prepare = k.open
			defer func() { prepare = nil }()
			run(t, k)
		})
	}
}

// end is a host with one link, and what was read from it.
type end struct {
	t    *testing.T
	host link.Host
	link link.Link
	read []link.Message
}

func newHost(t *testing.T, endpoint string) link.Host {
	t.Helper()
	h, err := zmqlink.For(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(h)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Errorf("close host: %v", err)
		}
	})
	return h
}

func open(t *testing.T, endpoint string, o link.Options) *end {
	t.Helper()
	o.Endpoints = []string{endpoint}
	if o.ReconnectMin == 0 {
		o.ReconnectMin = 10 * time.Millisecond
	}
	h := newHost(t, endpoint)
	l, err := h.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &end{t: t, host: h, link: l}
}

// pair opens a router and a dealer and waits until they are connected.
func pair(t *testing.T, k kind, forRouter, forDealer link.Options) (router, dealer *end) {
	t.Helper()
	forRouter.Role, forRouter.Monitor = link.Router, true
	forDealer.Monitor = true
	if forDealer.Role == link.Router {
		forDealer.Role = link.Dealer
	}
	router = open(t, k.free(t), forRouter)
	dealer = open(t, router.link.Addr(), forDealer)
	until(t, "both sides report Connected", func() bool {
		return router.count(link.Connected) == 1 && dealer.count(link.Connected) == 1
	}, router, dealer)
	return router, dealer
}

// until reads from the ends in turn until done.
func until(t *testing.T, what string, done func() bool, ends ...*end) {
	t.Helper()
	give := time.Now().Add(patience)
	for !done() {
		if time.Now().After(give) {
			t.Fatalf("after %v still not true: %s", patience, what)
		}
		for _, e := range ends {
			if err := e.host.Wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
			e.recv(100)
		}
	}
}

// recv reads up to limit messages and returns how many there were.
func (e *end) recv(limit int) int {
	e.t.Helper()
	before := len(e.read)
	var err error
	if e.read, err = e.link.Recv(e.read, limit); err != nil {
		e.t.Fatal(err)
	}
	return len(e.read) - before
}

// data returns the messages read that are no events.
func (e *end) data() []link.Message {
	var data []link.Message
	for _, m := range e.read {
		if m.Kind == link.Data {
			data = append(data, m)
		}
	}
	return data
}

func (e *end) count(kind link.Kind) int {
	n := 0
	for _, m := range e.read {
		if m.Kind == kind {
			n++
		}
	}
	return n
}

func (e *end) send(peer string, frames ...string) {
	e.t.Helper()
	if err := e.trySend(peer, frames...); err != nil {
		e.t.Fatalf("send %q: %v", frames, err)
	}
}

func (e *end) trySend(peer string, frames ...string) error {
	raw := make([][]byte, len(frames))
	for i, f := range frames {
		raw[i] = []byte(f)
	}
	if peer == "" {
		return e.link.Send(nil, raw...)
	}
	return e.link.Send([]byte(peer), raw...)
}

// text joins a message's frames, for comparing.
func text(m link.Message) string {
	return fmt.Sprintf("%s%q", m.Peer, m.Frames)
}

func expect(t *testing.T, m link.Message, want string) {
	t.Helper()
	if got := text(m); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func expectError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}
