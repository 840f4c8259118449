package broker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/broker"
	"github.com/privateer-mq/privateer/client"
	"github.com/privateer-mq/privateer/worker"
)

// A reply in parts: they come in order and at once, the caller who takes none
// gets them before the end, and one who takes them slowly holds the handler back.
func TestParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		defer r.end()
		var made atomic.Int32
		stop := r.worker(worker.Config{Services: []string{"count"}}, worker.HandlerFunc(func(_ context.Context, q *worker.Request) ([]byte, error) {
			made.Store(0)
			for i := range 50 {
				if err := q.SendPart(fmt.Appendf(nil, "%d", i)); err != nil {
					return nil, err
				}
				made.Add(1)
			}
			return []byte("end"), nil
		}))
		defer stop()
		p := r.pipeline(client.Config{})
		defer p.Close()
		n := 0
		for part, err := range p.Stream(t.Context(), client.Request{Service: "count"}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			want := fmt.Sprint(n - 1)
			if n == 51 {
				want = "end"
			}
			if part.Number != n || part.Restarted || part.Last != (n == 51) || string(part.Body()) != want {
				t.Fatalf("part %+v, want number %d, %q", part, n, want)
			}
			if n == 3 {
				time.Sleep(time.Second)
				if n := made.Load(); n > 3+16+1 {
					t.Errorf("%d parts made while 3 were taken", n)
				}
			}
		}
		if n != 51 {
			t.Errorf("%d parts", n)
		}
		reply, err := p.Do(t.Context(), client.Request{Service: "count"})
		if err != nil || len(reply.Frames) != 51 || string(reply.Frames[49]) != "49" || string(reply.Frames[50]) != "end" {
			t.Errorf("joined: %q, %v", reply.Frames, err)
		}
	})
}

// Who breaks off withdraws the request; an error of the handler ends the reply.
func TestPartsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, broker.Config{})
		defer r.end()
		ended := make(chan error, 1)
		stop := r.worker(worker.Config{Services: []string{"endless", "fails"}}, worker.HandlerFunc(func(ctx context.Context, q *worker.Request) ([]byte, error) {
			if q.Service == "fails" {
				return nil, errors.Join(q.SendPart([]byte("one")), q.SendPart(make([]byte, 2<<20)))
			}
			for {
				if err := q.SendPart([]byte("more")); err != nil {
					ended <- err
					return nil, err
				}
			}
		}))
		defer stop()
		p := r.pipeline(client.Config{})
		defer p.Close()
		for _, err := range p.Stream(t.Context(), client.Request{Service: "endless"}) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if err := <-ended; !errors.Is(err, worker.ErrWithdrawn) {
			t.Errorf("the handler heard %v", err)
		}
		var got []string
		for part, err := range p.Stream(t.Context(), client.Request{Service: "fails"}) {
			got = append(got, fmt.Sprintf("%s %v", part.Body(), err))
		}
		if len(got) == 0 || !strings.Contains(got[len(got)-1], "over the broker's limit") {
			t.Errorf("got %q", got)
		}
	})
}

func (r *rig) pipeline(cfg client.Config) *client.Pipeline {
	r.t.Helper()
	cfg.Brokers = []string{r.front}
	p, err := client.NewPipeline(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}
