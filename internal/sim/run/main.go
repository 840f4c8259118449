// Command run plays seeds of the simulator and says which promise broke.
// Usage: go run ./internal/sim/run [-seeds N] [-seed BASE] [-trace] [-state FILE]
package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/privateer-mq/privateer/internal/sim"
)

const (
	toldMax = 5    // failed seeds that are told with their last events
	chunk   = 1000 // seeds between two notes of how far it got
)

func main() {
	seeds := flag.Int("seeds", sim.SituationsNeed, "how many seeds to play")
	base := flag.Uint64("seed", 0, "the first seed; 0 draws one")
	lines := flag.Int("lines", 50, "how many lines of its trace a failure prints")
	whole := flag.Bool("trace", false, "print the whole trace of the first seed, and play no other")
	state := flag.String("state", "", "a file in which to note how far it got: the next call goes on from there")
	stop := flag.Int("stop", 20, "with -state: after how many failed seeds of a call it ends")
	flag.Parse()
	debug.SetGCPercent(800) // a seed is a few megabytes, and little of it lives long
	need := sim.SituationsNeed
	if *base == 0 {
		*base = rand.Uint64N(1 << 40)
		need *= 10 // chance decides what occurs
	}
	ok := false
	switch {
	case *whole:
		ok = trace(*base)
	case *state != "":
		l := long{path: *state, seeds: *seeds, chunk: chunk, lines: *lines, stop: *stop, out: os.Stdout}
		var err error
		if ok, err = l.run(*base); err != nil {
			fmt.Fprintln(os.Stderr, "sim:", err)
		}
	default:
		ok = batch(*base, *seeds, *lines, need)
	}
	if !ok {
		os.Exit(1)
	}
}

func trace(seed uint64) bool {
	r := sim.Run(seed, true)
	fmt.Println(strings.Join(r.Trace, "\n"))
	if r.Err != nil {
		fmt.Println(r.Err)
	}
	return r.Err == nil
}

func batch(base uint64, seeds, lines, need int) bool {
	fmt.Printf("sim: base seed %d\n", base)
	p := newProgress(os.Stdout, 0, seeds, 5*time.Second)
	b := sim.RunBatch(base, seeds, p.add)
	b.Report(os.Stdout)
	for i := range b.Failed {
		if i == toldMax {
			fmt.Printf("… and %d more\n", len(b.Failed)-i)
			break
		}
		b.Failed[i].Tell(os.Stdout, lines)
	}
	fmt.Printf("sim: base seed %d, %s\n", base, p.speed())
	fmt.Println(b.Line())
	return b.OK(need)
}

// A progress says now and then how far it is, and at once when a seed has failed.
type progress struct {
	out                         io.Writer
	before, played, failed, all int
	every                       time.Duration
	began, said                 time.Time
}

// newProgress begins after before of all seeds.
func newProgress(out io.Writer, before, all int, every time.Duration) *progress {
	now := time.Now()
	return &progress{out: out, before: before, all: all, every: every, began: now, said: now}
}

func (p *progress) add(r *sim.Result) {
	p.played++
	if r.Err != nil {
		p.failed++
		fmt.Fprintf(p.out, "sim: seed %d: %v\n", r.Seed, r.Err)
	}
	if time.Since(p.said) >= p.every {
		p.said = time.Now()
		left := time.Duration(p.all-p.before-p.played) * time.Since(p.began) / time.Duration(p.played)
		fmt.Fprintf(p.out, "sim: %d of %d seeds, %s, %v to go\n", p.before+p.played, p.all, p.speed(), left.Round(time.Second))
	}
}

func (p *progress) speed() string {
	took := time.Since(p.began)
	return fmt.Sprintf("%.0f seeds a second, %d failed", float64(p.played)/max(took.Seconds(), 0.001), p.failed)
}
