package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
)

// A config is what the flags of run say.
type config struct {
	duration         time.Duration
	seed             uint64
	scenario         string
	clients, workers int
	rate             int
	kills            int
	dir              string
	logLevel         string
}

func (c *config) parse(args []string) ([]scenario, error) {
	f := flag.NewFlagSet("chaos run", flag.ContinueOnError)
	f.DurationVar(&c.duration, "duration", 15*time.Second, "how long faults happen")
	f.Uint64Var(&c.seed, "seed", 0, "of the schedule of faults; 0: draw one")
	f.StringVar(&c.scenario, "scenario", "ci", "name of a scenario, all, or ci")
	f.IntVar(&c.clients, "clients", 4, "client processes; every other one is a pipeline")
	f.IntVar(&c.workers, "workers", 4, "worker processes")
	f.IntVar(&c.rate, "rate", 160, "requests a second, all clients together")
	f.IntVar(&c.kills, "kills", 0, "end after that many kills instead of the duration")
	f.StringVar(&c.dir, "dir", "", "folder for histories, logs and result.json; default: a temporary one, removed when the run is valid")
	f.StringVar(&c.logLevel, "log", "debug", "level of the processes' logs")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("what is %q? Flags begin with -", f.Arg(0))
	}
	if c.duration <= 0 || c.clients < 1 || c.workers < 1 || c.rate < 1 || c.kills < 0 {
		return nil, errors.New("-duration, -clients, -workers and -rate must be positive, -kills not negative")
	}
	list, err := find(c.scenario)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if c.kills > 0 && !list[i].kills() {
			return nil, fmt.Errorf("-kills: nothing is killed in %s", list[i].name)
		}
	}
	for c.seed == 0 {
		c.seed = rand.Uint64()
	}
	return list, nil
}

// kills reports whether the scenario kills anything.
func (s *scenario) kills() bool {
	for _, m := range s.moves {
		if m.kind == history.Kill {
			return true
		}
	}
	return false
}

// runCommand plays scenarios, one after the other.
func runCommand(ctx context.Context, args []string) error {
	var cfg config
	list, err := cfg.parse(args)
	if err != nil {
		return err
	}
	allValid := true
	for i := range list {
		valid, err := playOne(ctx, &list[i], cfg, len(list) > 1)
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		allValid = allValid && valid
	}
	if !allValid {
		return errInvalid
	}
	return nil
}

// playOne plays a scenario in a folder of its own, and judges it.
func playOne(ctx context.Context, s *scenario, cfg config, several bool) (valid bool, err error) {
	dir, temporary := cfg.dir, cfg.dir == ""
	switch {
	case temporary:
		dir, err = os.MkdirTemp("", "chaos-"+s.name+"-")
	case several:
		dir = filepath.Join(dir, s.name)
		fallthrough
	default:
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return false, err
	}
	if old, _ := filepath.Glob(filepath.Join(dir, "*.jsonl")); len(old) > 0 {
		return false, fmt.Errorf("%s holds the histories of another run", dir)
	}
	fmt.Fprintf(os.Stderr, "chaos: playing %s with -seed %d\n", s.name, cfg.seed)
	if err := play(ctx, s, cfg, dir); err != nil {
		if ctx.Err() != nil && temporary { // it was interrupted: nobody wants to know
			return false, errors.Join(err, os.RemoveAll(dir))
		}
		fmt.Fprintln(os.Stderr, "  the run was broken off:", err)
	}
	r, err := judge(dir)
	if err != nil {
		return false, err
	}
	report(r)
	if !temporary || !r.Valid {
		fmt.Fprintln(os.Stderr, "  histories and logs: "+dir)
		return r.Valid, nil
	}
	return true, os.RemoveAll(dir)
}

// A runner plays one scenario.
type runner struct {
	cfg      config
	scenario *scenario
	seed     uint64
	dir      string
	program  string
	logLevel string
	history  *history.Writer
	fail     context.CancelCauseFunc // breaks the run off

	broker           *slot
	endpoints        []string // flags that name the broker's
	workers, clients []*slot

	mu   sync.Mutex
	over bool
	live map[*process]struct{}
}

