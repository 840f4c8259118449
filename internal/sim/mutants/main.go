// Command mutants breaks the code on purpose, in a scratch copy, one fault at a
// time, and sees whether the simulator or a test finds it. A check that finds
// none of them proves nothing.
//
// Usage: go run ./internal/sim/mutants [-ci] [-find] [NAME …]
//
// Each fault is a file testdata/NAME.txtar: a sentence that says what is wrong,
// "seed: N" (the simulator finds it within 150 seeds from there) or "test: PACKAGE",
// and the sections file, old and new. The old text must be there exactly once.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// seedsEach is how many seeds each fault is given.
const seedsEach = 150

// copied is what the simulator and the tests of the state machines need.
var copied = []string{"go.mod", "go.sum", "protocol", "internal/core", "internal/workercore", "internal/clientcore", "internal/flat", "internal/drive", "internal/link",
	"internal/sim", "docs"}

type mutant struct {
	name, why, file, before, after string
	seed                           uint64
	pkg                            string // of the test that finds it; "": the simulator does
}

func main() {
	ci := flag.Bool("ci", false, "two of them, unless the sources have changed since all were found")
	find := flag.Bool("find", false, "look for the first seed that finds each, up to 4000")
	flag.Parse()
	if err := run(*ci, *find, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ci, find bool, names []string) error {
	all, err := load(names)
	if err != nil {
		return err
	}
	sum, err := digest()
	if err != nil {
		return err
	}
	record := filepath.Join("internal", "sim", "mutants", "found.txt")
	if known, _ := os.ReadFile(record); ci && strings.TrimSpace(string(known)) == sum {
		day := time.Now().YearDay() * 2
		all = []mutant{all[day%len(all)], all[(day+1)%len(all)]}
		fmt.Println("mutants: the sources are those in which all were found; playing two of them")
	}
	scratch, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := exec.Command("cp", append(append([]string{"-r", "--parents"}, copied...), scratch)...).Run(); err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	if out, ok := play(scratch, &mutant{seed: 1}, seedsEach); !ok {
		return fmt.Errorf("the unbroken code fails:\n%s", out)
	}
	missed := 0
	for i := range all {
		m := &all[i]
		found, err := m.try(scratch, find)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if !found {
			missed++
		}
	}
	fmt.Printf("mutants: %d of %d found\n", len(all)-missed, len(all))
	switch {
	case missed > 0:
		return errors.New("some were not found")
	case len(names) == 0 && !ci:
		return os.WriteFile(record, []byte(sum+"\n"), 0o644)
	}
	return nil
}

// try breaks the scratch copy, plays, and mends it.
func (m *mutant) try(scratch string, find bool) (found bool, err error) {
	path := filepath.Join(scratch, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	if n := strings.Count(string(source), m.before); n != 1 {
		return false, fmt.Errorf("the old text is there %d times in %s, want once", n, m.file)
	}
	broken := strings.Replace(string(source), m.before, m.after, 1)
	if err := os.WriteFile(path, []byte(broken), 0o644); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.WriteFile(path, source, 0o644)) }()
	if out, err := command(scratch, "go", "vet", "./"+filepath.Dir(m.file)).CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not compile: %s", out)
	}
	seeds := seedsEach
	if find && m.pkg == "" {
		m.seed, seeds = 1, 4000
	}
	out, ok := play(scratch, m, seeds)
	by := "no seed, no test"
	switch {
	case !ok && m.pkg != "":
		by = "go test ./" + m.pkg
	case !ok:
		by = firstFailure(out)
	}
	fmt.Printf("%-28s %s\n", m.name, by)
	return !ok, nil
}

// play runs the simulator, or the test that is to find m. It reports whether
// all was well.
func play(dir string, m *mutant, seeds int) (out string, ok bool) {
	c := command(dir, "go", "run", "./internal/sim/run", "-lines", "1", "-seeds", strconv.Itoa(seeds), "-seed", strconv.FormatUint(m.seed, 10))
	if m.pkg != "" {
		c = command(dir, "go", "test", "-failfast", "./"+m.pkg)
	}
	text, err := c.CombinedOutput()
	return string(text), err == nil
}

func command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	return c
}

// firstFailure is the line that names the first seed, or a crash.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "seed ") && strings.Contains(line, ": at ") || strings.HasPrefix(line, "panic: ") {
			return strings.TrimSpace(line)
		}
	}
	return "it failed"
}
