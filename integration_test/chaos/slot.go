package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
	"github.com/privateer-mq/privateer/integration_test/chaos/proxy"
)

const (
	// startPatience and endPatience bound the wait for a process to listen and
	// to end: longer than any drain.
	startPatience = 20 * time.Second
	endPatience   = 20 * time.Second

	// The drain time-outs are shorter than the longest handler, so that some
	// runs are handed back.
	workerDrain = 300 * time.Millisecond
	brokerDrain = 500 * time.Millisecond
)

// A slot is the place of one process after the other, and of its link.
type slot struct {
	runner *runner
	name   string
	args   func(number int) []string // of the number-th process here, from 1
	link   *proxy.Proxy              // nil: it connects to the broker directly

	mu      sync.Mutex // held while something is done to it
	number  int
	current *process
}

// launch starts the next process of the slot, and waits until it is ready.
func (s *slot) launch(ctx context.Context) error {
	s.number++
	p, err := s.runner.start(fmt.Sprintf("%s.%d", s.name, s.number), s.args(s.number)...)
	if err != nil {
		return err
	}
	s.current = p
	return p.listen(ctx, sayReady, startPatience)
}

// relaunch starts the process that follows one that was ended in the middle of
// the load.
func (s *slot) relaunch(ctx context.Context) error {
	if err := s.launch(ctx); err != nil {
		return err
	}
	if history.Role(s.name) == "client" {
		return s.current.say(ctx, sayGo, startPatience)
	}
	return nil
}

// strike does what the plan says, and mends it.
func (s *slot) strike(ctx context.Context, k strike) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, target := s.runner.history, s.current.name
	if s.link != nil && onLink(k.kind) {
		target = s.name
	}
	fault := history.Event{Kind: history.Fault, Fault: k.kind, Target: target}
	if k.kind == history.Slow {
		fault.Delay = int64(k.delay + k.delay/delayJitter)
	}
	h.Add(fault)
	switch k.kind {
	case history.Kill:
		return s.replace(ctx, syscall.SIGKILL, k.lasts)
	case history.Drain:
		return s.replace(ctx, syscall.SIGTERM, k.lasts)
	case history.Freeze:
		s.current.signal(syscall.SIGSTOP)
		sleep(ctx, k.lasts)
		s.current.signal(syscall.SIGCONT)
	default:
		s.harm(ctx, k)
	}
	h.Add(history.Event{Kind: history.FaultEnd, Fault: k.kind, Target: target})
	return nil
}

// replace ends the process, and starts the next one after a while.
func (s *slot) replace(ctx context.Context, order syscall.Signal, pause time.Duration) error {
	s.current.signal(order)
	if err := s.current.await(ctx, endPatience); err != nil {
		return err
	}
	sleep(ctx, pause)
	return s.relaunch(ctx)
}

// delayJitter is the part of a delay by which it varies.
const delayJitter = 4

func onLink(kind string) bool {
	switch kind {
	case history.Cut, history.HalfOpen, history.Stall, history.Slow, history.RST:
		return true
	}
	return false
}

// harm does something to the link for a while.
func (s *slot) harm(ctx context.Context, k strike) {
	defer s.link.Heal()
	switch k.kind {
	case history.Cut:
		s.link.Cut(k.reset)
	case history.HalfOpen:
		s.link.HalfOpen(k.side)
	case history.Stall:
		s.link.Stall(k.side)
	case history.Slow:
		s.link.Delay(k.delay, k.delay/delayJitter)
	case history.RST:
		for end := time.Now().Add(k.lasts); time.Now().Before(end) && ctx.Err() == nil; {
			s.link.Reset()
			sleep(ctx, k.every)
		}
		return
	}
	sleep(ctx, k.lasts)
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// furnish makes the slots, and the proxies that they need.
func (r *runner) furnish() error {
	front, back, err := freeAddresses()
	if err != nil {
		return err
	}
	sc := r.scenario
	r.endpoints = []string{"-front", "tcp://" + front, "-back", "tcp://" + back}
	r.broker = &slot{runner: r, name: "broker", args: func(int) []string {
		return append(append([]string{"broker"}, r.endpoints...), "-drain", brokerDrain.String(),
			"-heartbeat", sc.heartbeat.String(), "-window", sc.window.String(), "-count="+strconv.FormatBool(sc.attacked))
	}}
	for i := range r.cfg.workers {
		s, address, err := r.peer(fmt.Sprintf("worker-%d", i+1), back, uint64(i))
		if err != nil {
			return err
		}
		s.args = func(int) []string {
			return []string{"worker", "-broker", "tcp://" + address, "-drain", workerDrain.String()}
		}
		r.workers = append(r.workers, s)
	}
	for i := range r.cfg.clients {
		s, address, err := r.peer(fmt.Sprintf("client-%d", i+1), front, uint64(1000+i))
		if err != nil {
			return err
		}
		mode := []string{modeReq, modePipeline}[i%2]
		s.args = func(number int) []string {
			seed := r.seed + uint64(i)<<32 + uint64(number)
			return []string{"client", "-broker", "tcp://" + address, "-mode", mode,
				"-rate", strconv.Itoa(max(1, r.cfg.rate/r.cfg.clients)), "-seed", strconv.FormatUint(seed, 10)}
		}
		r.clients = append(r.clients, s)
	}
	return nil
}

// peer makes a slot, and says where its processes connect to.
func (r *runner) peer(name, target string, n uint64) (*slot, string, error) {
	s := &slot{runner: r, name: name}
	if !r.scenario.proxied {
		return s, target, nil
	}
	var err error
	if s.link, err = proxy.Listen(target, r.seed+n); err != nil {
		return nil, "", err
	}
	return s, s.link.Addr(), nil
}

// freeAddresses returns two addresses that stay free while no broker lives:
// below the range from which connections take their own ports, or one that
// knocks there again and again could in the end connect to itself.
func freeAddresses() (front, back string, err error) {
	var found []string
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000))
		l, listenErr := net.Listen("tcp", address)
		if listenErr != nil {
			continue
		}
		defer l.Close()
		if found = append(found, address); len(found) == 2 {
			return found[0], found[1], nil
		}
	}
	return "", "", fmt.Errorf("no free port")
}
