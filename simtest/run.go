package simtest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/direct"
	"github.com/privateer-mq/privateer/internal/sim"
	"github.com/privateer-mq/privateer/internal/workercore"
)

// Run plays cfg's handler seed by seed, and ends the test as failed with the
// first seed after which Check finds something wrong, or anything else has
// failed t. It says which seed that is, how to play it again, and what became of
// the request concerned: every run, at which worker, and how it ended.
//
// It blocks until all seeds are played. A field of cfg that is out of bounds ends
// the test at once.
func Run(t testing.TB, cfg Config) {
	t.Helper()
	asks, err := cfg.asks()
	if err != nil {
		t.Fatalf("simtest: %v", err)
		return
	}
	seeds, first := cmp.Or(cfg.Seeds, seedsDefault), cfg.Seed
	if first == 0 {
		first = 1 + rand.Uint64N(1<<40)
	}
	t.Logf("simtest: %d seeds from %d", seeds, first)
	p := &player{cfg: &cfg, asks: asks}
	failed := t.Failed()
	for i := range seeds {
		seed := first + uint64(i)
		why := p.play(seed)
		if why == "" && t.Failed() && !failed {
			why = "the test has been failed meanwhile"
		}
		if why != "" {
			t.Fatalf("simtest: seed %d: %s\nagain: go test -run '^%s$', with Seed: %d and Seeds: 1 in simtest.Config", seed, why, t.Name(), seed)
			return
		}
	}
}

// A player plays seeds.
type player struct {
	cfg  *Config
	asks []sim.Ask
}

// play plays one seed, and says what was wrong; "" if nothing was.
func (p *player) play(seed uint64) string {
	r := p.simulate(seed, false)
	if r.Err != nil {
		return p.blame(&r)
	}
	history := make([]Outcome, len(r.Stories))
	for i := range history {
		history[i] = newOutcome(i, &r.Stories[i])
	}
	err := p.cfg.Check(history)
	if err == nil {
		return ""
	}
	return err.Error() + "\n" + about(err, history)
}

func (p *player) simulate(seed uint64, trace bool) sim.Result {
	if p.cfg.Reset != nil {
		p.cfg.Reset()
	}
	return sim.RunWith(sim.Options{Seed: seed, Trace: trace, Handle: p.handle, Ask: func(i int) sim.Ask { return p.asks[i] }})
}

func (p *player) handle(h *sim.Handling) workercore.Result {
	return direct.Call(p.cfg.Handler, h.Run, time.Now().Add(h.Left), h.Over)
}

// blame says which promise of Privateer was broken, and plays the seed again for
// the trace.
func (p *player) blame(r *sim.Result) string {
	const lines = 50
	again := p.simulate(r.Seed, true)
	var b strings.Builder
	fmt.Fprintf(&b, "Privateer itself has broken a promise. That is not the handler's fault; please report it, with what follows.\n%v\n", r.Err)
	if again.Hash != r.Hash {
		b.WriteString("(played again, the seed went another way: does the handler use the clock or chance?)\n")
	}
	b.WriteString(strings.Join(again.Trace[max(0, len(again.Trace)-lines):], "\n"))
	return b.String()
}

// about is the story of the request that err is about; if it does not say, of
// those that were run more than once.
func about(err error, history []Outcome) string {
	var one *outcomeError
	if errors.As(err, &one) {
		return one.outcome.String()
	}
	const most = 5
	var list []string
	for i := range history {
		if o := &history[i]; o.Runs > 1 {
			list = append(list, o.String())
		}
	}
	if len(list) == 0 {
		return "no request was run more than once"
	}
	if more := len(list) - most; more > 0 {
		list = append(list[:most], fmt.Sprintf("… and %d more", more))
	}
	return "the requests that were run more than once:\n" + strings.Join(list, "\n")
}
