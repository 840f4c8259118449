package simtest

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/privateer-mq/privateer/internal/sim"
	"github.com/privateer-mq/privateer/protocol"
	"github.com/privateer-mq/privateer/worker"
)

// A Config says which handler is played, what it is asked, and what must be
// true in the end.
type Config struct {
	// Handler does the requests. Required.
	Handler worker.Handler
	// Requests says what is asked as number i, from 0 to 39: a seed asks the
	// first 9 to 40 of them. It is called once for each, before the first seed.
	// Default: the service "default" with the body "request i".
	Requests func(i int) Request
	// Check is called at the end of each seed, when nothing runs any more, with
	// what became of each request, in their order. It compares that with what
	// the handler has left behind, and says what is wrong: best with
	// Outcome.Errorf. Required.
	Check func(history []Outcome) error
	// Reset empties the store that the handler works on. It is called before
	// each seed. Default: nothing. Ids differ from seed to seed.
	Reset func()
	// Seeds is how many seeds are played. Default 100.
	Seeds int
	// Seed is the first of them; the others follow it. 0, the default, draws
	// one, and logs it.
	Seed uint64
}

// A Request is what a client asks.
type Request struct {
	// Service is the name of the service. Default: "default".
	Service string
	// Body is the request's single frame, unless Frames is set.
	Body []byte
	// Frames are the request's frames, where there is not just one. At most 1 MiB
	// together. They must not be changed.
	Frames [][]byte
	// AtMostOnce: it is never started a second time, whatever is lost.
	AtMostOnce bool
}

const seedsDefault = 100

var (
	errNoHandler = errors.New("Config.Handler is nil")
	errNoCheck   = errors.New("Config.Check is nil: nothing would be checked")
)

// asks returns what is asked, and the error that names the field of c that is
// out of bounds.
func (c *Config) asks() ([]sim.Ask, error) {
	switch {
	case c.Handler == nil:
		return nil, errNoHandler
	case c.Check == nil:
		return nil, errNoCheck
	case c.Seeds < 0:
		return nil, fmt.Errorf("Config.Seeds is %d; it must not be negative", c.Seeds)
	}
	requests := c.Requests
	if requests == nil {
		requests = func(i int) Request { return Request{Body: fmt.Appendf(nil, "request %d", i)} }
	}
	asks := make([]sim.Ask, sim.AskMax)
	for i := range asks {
		r := requests(i)
		a := sim.Ask{Service: cmp.Or(r.Service, "default"), Body: r.Frames, AtMostOnce: r.AtMostOnce}
		if a.Body == nil {
			a.Body = [][]byte{r.Body}
		}
		if why := mistake(&a); why != "" {
			return nil, fmt.Errorf("Config.Requests(%d): %s", i, why)
		}
		asks[i] = a
	}
	return asks, nil
}

// mistake says why no client would send a; "" if it would.
func mistake(a *sim.Ask) string {
	n := 0
	for _, f := range a.Body {
		n += len(f)
	}
	switch {
	case n > sim.AskBytesMax:
		return fmt.Sprintf("a body of %d bytes is over the limit of %d", n, sim.AskBytesMax)
	case len(a.Body) > protocol.FramesMax:
		return fmt.Sprintf("%d frames are over the limit of %d", len(a.Body), protocol.FramesMax)
	}
	return protocol.ValidService([]byte(a.Service))
}
