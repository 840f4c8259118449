package sim

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
)

// A few seeds with every run of the tests; make sim plays thousands.
const fewSeeds = 60

func TestSeeds(t *testing.T) {
	b := RunBatch(1, fewSeeds, nil)
	tell(t, &b)
	if b.Requests < fewSeeds*10 || b.Runs < fewSeeds*5 {
		t.Errorf("%d requests and %d runs in %d seeds: nothing happens", b.Requests, b.Runs, b.Seeds)
	}
	for p, n := range b.Checks {
		if n == 0 {
			t.Errorf("%s was never checked", promiseNames[p].word)
		}
	}
}

func tell(t *testing.T, b *Batch) {
	t.Helper()
	for i := range b.Failed {
		var s strings.Builder
		b.Failed[i].Tell(&s, tailLines)
		t.Error(s.String())
	}
}

// The same seed always goes the same way, whether it is written down or not.
func TestSameSeedSameWay(t *testing.T) {
	hashes := map[uint64]uint64{}
	for seed := uint64(1); seed <= 10; seed++ {
		a, b := Run(seed, false), Run(seed, true)
		if a.Hash != b.Hash || a.Steps != b.Steps {
			t.Errorf("seed %d: %x in %d steps, then %x in %d", seed, a.Hash, a.Steps, b.Hash, b.Steps)
		}
		if other, ok := hashes[a.Hash]; ok {
			t.Errorf("seeds %d and %d go the same way", seed, other)
		}
		hashes[a.Hash] = seed
	}
}

// Seeds that once broke a promise are played for ever.
func TestSeedsOfOldFaults(t *testing.T) {
	f, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		b := RunBatch(seed, 1, nil)
		tell(t, &b)
		n++
	}
	if n == 0 {
		t.Error("no seeds")
	}
}
