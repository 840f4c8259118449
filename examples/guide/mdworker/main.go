// Mdworker is a worker of the Majordomo Protocol, version 0.1 (RFC 7) or 0.2
// (RFC 18), that sends every request's body back.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
)

const (
	ready, request     = "\x01", "\x02"                           // in both versions
	liveness           = 3                                        // so many intervals without a word, and the broker is gone
	pauseMin, pauseMax = 100 * time.Millisecond, 10 * time.Second // before it connects again
)

// A protocol has the frames before each command, and the other commands.
type protocol struct {
	header                                []string
	partial, final, heartbeat, disconnect string
}

var (
	mdp      protocol // the one of these that is spoken
	versions = map[string]protocol{
		"0.1": {[]string{"", "MDPW01"}, "", "\x03", "\x04", "\x05"},
		"0.2": {[]string{"MDPW02"}, "\x03", "\x04", "\x05", "\x06"},
	}
	endpoint = flag.String("broker", "tcp://127.0.0.1:5555", "the `endpoint` to connect to")
	version  = flag.String("version", "0.1", "of the protocol: 0.1 or 0.2")
	service  = flag.String("service", "echo", "the service's name")
	interval = flag.Duration("heartbeat", 2500*time.Millisecond, "time between two heartbeats, the same as the broker's")
	delay    = flag.Duration("delay", 0, "the work on a request takes this long")
	parts    = flag.Int("parts", 0, "send so many partial replies, evenly over the delay, before the final one (0.2)")
	single   = flag.Bool("single", false, "do the work between the heartbeats: none is sent meanwhile")
)

func main() {
	flag.Parse()
	mdp = versions[*version]
	if flag.NArg() > 0 || mdp.header == nil || *interval <= 0 || *parts < 0 || *parts > 0 && mdp.partial == "" {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	network, jobs, pause := must(zmq.NewContext()), startJobs(), pauseMin
	for number := 1; ctx.Err() == nil; number++ {
		if converse(ctx, network, jobs, number) {
			pause = pauseMin
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
			log.Printf("conversation over; connecting again after %v", pause)
			pause = min(2*pause, pauseMax)
		}
	}
	must(0, network.Term()) // waits until DISCONNECT is sent
}

// converse holds one conversation, on a socket of its own: from READY until the
// broker ends it or is silent, or ctx ends. It returns whether the broker spoke.
func converse(ctx context.Context, network *zmq.Context, jobs *zmq.Socket, number int) (heard bool) {
	broker := must(network.NewSocket(zmq.DEALER))
	defer broker.Close()
	must(0, broker.SetLinger(0))
	must(0, broker.Connect(*endpoint))
	silence := liveness * *interval
	beatAt, goneAt := time.Now(), time.Now().Add(silence)
	send := func(command string, frames ...string) {
		must(broker.SendMessage(mdp.header, command, frames))
		beatAt = time.Now().Add(*interval) // whatever is sent shows that the worker lives
	}
	send(ready, *service)
	poller := zmq.NewPoller()
	poller.Add(broker, zmq.POLLIN)
	poller.Add(jobs, zmq.POLLIN)
	for ctx.Err() == nil && time.Now().Before(goneAt) {
		// Not for longer than 100 ms, so that a signal does not wait for a heartbeat.
		for _, r := range must(poller.Poll(max(0, min(time.Until(beatAt), 100*time.Millisecond)))) {
			frames := must(r.Socket.RecvMessage(0))
			if r.Socket == jobs {
				if frames[0] == fmt.Sprint(number) { // a request of this conversation
					send(frames[1], frames[2:]...)
				}
				continue
			}
			switch n := min(len(mdp.header), len(frames)-1); {
			case !slices.Equal(frames[:n], mdp.header):
				log.Printf("not a message of MDP %s to a worker: %q", *version, frames)
				continue
			case frames[n] == mdp.disconnect:
				log.Print("the broker disconnects this worker")
				return heard
			case frames[n] == request && *single:
				work(frames[n+1:], send)
			case frames[n] == request:
				must(jobs.SendMessage(number, frames[n+1:]))
			}
			heard, goneAt = true, time.Now().Add(silence)
		}
		if !time.Now().Before(beatAt) {
			send(mdp.heartbeat)
		}
	}
	if ctx.Err() != nil {
		send(mdp.disconnect)
		must(0, broker.SetLinger(time.Second))
	}
	return heard
}

// work makes the replies to a request: the client's address, an empty frame, the body.
func work(request []string, send func(command string, frames ...string)) {
	for _, command := range append(slices.Repeat([]string{mdp.partial}, *parts), mdp.final) {
		time.Sleep(*delay / time.Duration(*parts+1))
		send(command, request...)
	}
}

// startJobs starts the goroutine that works, and returns the socket to it:
// [number][request …] goes in, [number][command][reply …] comes out.
func startJobs() *zmq.Socket {
	ours, theirs := must(zmq.NewSocket(zmq.PAIR)), must(zmq.NewSocket(zmq.PAIR))
	must(0, ours.Bind("inproc://jobs"))
	must(0, theirs.Connect("inproc://jobs"))
	go func() {
		for {
			job := must(theirs.RecvMessage(0))
			work(job[1:], func(command string, frames ...string) { must(theirs.SendMessage(job[0], command, frames)) })
		}
	}()
	return ours
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
