package worker_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

func together(t *testing.T, front, back string, restart bool) {
	run := func() (func(), chan error) {
		b, err := broker.New(broker.Config{Frontends: []string{front}, Backends: []string{back}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		return stop, done
	}
	stop, done := run()
	var mu sync.Mutex
	ran := map[string]int{}
	w := start(t, worker.Config{Brokers: []string{back}, Concurrency: 8}, worker.HandlerFunc(func(ctx context.Context, r *worker.Request) ([]byte, error) {
		mu.Lock()
		ran[r.ID.String()]++
		mu.Unlock()
		time.Sleep(20 * time.Millisecond)
		return r.Body(), nil
	}))
	c, err := client.New(client.Config{Brokers: []string{front}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rep, err := c.Do(context.Background(), client.Request{Service: "default", Body: []byte(fmt.Sprint(i))})
			if err != nil || string(rep.Body()) != fmt.Sprint(i) {
				t.Errorf("%d: %q %v", i, rep.Body(), err)
			}
		}()
	}
	if restart {
		time.Sleep(100 * time.Millisecond)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		stop, done = run()
	}
	wg.Wait()
	c.Close()
	for id, n := range ran {
		if n != 1 {
			t.Errorf("%s ran %d times", id, n)
		}
	}
	if len(ran) != 200 {
		t.Errorf("%d requests ran", len(ran))
	}
	w.stop()
	if err := <-w.done; err != nil {
		t.Error(err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The three parts together, in virtual time; and once more with the broker
// restarted in the middle: every request is answered, and none is run twice.
func TestWithBrokerAndClient(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart=", restart), func(t *testing.T) {
			bubble(t, func(t *testing.T) { together(t, "mem://front", "mem://back", restart) })
		})
	}
}
