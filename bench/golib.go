package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// The product's own libraries as clients and workers.

// told is kept, or the garbage collector would close it.
var told = os.NewFile(control, "control")

// tell writes a line to whoever started this child.
func tell(line string) { _, _ = fmt.Fprintln(told, line) }

// tally is what goroutines that ask have seen.
type tally struct {
	sync.Mutex
	load
	ns         []uint64
	begin, end time.Time
}

func (t *tally) note(from, to time.Time, err error) {
	t.Lock()
	defer t.Unlock()
	switch {
	case err != nil:
		t.Failed++
		t.Error = err.Error()
	case !from.Before(t.begin) && to.Before(t.end):
		t.Done++
		t.ns = append(t.ns, uint64(to.Sub(from)))
	}
}

func (t *tally) result() load {
	t.Seconds = t.end.Sub(t.begin).Seconds()
	if len(t.ns) > 0 {
		t.summarise(t.ns)
	}
	return t.load
}

// during tells when the measured time begins and ends, while askers ask. Each
// is made before that; a nil one does not ask.
func (t *tally) during(c *clientsConfig, askers int, asker func() func()) load {
	asks := make([]func(), askers)
	for i := range asks {
		asks[i] = asker()
	}
	t.begin = time.Now().Add(c.Warmup)
	t.end = t.begin.Add(c.Measured)
	var all sync.WaitGroup
	for _, ask := range asks {
		if ask == nil {
			continue
		}
		all.Go(func() {
			for time.Now().Before(t.end) {
				ask()
			}
		})
	}
	time.Sleep(time.Until(t.begin))
	tell("begin")
	time.Sleep(time.Until(t.end))
	tell("end")
	all.Wait()
	return t.result()
}

// runPipeline keeps a window open in one client.Pipeline.
func runPipeline(c *clientsConfig) (load, error) {
	p, err := client.NewPipeline(client.Config{Brokers: []string{c.Endpoint}, MaxInFlight: c.Window})
	if err != nil {
		return load{}, err
	}
	defer func() { _ = p.Close() }()
	request := client.Request{Service: c.Service, Body: make([]byte, c.Body)}
	var t tally
	ask := func() {
		from := time.Now()
		_, err := p.Do(context.Background(), request)
		t.note(from, time.Now(), err)
	}
	return t.during(c, c.Window, func() func() { return ask }), nil
}

// runDo asks one request after the other with client.Client.
func runDo(c *clientsConfig) (load, error) {
	k, err := client.New(client.Config{Brokers: []string{c.Endpoint}})
	if err != nil {
		return load{}, err
	}
	defer func() { _ = k.Close() }()
	request := client.Request{Service: c.Service, Body: make([]byte, c.Body)}
	var t tally
	ask := func() {
		from := time.Now()
		_, err := k.Do(context.Background(), request)
		t.note(from, time.Now(), err)
	}
	return t.during(c, 1, func() func() { return ask }), nil
}

// runGoWorkers is package worker with a handler that echoes.
func runGoWorkers(c *workersConfig) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.For)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, c.Sockets)
	for i := range c.Sockets {
		w, err := worker.New(worker.Config{Brokers: []string{c.Endpoint}, Services: []string{c.Service}, Concurrency: c.Credit},
			worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
		if err != nil {
			return err
		}
		all.Go(func() { errs[i] = w.Run(ctx) })
	}
	time.Sleep(registered)
	tell("ready")
	all.Wait()
	return errors.Join(errs...)
}
