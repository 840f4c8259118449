package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/internal/sim"
)

// A long is a batch that outlives its process: a file says how far it got.
type long struct {
	path        string
	seeds       int
	chunk       int // seeds between two notes in the file
	lines, stop int
	out         io.Writer
	state       state
}

// A state is what the file holds.
type state struct {
	Program string // hash of the program that plays: for another one a seed means something else
	Base    uint64
	Sum     sim.Tally
	Failed  []failed
}

type failed struct {
	Seed uint64
	Text string
}

// run plays from where the file says, or from base. It ends when all seeds have
// been played, when so many have failed, or at an interrupt.
func (l *long) run(base uint64) (ok bool, err error) {
	if err := l.load(base); err != nil {
		return false, err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	s := &l.state
	p := newProgress(l.out, s.Sum.Seeds, l.seeds, 30*time.Second)
	for s.Sum.Seeds < l.seeds && p.failed < l.stop && ctx.Err() == nil {
		b := sim.RunBatch(s.Base+uint64(s.Sum.Seeds), min(l.chunk, l.seeds-s.Sum.Seeds), p.add)
		s.Sum.Add(&b.Tally)
		for i := range b.Failed {
			if len(s.Failed) < toldMax {
				b.Failed[i].Tell(l.out, l.lines)
			}
			s.Failed = append(s.Failed, failed{b.Failed[i].Seed, b.Failed[i].Err.Error()})
		}
		if err := l.save(); err != nil {
			return false, err
		}
	}
	l.report(p)
	return s.Sum.OK(10 * sim.SituationsNeed), nil
}

func (l *long) report(p *progress) {
	s := &l.state
	s.Sum.Report(l.out)
	for _, f := range s.Failed {
		fmt.Fprintf(l.out, "seed %d: %s\nagain: make sim SEED=%d SEEDS=1\n", f.Seed, f.Text, f.Seed)
	}
	switch {
	case s.Sum.Seeds < l.seeds:
		fmt.Fprintf(l.out, "sim: base seed %d, %s; the next call goes on with seed %d\n", s.Base, p.speed(), s.Base+uint64(s.Sum.Seeds))
	default:
		fmt.Fprintf(l.out, "sim: base seed %d, all %d were played; remove %s to begin anew\n", s.Base, s.Sum.Seeds, l.path)
	}
	fmt.Fprintln(l.out, s.Sum.Line())
}

// load reads the file. What another program has played is of no use.
func (l *long) load(base uint64) error {
	program, err := ownHash()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &l.state); err != nil {
			return fmt.Errorf("%s: %w; remove it to begin anew", l.path, err)
		}
	}
	switch s := &l.state; {
	case s.Program == program:
		fmt.Fprintf(l.out, "sim: going on after %d of %d seeds from %d\n", s.Sum.Seeds, l.seeds, s.Base)
		return nil
	case s.Program != "":
		fmt.Fprintf(l.out, "sim: the sources have changed since %d seeds from %d were played: beginning anew\n", s.Sum.Seeds, s.Base)
	}
	l.state = state{Program: program, Base: base}
	fmt.Fprintf(l.out, "sim: %d seeds from %d\n", l.seeds, base)
	return nil
}

// save writes the file anew, whole or not at all.
func (l *long) save() error {
	text, err := json.MarshalIndent(&l.state, "", "\t")
	if err != nil {
		return err
	}
	next := l.path + ".next"
	if err := os.WriteFile(next, append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(next, l.path)
}

// ownHash is that of the running program.
func ownHash() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
