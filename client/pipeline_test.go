package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// pipeline starts a fake and a Pipeline within a bubble.
func pipeline(t *testing.T, cfg Config, handle func(*fake, *asked), test func(*testing.T, *fake, *Pipeline)) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, endpoint, 7, handle)
		cfg.Brokers = []string{endpoint}
		p, err := NewPipeline(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		test(t, f, p)
	})
}

// A request waits for nobody: 100 that take a second each take a second.
func TestPipelineAtOnce(t *testing.T) {
	slow := func(f *fake, q *asked) {
		f.accept2(q)
		f.after(time.Second, func() { f.echo(q) })
	}
	pipeline(t, Config{}, slow, func(t *testing.T, f *fake, p *Pipeline) {
		start := time.Now()
		list := make([]*Call, 100)
		for i := range list {
			list[i] = p.Go(context.Background(), Request{Service: "s", Body: []byte{byte(i)}})
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("Go took %v", d)
		}
		for i, c := range list {
			<-c.Done()
			if r, err := c.Reply(); err != nil || r.Body()[0] != byte(i) {
				t.Fatalf("%d: %v, %v", i, r, err)
			}
		}
		if d := time.Since(start); d < time.Second || d > time.Second+time.Millisecond {
			t.Errorf("took %v", d)
		}
		if s := p.Stats(); s.Links != 1 || s.Tries != 100 || s.Outcomes[protocol.OK] != 100 {
			t.Errorf("stats %+v", s)
		}
	})
}

func requests(n int) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		for i := range n {
			if !yield(Request{Service: "s", Body: []byte{byte(i)}}) {
				return
			}
		}
	}
}

// Results come in the order of completion, each once, with no more than
// MaxInFlight under way.
func TestResults(t *testing.T) {
	under, most := 0, 0
	handle := func(f *fake, q *asked) {
		f.accept2(q)
		under++
		most = max(most, under)
		wait := time.Second
		if q.msg.Body[0][0]%2 == 0 {
			wait = 1500 * time.Millisecond
		}
		f.after(wait, func() {
			under--
			f.echo(q)
		})
	}
	pipeline(t, Config{MaxInFlight: 4}, handle, func(t *testing.T, f *fake, p *Pipeline) {
		var order []int
		for r, err := range p.Results(context.Background(), requests(10)) {
			if err != nil || r.Reply.Body()[0] != byte(r.Index) || r.Request.Body[0] != byte(r.Index) {
				t.Fatalf("%+v, %v", r, err)
			}
			order = append(order, r.Index)
		}
		if fmt.Sprint(order) != "[1 3 0 2 5 4 7 6 8 9]" {
			t.Errorf("order %v", order)
		}
		f.kill() // so that most may be read
		if most != 4 {
			t.Errorf("%d under way, want 4", most)
		}
		for r, err := range p.Results(context.Background(), requests(0)) {
			t.Errorf("a result of nothing: %+v, %v", r, err)
		}
	})
}

// Breaking off withdraws what is under way.
func TestResultsBreak(t *testing.T) {
	handle := func(f *fake, q *asked) {
		if f.accept2(q); q.msg.Command == protocol.Cancel || q.msg.Body[0][0] == 0 {
			f.echo(q)
		}
	}
	pipeline(t, Config{MaxInFlight: 4}, handle, func(t *testing.T, f *fake, p *Pipeline) {
		for r, err := range p.Results(context.Background(), requests(10)) {
			if r.Index != 0 || err != nil {
				t.Errorf("%+v, %v", r, err)
			}
			synctest.Wait() // what was taken has left
			break
		}
		synctest.Wait()
		// How many were taken before the first outcome came is chance.
		left, cancels := len(f.messages(protocol.Request)), len(f.messages(protocol.Cancel))
		if s := p.Stats(); s.Open != 0 || cancels != left-1 || left > 4 {
			t.Errorf("%d open, %d REQUESTs, %d CANCELs", s.Open, left, cancels)
		}
	})
}

func TestResultsContext(t *testing.T) {
	pipeline(t, Config{MaxInFlight: 4}, func(f *fake, q *asked) {}, func(t *testing.T, f *fake, p *Pipeline) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		n := 0
		for _, err := range p.Results(ctx, requests(10)) {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
			n++
		}
		if n != 10 {
			t.Errorf("%d results", n)
		}
	})
}

