// Command run plays seeds of the simulator and says which promise broke.
// Usage: go run ./internal/sim/run [-seeds N] [-seed BASE] [-trace]
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/privateer-mq/privateer/internal/sim"
)

func main() {
	seeds := flag.Int("seeds", sim.SituationsNeed, "how many seeds to play")
	base := flag.Uint64("seed", 0, "the first seed; 0 draws one")
	lines := flag.Int("lines", 50, "how many lines of its trace a failure prints")
	whole := flag.Bool("trace", false, "print the whole trace of the first seed, and play no other")
	flag.Parse()
	if *base == 0 {
		*base = rand.Uint64N(1 << 40)
	}
	if *whole {
		r := sim.Run(*base, true)
		fmt.Println(strings.Join(r.Trace, "\n"))
		if r.Err != nil {
			fmt.Println(r.Err)
			os.Exit(1)
		}
		return
	}
	fmt.Printf("sim: base seed %d\n", *base)
	b := sim.RunBatch(*base, *seeds, func(done int) { fmt.Printf("sim: %d of %d seeds\n", done, *seeds) })
	b.Report(os.Stdout)
	for i := range b.Failed {
		if i == 5 {
			fmt.Printf("… and %d more\n", len(b.Failed)-i)
			break
		}
		b.Failed[i].Tell(os.Stdout, *lines)
	}
	fmt.Println(b.Line())
	if !b.OK() {
		os.Exit(1)
	}
}
