package worker

import (
	"context"
	"errors"
	"fmt"
)

// A Middleware makes of a Handler another one, which does something before,
// after or instead of it: Recover, Timeout, Log, Limit and Rate are some. It must
// not return nil. What it shares between calls must be safe for concurrent use.
type Middleware func(Handler) Handler

// Chain puts middleware around h; the first is outermost, so it is called first
// and sees what all the others have made of the outcome. Each is applied once.
//
// A nil h or middleware, and a middleware of this package made with a number out
// of its bounds, do not panic: New refuses the Handler, with an error that says
// which it is.
func Chain(h Handler, m ...Middleware) Handler {
	if err := mistake(h); err != nil {
		return misuse{err}
	}
	c := chained{Handler: h, inner: h}
	for i := len(m) - 1; i >= 0; i-- {
		if m[i] == nil {
			return misuse{fmt.Errorf("worker.Chain: middleware %d is nil", i+1)}
		}
		c.Handler = m[i](c.Handler)
		if err := mistake(c.Handler); err != nil {
			return misuse{fmt.Errorf("worker.Chain: middleware %d: %w", i+1, err)}
		}
	}
	return c
}

// chained is a Handler within others.
type chained struct {
	Handler         // the outermost
	inner   Handler // what they are around
}

func (c chained) Services() []string { return servicesOf(c.inner) }

// An Offering is a Handler that knows the services it is for, such as a *Mux, and what
// Chain, Wrap and the middleware of this package put around one. New takes them from it
// where Config.Services is empty. nil is: not known.
type Offering interface {
	Handler
	Services() []string
}

// Wrap makes a Handler of f, which goes around h: what a Middleware of your own should
// return, because it offers the services that h offers, and New finds what is wrong
// with h. A nil h or f is refused by New.
func Wrap(h Handler, f FramesFunc) Handler {
	if err := mistake(h); err != nil {
		return misuse{err}
	}
	if f == nil {
		return misuse{errNilHandler}
	}
	return wrapped{FramesFunc: f, inner: h}
}

// wrapped is what Wrap returns.
type wrapped struct {
	FramesFunc
	inner Handler
}

func (w wrapped) Services() []string { return servicesOf(w.inner) }

// servicesOf are the services that h knows it is for; nil if it does not know.
func servicesOf(h Handler) []string {
	if o, ok := h.(Offering); ok {
		return o.Services()
	}
	return nil
}

// A misuse stands where a Handler cannot be, until New finds it.
type misuse struct{ err error }

func (m misuse) Handle(context.Context, *Request) ([][]byte, error) { return nil, m.err }

// misused is a Middleware that was made with something wrong.
func misused(format string, args ...any) Middleware {
	return func(Handler) Handler { return misuse{fmt.Errorf(format, args...)} }
}

var errNilHandler = errors.New("handler is nil")

// mistake says why h cannot handle anything; nil if it can.
func mistake(h Handler) error {
	missing := false
	switch h := h.(type) {
	case nil:
		missing = true
	case HandlerFunc:
		missing = h == nil
	case FramesFunc:
		missing = h == nil
	case *Mux:
		if h != nil {
			return h.Err()
		}
		missing = true
	case chained:
		return mistake(h.inner) // a Mux may have got something wrong since
	case wrapped:
		return mistake(h.inner)
	case misuse:
		return h.err
	}
	if missing {
		return errNilHandler
	}
	return nil
}

// prepare checks h, and fills cfg's Services from what it offers.
func prepare(cfg *Config, h Handler) error {
	if err := mistake(h); err != nil {
		return fmt.Errorf("worker.New: %w", err)
	}
	if len(cfg.Services) > 0 {
		return nil
	}
	offered := servicesOf(h)
	if offered != nil && len(offered) == 0 {
		return errors.New("worker.New: the Mux has no service; register one with Mux.Route")
	}
	cfg.Services = offered
	return nil
}

// plain reports whether h is a function, and what goes around it is of this package: who
// names no service for it means the default.
func plain(h Handler) bool {
	switch h := h.(type) {
	case HandlerFunc, FramesFunc:
		return true
	case chained:
		return plain(h.inner)
	case wrapped:
		return plain(h.inner)
	}
	return false
}
