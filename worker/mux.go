package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/privateer-mq/privateer/protocol"
)

// mistakesMax bounds the registrations that a Mux remembers as wrong.
const mistakesMax = 16

// A Mux is a Handler that gives each request to the handler of its service. Its
// zero value has none. New takes the services to offer from it where
// Config.Services is empty.
//
// It does not panic over a wrong registration: Err tells of it, and New refuses
// the Mux with that error. Safe for concurrent use; services that are registered
// after New are not offered to brokers.
type Mux struct {
	mu       sync.RWMutex
	routes   map[string]Handler
	layers   []Handler // what Use has added, outermost first
	mistakes []error
}

// Route registers h for service, with middleware around it, the first outermost.
// A name that is empty or no service name, one that is registered already, a nil
// h and what Chain does not take are mistakes: see Err.
func (m *Mux) Route(service string, h Handler, mw ...Middleware) {
	wrong := errors.New("a Mux cannot be a handler of its own")
	if h != Handler(m) {
		h = Chain(h, mw...)
		wrong = mistake(h)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch why := protocol.ValidService([]byte(service)); {
	case why != "":
		wrong = errors.New(why)
	case m.routes[service] != nil:
		wrong = errors.New("it is registered already")
	case len(m.routes) == protocol.ServicesMax:
		wrong = fmt.Errorf("a worker offers at most %d services", protocol.ServicesMax)
	}
	if wrong != nil {
		m.wrong(fmt.Errorf("Mux.Route(%.100q): %w", service, wrong))
		return
	}
	if m.routes == nil {
		m.routes = map[string]Handler{}
	}
	m.routes[service] = h
}

// Use puts middleware around the whole Mux: around all its services, whenever
// they are registered, and around what it rejects. The first is outermost, and
// what earlier calls of Use have added is outside of that. A Limit or Rate among
// them counts the calls of all services together.
func (m *Mux) Use(mw ...Middleware) {
	w := &within{mux: m}
	h := Chain(w, mw...) // unlocked: it may look at the Mux
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := mistake(h); err != nil {
		m.wrong(fmt.Errorf("Mux.Use: %w", err))
		return
	}
	m.layers = append(m.layers, h)
	w.layer = len(m.layers)
}

// wrong takes note of a mistake.
func (m *Mux) wrong(err error) {
	if len(m.mistakes) < mistakesMax {
		m.mistakes = append(m.mistakes, err)
	}
}

// Err returns what was wrong with the calls of Route and Use so far, the first
// sixteen joined; nil if nothing was. What they asked for was not done.
func (m *Mux) Err() error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return errors.Join(m.mistakes...)
}

// Services implements Offering: it returns the names registered, sorted, and never nil.
// The caller owns the slice.
func (m *Mux) Services() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := make([]string, 0, len(m.routes))
	for name := range m.routes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Handle calls the handler of r's service. Where there is none, the outcome is
// FAILED with the code "NO_HANDLER".
func (m *Mux) Handle(ctx context.Context, r *Request) ([][]byte, error) { return m.serve(ctx, r, 0) }

// serve calls what is within the first layers.
func (m *Mux) serve(ctx context.Context, r *Request, layer int) ([][]byte, error) {
	m.mu.RLock()
	h := m.routes[r.Service]
	if layer < len(m.layers) {
		h = m.layers[layer]
	}
	m.mu.RUnlock()
	if h == nil {
		return nil, Reject("NO_HANDLER", fmt.Sprintf("this worker has no handler for %q", r.Service))
	}
	return h.Handle(ctx, r)
}

// within is what the first layers of a Mux are around.
type within struct {
	mux   *Mux
	layer int // how many
}

// Handle calls the next layer, or the handler.
func (w *within) Handle(ctx context.Context, r *Request) ([][]byte, error) {
	return w.mux.serve(ctx, r, w.layer)
}
