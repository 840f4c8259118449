// Ppworker is a worker of the Paranoid Pirate Protocol (RFC 6) that sends every
// request's body back.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
)

const (
	ready     = "\x01"
	heartbeat = "\x02"

	liveness = 3                      // so many intervals without a word, and the broker is gone
	pauseMin = 100 * time.Millisecond // before the worker connects again; doubles each time
	pauseMax = 10 * time.Second
)

var (
	endpoint = flag.String("broker", "tcp://127.0.0.1:5556", "the `endpoint` to connect to")
	interval = flag.Duration("heartbeat", time.Second, "time between two heartbeats, the same as the broker's")
	delay    = flag.Duration("delay", 0, "the work on a request takes this long")
	name     = flag.String("name", "", "the socket's routing id; without one, the broker makes one up")
	single   = flag.Bool("single", false, "do the work between the heartbeats: none is sent meanwhile")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("ppworker: ")
	flag.Parse()
	if flag.NArg() > 0 || *interval <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	jobs := startJobs()
	pause := pauseMin
	for number := 1; ; number++ {
		if converse(ctx, jobs, number) {
			pause = pauseMin
		}
		if ctx.Err() != nil {
			return
		}
		log.Printf("the broker is silent; connecting again after %v", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, pauseMax)
		}
	}
}

// converse holds one conversation, on a socket of its own: from READY until
// the broker is silent or ctx ends. It returns whether the broker said anything.
func converse(ctx context.Context, jobs *zmq.Socket, number int) (heard bool) {
	broker := connect()
	defer broker.Close()
	silence := liveness * *interval
	beatAt, goneAt := time.Now(), time.Now().Add(silence)
	send := func(parts ...any) {
		must(broker.SendMessage(parts...))
		beatAt = time.Now().Add(*interval) // whatever is sent shows that the worker lives
	}
	send(ready)
	poller := zmq.NewPoller()
	poller.Add(broker, zmq.POLLIN)
	poller.Add(jobs, zmq.POLLIN)
	for ctx.Err() == nil && time.Now().Before(goneAt) {
		// Not for longer, so that a signal does not wait for a heartbeat.
		wait := min(time.Until(beatAt), 100*time.Millisecond)
		for _, r := range must(poller.Poll(max(wait, 0))) {
			frames := must(r.Socket.RecvMessageBytes(0))
			switch {
			case r.Socket == jobs:
				// The reply to a request of an earlier conversation has no place in this one.
				if string(frames[0]) == fmt.Sprint(number) {
					send(frames[1:])
				}
				continue
			case len(frames) == 1: // HEARTBEAT; a request has more
			case *single:
				send(work(frames))
			default:
				must(jobs.SendMessage(number, frames))
			}
			heard, goneAt = true, time.Now().Add(silence)
		}
		if !time.Now().Before(beatAt) {
			send(heartbeat)
		}
	}
	return heard
}

func connect() *zmq.Socket {
	broker := must(zmq.NewSocket(zmq.DEALER))
	check(broker.SetLinger(0))
	if *name != "" {
		check(broker.SetIdentity(*name))
	}
	check(broker.Connect(*endpoint))
	return broker
}

// work makes the reply to a request. Both begin with the addresses of those who
// wait for it, ended by an empty frame; an echo repeats them with the body.
func work(request [][]byte) (reply [][]byte) {
	time.Sleep(*delay)
	return request
}

// startJobs starts the goroutine that works, one request after the other, and
// returns the socket to it: [number][request …] goes in, [number][reply …]
// comes out.
func startJobs() *zmq.Socket {
	ours := must(zmq.NewSocket(zmq.PAIR))
	check(ours.Bind("inproc://jobs"))
	theirs := must(zmq.NewSocket(zmq.PAIR))
	check(theirs.Connect("inproc://jobs"))
	go func() {
		for {
			job := must(theirs.RecvMessageBytes(0))
			must(theirs.SendMessage(job[0], work(job[1:])))
		}
	}()
	return ours
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}
