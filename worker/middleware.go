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
	case misuse:
		return h.err
	}
	if missing {
		return errNilHandler
	}
	return nil
}

// prepare checks h, and fills cfg's Services from the Mux that it is.
func prepare(cfg *Config, h Handler) error {
	if err := mistake(h); err != nil {
		return fmt.Errorf("worker.New: %w", err)
	}
	for {
		c, ok := h.(chained)
		if !ok {
			break
		}
		h = c.inner
	}
	m, ok := h.(*Mux)
	if !ok || len(cfg.Services) > 0 {
		return nil
	}
	if cfg.Services = m.Services(); len(cfg.Services) == 0 {
		return errors.New("worker.New: the Mux has no service; register one with Mux.Route")
	}
	return nil
}