// play plays a scenario. Every process that it started is gone when it returns.
func play(ctx context.Context, s *scenario, cfg config, dir string) (err error) {
	r := &runner{cfg: cfg, scenario: s, seed: cfg.seed, dir: dir, logLevel: cfg.logLevel, live: map[*process]struct{}{}}
	if r.program, err = os.Executable(); err != nil {
		return err
	}
	if r.history, err = history.NewWriter(dir, "runner"); err != nil {
		return err
	}
	defer r.history.Close()
	ctx, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)
	setup := history.Parameters{Scenario: s.name, Seed: cfg.seed, Commit: commit,
		Race: raceDetector, Heartbeat: s.heartbeat, Liveness: liveness, Window: s.window}
	if s.attacked {
		setup.Within, setup.Met = attackedTime, attacksMet
		if !raceDetector {
			setup.MemoryMax = attackedMemory
		}
	}
	r.history.Add(history.Event{Kind: history.Setup, Setup: &setup})
	if err := r.furnish(); err != nil {
		return err
	}
	defer r.killAll()
	if err := r.phases(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

func (r *runner) phase(name string) {
	r.history.Add(history.Event{Kind: history.Phase, How: name})
}

const (
	idleTime  = 2 * time.Second        // for the measurements before and after
	firstTime = 500 * time.Millisecond // of load before the first fault
	quietTime = 2 * time.Second        // of load after the last fault
)

// phases leads through the run.
func (r *runner) phases(ctx context.Context) error {
	for _, s := range append(append([]*slot{r.broker}, r.workers...), r.clients...) {
		if err := s.launch(ctx); err != nil {
			return err
		}
	}
	if err := r.sayAll(ctx, sayWarm, probeTime); err != nil {
		return err
	}
	r.phase(history.PhaseIdleBefore)
	sleep(ctx, idleTime)

	r.phase(history.PhaseLoad)
	if err := r.sayAll(ctx, sayGo, startPatience); err != nil {
		return err
	}
	sleep(ctx, firstTime)
	harm := func() error { return r.strikeAll(ctx) }
	if r.scenario.attacked {
		harm = func() error { return r.attack(ctx, func() error { return r.strikeAll(ctx) }) }
	}
	if err := harm(); err != nil {
		return err
	}
	r.phase(history.PhaseQuiet)
	sleep(ctx, quietTime)
	if err := r.sayAll(ctx, sayStop, generousTime+probeTime); err != nil {
		return err
	}
	if err := r.sayAll(ctx, sayProbe, 2*probeTime); err != nil {
		return err
	}
	r.phase(history.PhaseIdleAfter)
	sleep(ctx, idleTime)
	r.phase(history.PhaseEnd)
	return r.endAll(ctx)
}

// sayAll tells all clients the same.
func (r *runner) sayAll(ctx context.Context, line string, patience time.Duration) error {
	return together(r.clients, func(s *slot) error { return s.current.say(ctx, line, patience) })
}

// strikeAll does what the plan says, each strike at its time, and returns when
// all is mended and the duration is over.
func (r *runner) strikeAll(ctx context.Context) error {
	slots := map[string]*slot{r.broker.name: r.broker}
	for _, s := range append(append([]*slot(nil), r.workers...), r.clients...) {
		slots[s.name] = s
	}
	strikes := r.scenario.plan(r.seed, r.cfg.duration, r.cfg.kills, len(r.workers), len(r.clients))
	if err := storePlan(r.dir, strikes); err != nil {
		return err
	}
	began := time.Now()
	err := together(strikes, func(k strike) error {
		sleep(ctx, k.at-time.Since(began))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return slots[k.slot].strike(ctx, k)
	})
	if r.cfg.kills == 0 {
		sleep(ctx, r.cfg.duration-time.Since(began))
	}
	return err
}

// endAll ends all processes in good order: who asks, who answers, the broker.
func (r *runner) endAll(ctx context.Context) error {
	for _, s := range r.clients {
		s.current.mayEnd()
		if _, err := fmt.Fprintln(s.current.stdin, sayEnd); err != nil {
			return err
		}
	}
	end := func(s *slot) error { return s.current.await(ctx, endPatience) }
	if err := together(r.clients, end); err != nil {
		return err
	}
	for _, list := range [][]*slot{r.workers, {r.broker}} {
		for _, s := range list {
			s.current.signal(syscall.SIGTERM)
		}
		if err := together(list, end); err != nil {
			return err
		}
	}
	return nil
}

// together calls f for all at once, and joins the errors.
func together[T any](list []T, f func(T) error) error {
	errs := make([]error, len(list))
	var wg sync.WaitGroup
	for i, v := range list {
		wg.Go(func() { errs[i] = f(v) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
