package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
	"github.com/privateer-mq/privateer/integration_test/chaos/proxy"
)

// A strike is one fault of the plan.
type strike struct {
	at    time.Duration // since the first moment of the plan
	kind  string
	slot  string        // broker, worker-1, client-2
	lasts time.Duration // of a kill or drain: until the next process is started

	side  proxy.Side    // stall: that the bytes go to; half-open: that is closed
	delay time.Duration // of a slow link
	every time.Duration // between resets
	reset bool          // cut: with a reset
}

// String is the strike as a line of the plan.
func (s strike) String() string {
	text := fmt.Sprintf("%8.3fs %-9s %-9s %v", s.at.Seconds(), s.kind, s.slot, s.lasts)
	switch s.kind {
	case history.Cut:
		text += fmt.Sprintf(" reset %t", s.reset)
	case history.HalfOpen:
		text += fmt.Sprintf(" closed at the %v", s.side)
	case history.Stall:
		text += fmt.Sprintf(" to the %v", s.side)
	case history.Slow:
		text += fmt.Sprintf(" by %v", s.delay)
	case history.RST:
		text += fmt.Sprintf(" every %v", s.every)
	}
	return text
}

// storePlan writes the plan beside the histories.
func storePlan(dir string, strikes []strike) error {
	var text strings.Builder
	for _, k := range strikes {
		fmt.Fprintln(&text, k)
	}
	return os.WriteFile(filepath.Join(dir, "plan.txt"), []byte(text.String()), 0o644)
}

// restartTime is what the plan leaves a new process before the next strike at
// its slot.
const restartTime = 300 * time.Millisecond

// plan draws the strikes of a scenario, in the order of their time: the same
// ones for the same seed. They end after duration, or, if kills is not 0, with
// that many kills.
func (s *scenario) plan(seed uint64, duration time.Duration, kills, workers, clients int) (strikes []strike) {
	if len(s.moves) == 0 {
		return nil
	}
	name := fnv.New64a()
	name.Write([]byte(s.name))
	random := rand.New(rand.NewPCG(seed, name.Sum64()))
	free := map[string]time.Duration{} // when a slot is free again
	at := time.Duration(0)
	for n, killed := 1, 0; ; n++ {
		at += between(random, s.pauseMin, s.pauseMax)
		m := s.draw(random)
		k := strike{kind: m.kind, slot: m.role, lasts: between(random, m.lastMin, m.lastMax).Round(time.Millisecond)}
		switch m.role {
		case "worker":
			k.slot = fmt.Sprintf("worker-%d", 1+random.IntN(workers))
		case "client":
			k.slot = fmt.Sprintf("client-%d", 1+random.IntN(clients))
		}
		k.side = proxy.Side(random.IntN(2))
		k.reset = random.IntN(2) == 0
		k.delay = between(random, 5*ms, 300*ms).Round(time.Millisecond)
		k.every = between(random, 5*ms, 60*ms).Round(time.Millisecond)
		at = max(at, free[k.slot])
		k.at = at.Round(time.Millisecond)
		if kills == 0 {
			if k.at >= duration {
				return strikes
			}
			k.lasts = min(k.lasts, duration-k.at)
		}
		free[k.slot] = at + k.lasts + restartTime
		strikes = append(strikes, k)
		if k.kind == history.Kill {
			if killed++; killed == kills {
				return strikes
			}
		}
		if s.group > 0 && n%s.group == 0 {
			at += s.calm
		}
	}
}

// draw chooses a move by weight.
func (s *scenario) draw(random *rand.Rand) move {
	sum := 0
	for _, m := range s.moves {
		sum += m.weight
	}
	n := random.IntN(sum)
	for _, m := range s.moves {
		if n -= m.weight; n < 0 {
			return m
		}
	}
	panic("unreachable")
}

func between(random *rand.Rand, least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	return least + time.Duration(random.Int64N(int64(most-least)))
}
