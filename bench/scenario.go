package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A scenario is one load, and the brokers that carry it in turn. What its name
// begins with says who the clients and workers are: see sides.
type scenario struct {
	name            string
	peers           []string // the first is the one that the others are compared with
	clients, window int
	workers, credit int
	body            int
	flags           []string // for privateer
	deadline        time.Duration
	measured        time.Duration
	beside          map[string]*background // what a peer carries besides
	priority        int
	goal            func(*result) []verdict
	quick           bool
	drawn           bool // in the picture
	alike           bool // each client and each worker has one connection; a run in which they have not is refused
}

// sides are what a scenario's clients and workers are, by the first word of its name.
var sides = map[string]string{
	"go":      "clients and workers in Go",
	"brokers": "clients and workers in Go",
	"c":       "peers in C",
	"lib":     "our library in Go beside a program in C",
}

// sides tells who the clients and workers are.
func (s *scenario) sides() string {
	first, _, _ := strings.Cut(s.name, "-")
	return sides[first]
}

// load is what the scenario asks of a broker: clients × requests that each keeps
// open → workers × credit.
func (s *scenario) load() string {
	text := fmt.Sprintf("%d×%d", s.clients, s.window)
	if s.workers > 0 {
		text += fmt.Sprintf(" → %d×%d", s.workers, s.credit)
	}
	return text
}

// chosen are the scenarios that words name: each word is a name, or what the
// names of several begin with.
func chosen(words string) (all []*scenario, err error) {
	used := map[string]bool{}
	list := strings.Split(words, ",")
	for i := range scenarios {
		s := &scenarios[i]
		for _, word := range list {
			if s.name == word || strings.HasPrefix(s.name, word+"-") {
				used[word] = true
				if !slices.Contains(all, s) {
					all = append(all, s)
				}
			}
		}
	}
	for _, word := range list {
		if !used[word] {
			return nil, fmt.Errorf("no scenario is called %q: -list has their names", word)
		}
	}
	return all, nil
}

// scenarioNamed returns nil if there is none.
func scenarioNamed(name string) *scenario {
	for i := range scenarios {
		if scenarios[i].name == name {
			return &scenarios[i]
		}
	}
	return nil
}

// A background is load beside the measured one: a deep queue, or workers that
// have nothing to do.
type background struct {
	clients     *clientsConfig // its Endpoint is filled in
	settle      time.Duration  // until it is deep
	idleWorkers int
}

// A verdict is one goal, and whether it was met.
type verdict struct {
	Goal   string
	Is     float64
	Most   bool // true: at most; false: at least
	Bound  float64
	Passed bool
}

func atMost(goal string, is, bound float64) verdict {
	return verdict{goal, is, true, bound, is <= bound}
}

func atLeast(goal string, is, bound float64) verdict {
	return verdict{goal, is, false, bound, is >= bound}
}

// crowdMax is how many sockets one child opens: each needs two descriptors.
const crowdMax = 4000

// measure runs one broker once under the scenario's load.
func (s *scenario) measure(name string) (r run, err error) {
	p := peers[name]
	at, err := freePorts()
	if err != nil {
		return r, err
	}
	broker, err := p.start(at.Front, at.Back, s.flags)
	if err != nil {
		return r, err
	}
	defer broker.stop()
	if err := listening(at.Front, startMax); err != nil {
		return r, fmt.Errorf("%w: %s", err, broker.errs.String())
	}
	var workers *process
	if !p.noWorkers {
		back := at.Back
		if p.onePort {
			back = at.Front
		}
		if workers, err = s.startWorkers(p, back, s.workers, "echo"); err != nil {
			return r, err
		}
		defer workers.stop()
	}
	if b := s.beside[name]; b != nil {
		others, err := s.startBackground(p, b, at)
		for _, child := range others {
			defer child.stop()
		}
		if err != nil {
			return r, err
		}
	}
	clients, err := child(cmp.Or(p.clients, "clients"), clientsConfig{Endpoint: at.Front, Service: "echo", Dialect: p.client, Sockets: s.clients,
		Window: s.window, Body: s.body, Deadline: cmp.Or(s.deadline, 30*time.Second), Warmup: warmup, Measured: s.measured, Priority: s.priority, REQ: p.req})
	if err != nil {
		return r, err
	}
	defer clients.stop()
	return s.watch(broker, clients, workers, at)
}

func (s *scenario) startWorkers(p *peer, backend string, count int, service string) (*process, error) {
	workers, err := child(cmp.Or(p.workers, "workers"), workersConfig{Endpoint: backend, Service: service, Dialect: p.worker,
		Sockets: count, Credit: s.credit, For: childLife})
	if err != nil {
		return nil, err
	}
	if err := workers.await("ready", startMax+time.Duration(count)*5*time.Millisecond); err != nil {
		workers.stop()
		return nil, err
	}
	time.Sleep(p.connectedThrough)
	return workers, nil
}

func (s *scenario) startBackground(p *peer, b *background, at ports) (all []*process, err error) {
	for left := b.idleWorkers; left > 0; left -= crowdMax {
		idle, err := s.startWorkers(p, at.Back, min(left, crowdMax), "idle")
		if err != nil {
			return all, err
		}
		all = append(all, idle)
	}
	if b.clients != nil {
		c := *b.clients
		c.Endpoint, c.Dialect = at.Front, p.client
		c.Warmup, c.Measured = 0, childLife
		deep, err := child("clients", c)
		if err != nil {
			return all, err
		}
		all = append(all, deep)
	}
	time.Sleep(b.settle)
	return all, nil
}

// watch reads the clocks of all processes when the measured time begins and
// when it ends.
func (s *scenario) watch(broker, clients, workers *process, at ports) (r run, err error) {
	all := []*process{broker, clients}
	if workers != nil {
		all = append(all, workers)
	}
	if err := clients.await("begin", startMax); err != nil {
		return r, err
	}
	before := readClock()
	for _, p := range all {
		p.before = p.used()
	}
	if s.alike { // only there: with thousands of connections it would cost what is measured
		if r.Connections, err = established(at); err != nil {
			return r, err
		}
	}
	if err := clients.await("end", s.measured+startMax); err != nil {
		return r, err
	}
	spent, sum := make([]float64, 3), 0.0
	for i, p := range all {
		spent[i] = float64(p.used() - p.before)
		sum += spent[i]
	}
	r.Others = readClock().others(before, sum)
	r.PeakRSS = broker.status("VmHWM")
	if err := clients.result(startMax, &r.load); err != nil {
		return r, err
	}
	if err := s.refuse(&r); err != nil {
		return r, err
	}
	r.Throughput = float64(r.Done) / r.Seconds
	each := 1e6 / float64(r.Done)
	r.CPU, r.ClientCPU, r.WorkerCPU = spent[0]*each, spent[1]*each, spent[2]*each
	return r, nil
}

// refuse says why a run does not count.
func (s *scenario) refuse(r *run) error {
	want := s.clients + s.workers
	switch {
	case r.Failed > 0:
		return fmt.Errorf("%d requests failed: %s", r.Failed, r.Error)
	case r.Lost > 0:
		return fmt.Errorf("%d requests were never answered", r.Lost)
	case r.Done == 0:
		return errors.New("no request was answered in the measured time")
	case s.alike && r.Connections != want:
		return fmt.Errorf("%d connections at the broker; %d clients and workers have %d", r.Connections, want, want)
	}
	return nil
}
