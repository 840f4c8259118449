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

// asking keeps c.Window requests open on each of c.Sockets connections. do is
// one request on connection i, and returns the length of its answer.
func asking(c *clientsConfig, do func(i int) (int, error)) load {
	var t tally
	next := 0
	return t.during(c, c.Sockets*c.Window, func() func() {
		i := next % c.Sockets
		next++
		return func() {
			from := time.Now()
			n, err := do(i)
			to := time.Now()
			if err == nil && n != c.Body {
				err = fmt.Errorf("an answer of %d bytes to a request of %d", n, c.Body)
			}
			t.note(from, to, err)
		}
	})
}

// clientConfig is how every client in Go is set up.
func clientConfig(c *clientsConfig) client.Config {
	return client.Config{Brokers: []string{c.Endpoint}, MaxInFlight: c.Window, Deadline: c.Deadline}
}

// workerConfig is how every worker in Go is set up.
func workerConfig(c *workersConfig) worker.Config {
	return worker.Config{Brokers: []string{c.Endpoint}, Services: []string{c.Service}, Concurrency: c.Credit}
}

// runPipelines keeps a window open in each of c.Sockets client.Pipelines, which
// have a connection each.
func runPipelines(c *clientsConfig) (load, error) {
	all := make([]*client.Pipeline, c.Sockets)
	for i := range all {
		p, err := client.NewPipeline(clientConfig(c))
		if err != nil {
			return load{}, err
		}
		defer func() { _ = p.Close() }()
		all[i] = p
	}
	request := client.Request{Service: c.Service, Body: make([]byte, c.Body)}
	return asking(c, func(i int) (int, error) {
		reply, err := all[i].Do(context.Background(), request)
		return len(reply.Body()), err
	}), nil
}

// runDo asks one request after the other with client.Client.
func runDo(c *clientsConfig) (load, error) {
	k, err := client.New(clientConfig(c))
	if err != nil {
		return load{}, err
	}
	defer func() { _ = k.Close() }()
	request := client.Request{Service: c.Service, Body: make([]byte, c.Body)}
	return asking(c, func(int) (int, error) {
		reply, err := k.Do(context.Background(), request)
		return len(reply.Body()), err
	}), nil
}

// runGoWorkers is package worker with a handler that echoes, c.Sockets times,
// with a connection each.
func runGoWorkers(c *workersConfig) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.For)
	defer cancel()
	var all sync.WaitGroup
	errs := make([]error, c.Sockets)
	for i := range c.Sockets {
		w, err := worker.New(workerConfig(c), worker.HandlerFunc(func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
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