// The ACCEPTED of a living broker keeps a slow request where it is; a broker
// that says nothing at all is left.
func TestPipelineFailover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mute := startFake(t, "mem://mute", 1, func(*fake, *asked) {})
		slow := startFake(t, "mem://slow", 2, func(f *fake, q *asked) {
			f.accept(q)
			f.after(9*time.Second, func() { f.echo(q) })
		})
		p, err := NewPipeline(Config{Brokers: []string{"mem://mute", "mem://slow"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		r, err := p.Do(context.Background(), Request{Service: "s"})
		if err != nil || r.Broker != "mem://slow" || !r.FailedOver {
			t.Fatalf("%+v, %v", r, err)
		}
		if n := len(mute.messages(protocol.Request)); n != 1 {
			t.Errorf("the mute broker was asked %d times", n)
		}
		r, err = p.Do(context.Background(), Request{Service: "s"})
		if err != nil || r.Broker != "mem://slow" || r.FailedOver || r.Tries != 4 {
			t.Errorf("%+v, %v", r, err)
		}
		if n := len(slow.messages(protocol.Request)); n < 5 {
			t.Errorf("the slow broker was asked %d times", n)
		}
	})
}

// Whatever a broker does with its replies (late, twice, to the wrong client, or
// not at all), nobody ever gets another request's reply.
func TestNeverAnothersReply(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) { hostile(t, seed) })
	}
}

func hostile(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1)) // the fake's
	mine := rand.New(rand.NewPCG(seed, 2))
	var earlier []*asked
	startFake(t, endpoint, 7, func(f *fake, q *asked) {
		if q.msg.Command != protocol.Request {
			f.echo(q)
			return
		}
		q.msg.Body = slices.Clone(q.msg.Body)
		earlier = append(earlier, q)
		for range r.IntN(4) {
			way, what := q, q
			if r.IntN(3) == 0 {
				way = earlier[r.IntN(len(earlier))]
			}
			if r.IntN(3) == 0 {
				what = earlier[r.IntN(len(earlier))]
			}
			both := &asked{peer: way.peer, envelope: way.envelope, msg: what.msg}
			f.after(time.Duration(r.IntN(3000))*time.Millisecond, func() { f.echo(both) })
		}
	})
	cfg := Config{Brokers: []string{endpoint}, Timeout: time.Second, Retries: 5, Deadline: 8 * time.Second, MaxInFlight: 16}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var list [2]*Pipeline
	for i := range list {
		if list[i], err = NewPipeline(cfg); err != nil {
			t.Fatal(err)
		}
		defer list[i].Close()
	}
	var all sync.WaitGroup
	var ok, dropped int
	var count sync.Mutex
	for i := range uint64(90) {
		do := []doer{c, list[0], list[1]}[i%3]
		wait := time.Duration(mine.IntN(5000)) * time.Millisecond
		all.Go(func() {
			time.Sleep(wait)
			reply, err := do.Do(context.Background(), Request{Service: "s", Body: binary.BigEndian.AppendUint64(nil, i)})
			if err == nil && binary.BigEndian.Uint64(reply.Body()) != i {
				t.Errorf("seed %d: request %d got %x", seed, i, reply.Body())
			}
			count.Lock()
			defer count.Unlock()
			if err == nil {
				ok++
			}
		})
	}
	all.Wait()
	for _, do := range []doer{c, list[0], list[1]} {
		for _, n := range do.Stats().Dropped {
			dropped += int(n)
		}
	}
	if ok < 45 || dropped < 10 {
		t.Errorf("%d of 90 OK, %d dropped: the test proves little", ok, dropped)
	}
}

// Results that are there are not kept back while there is room for more.
func TestResultsSoon(t *testing.T) {
	pipeline(t, Config{MaxInFlight: 4}, nil, func(t *testing.T, f *fake, p *Pipeline) {
		taken := 0
		slow := func(yield func(Request) bool) {
			for taken = 1; taken <= 3; taken++ {
				time.Sleep(time.Second)
				if !yield(Request{Service: "s"}) {
					return
				}
			}
		}
		for r, err := range p.Results(context.Background(), slow) {
			if err != nil || taken > r.Index+2 {
				t.Errorf("result %d came when request %d had been taken: %v", r.Index, taken, err)
			}
		}
	})
}
