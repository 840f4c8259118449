package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

func TestMux(t *testing.T) {
	var m worker.Mux
	var notes []string
	call := func(service, want string) {
		t.Helper()
		notes = nil
		frames, err := m.Handle(t.Context(), request(service))
		if err != nil || string(frames[0]) != want {
			t.Errorf("%s: %q, %v", service, frames, err)
		}
	}
	_, err := m.Handle(t.Context(), request("b"))
	rejected(t, err, "NO_HANDLER", `no handler for "b"`)

	m.Route("b", constant("B"), noting("own", &notes))
	m.Use(noting("first", &notes), noting("second", &notes))
	m.Route("a", constant("A"))
	m.Use(noting("third", &notes))
	call("a", "A")
	if got := fmt.Sprint(notes); got != "[first second third /third /second /first]" {
		t.Errorf("order %v", got)
	}
	call("b", "B")
	if got := fmt.Sprint(notes); got != "[first second third own /own /third /second /first]" {
		t.Errorf("order %v", got)
	}
	notes = nil
	_, err = m.Handle(t.Context(), request("c"))
	if rejected(t, err, "NO_HANDLER", `"c"`); len(notes) != 6 {
		t.Errorf("middleware did not see it: %v", notes)
	}
	if got := fmt.Sprint(m.Services()); got != "[a b]" || m.Err() != nil {
		t.Errorf("services %v, %v", got, m.Err())
	}
}

// A wrong registration is an error of Err and New, and the rest still works.
func TestMuxMistakes(t *testing.T) {
	var m worker.Mux
	ok := constant("x")
	m.Route("twice", ok)
	m.Route("twice", constant("y"))
	m.Route("", ok)
	m.Route("a\nb", ok)
	m.Route("nil", nil)
	m.Route("chain", ok, worker.Timeout(0))
	m.Route("self", &m)
	m.Use(worker.Limit(0))
	_, err := worker.New(worker.Config{}, worker.Chain(&m, worker.Limit(1)))
	if err == nil {
		t.Fatal("New takes it")
	}
	for _, want := range []string{
		`Mux.Route("twice"): it is registered already`, `Mux.Route(""): service name is empty`, "has a control character",
		`Mux.Route("nil"): handler is nil`, `Mux.Route("chain"): worker.Chain: middleware 1: worker.Timeout: 0s`,
		`Mux.Route("self"): a Mux cannot be`, "Mux.Use: worker.Chain: middleware 1: worker.Limit: 0",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if frames, err := m.Handle(t.Context(), request("twice")); err != nil || string(frames[0]) != "x" || len(m.Services()) != 1 {
		t.Errorf("%q, %v, %q", frames, err, m.Services())
	}
	for range 100 {
		m.Route("", ok)
	}
	if n := strings.Count(m.Err().Error(), "\n") + 1; n != 16 {
		t.Errorf("%d mistakes are kept, want 16", n)
	}
}

func TestMuxBounds(t *testing.T) {
	var empty, full worker.Mux
	if _, err := worker.New(worker.Config{}, &empty); err == nil || !strings.Contains(err.Error(), "no service") {
		t.Errorf("an empty Mux: %v", err)
	}
	if _, err := worker.New(worker.Config{Services: []string{"s"}}, &empty); err != nil {
		t.Errorf("with services of its own: %v", err)
	}
	for i := range protocol.ServicesMax {
		full.Route(fmt.Sprint(i), constant("x"))
	}
	if _, err := worker.New(worker.Config{}, &full); err != nil {
		t.Errorf("%d services: %v", protocol.ServicesMax, err)
	}
	if full.Route("more", constant("x")); full.Err() == nil {
		t.Error("one more is taken")
	}
}

// A worker offers what its Mux has, also from within a chain.
func TestMuxServices(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newFakeBroker(t, "muxservices")
		var m worker.Mux
		m.Route("two", constant("2"))
		m.Route("one", worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
			if worker.RequestFrom(ctx) != r {
				return nil, worker.Reject("CONTEXT", "")
			}
			return []byte("1"), nil
		}))
		w := start(t, worker.Config{Brokers: []string{"mem://muxservices"}, Logger: logTo(t)}, worker.Chain(&m, worker.Limit(1)))
		ready := b.welcome()
		if got := fmt.Sprintf("%s", ready.Services); got != "[one two]" {
			t.Errorf("offers %s", got)
		}
		b.hand(&protocol.Message{ID: protocol.ID{1}, Number: 1, RemainingMS: 1000, Service: []byte("one")})
		if got := b.reply(1, protocol.OK).Body; string(got[0]) != "1" {
			t.Errorf("reply %q", got)
		}
		w.leave(b)
	})
}

func TestMuxAtOnce(t *testing.T) {
	var m worker.Mux
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() { m.Route(fmt.Sprint(i), constant("x")) })
		all.Go(func() { m.Use(worker.Limit(20)) })
		all.Go(func() { _, _ = m.Handle(t.Context(), request("1")) })
		all.Go(func() { _, _ = m.Services(), m.Err() })
	}
	all.Wait()
	if _, err := m.Handle(t.Context(), request("7")); err != nil || len(m.Services()) != 20 {
		t.Errorf("%v, %d services", err, len(m.Services()))
	}
}
