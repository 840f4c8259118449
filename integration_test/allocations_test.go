package integration

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// A request makes few pieces of garbage: what its caller and its handler get, and
// little else. They are counted, by whose they are.
func TestAllocations(t *testing.T) {
	const asked, askers, most = 4000, 16, 4.25 // four, and what is not made for each
	before := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = before }()
	b, err := broker.New(broker.Config{Transport: "zmtp", Frontends: []string{"tcp://127.0.0.1:0"}, Backends: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = b.Run(ctx) })
	<-b.Ready()
	front, back := b.Addrs()
	w, err := worker.New(worker.Config{Transport: "zmtp", Brokers: []string{back}, Services: []string{"echo"}, Concurrency: askers}, worker.HandlerFunc(
		func(_ context.Context, r *worker.Request) ([]byte, error) { return r.Body(), nil }))
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { _ = w.Run(ctx) })
	p, err := client.NewPipeline(client.Config{Transport: "zmtp", Brokers: []string{front}, MaxInFlight: askers})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ask := func(each int) {
		var all sync.WaitGroup
		body := make([]byte, 64)
		for range askers {
			all.Go(func() {
				for range each {
					if _, err := p.Do(context.Background(), client.Request{Service: "echo", Body: body}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	ask(100) // until what is used again is there
	made := allocations()
	ask(asked / askers)
	for who, n := range allocations() {
		each := float64(n-made[who]) / asked
		t.Logf("%s: %.2f a request", who, each)
		if limit := map[string]float64{"client": most, "worker": most, "broker": 1.5}[who]; limit > 0 && each > limit*pooled {
			t.Errorf("%s: %.2f pieces of memory a request, want %.1f at most", who, each, limit*pooled)
		}
	}
}

// allocations is how many pieces of memory were made so far, by the package on
// whose goroutine.
func allocations() map[string]int64 {
	runtime.GC() // what was made until now is in the profile after two
	runtime.GC()
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 1<<16)
	n, ok := runtime.MemProfile(records, true)
	if !ok {
		panic("more places than records")
	}
	made := map[string]int64{}
	for i := range records[:n] {
		r := &records[i]
		made[owner(r.Stack())] += r.AllocObjects
	}
	return made
}

func owner(stack []uintptr) string {
	frames := runtime.CallersFrames(stack)
	for {
		f, more := frames.Next()
		for _, who := range []string{"client", "worker", "broker"} {
			if strings.Contains(f.Function, "/privateer/"+who+".") {
				return who
			}
		}
		if !more {
			return "others"
		}
	}
}
