package main

import (
	"slices"
	"time"

	"github.com/pebbe/zmq4"
)

func bound(kind zmq4.Type, endpoint string) (*zmq4.Socket, error) {
	s, err := zmq4.NewSocket(kind)
	if err != nil {
		return nil, err
	}
	return s, s.Bind(endpoint)
}

// runGuideGo is the guide's Paranoid Pirate queue as one writes it in Go with
// the plain calls of zmq4: a message at a time, frames as strings.
func runGuideGo(frontend, backend string) error {
	const interval, liveness = time.Second, 3
	type ready struct {
		id     string
		expiry time.Time
	}
	front, err := bound(zmq4.ROUTER, frontend)
	if err != nil {
		return err
	}
	back, err := bound(zmq4.ROUTER, backend)
	if err != nil {
		return err
	}
	var workers []ready
	idle, busy := zmq4.NewPoller(), zmq4.NewPoller()
	idle.Add(back, zmq4.POLLIN)
	busy.Add(back, zmq4.POLLIN)
	busy.Add(front, zmq4.POLLIN)
	beat := time.Now().Add(interval)
	for {
		poller := idle
		if len(workers) > 0 {
			poller = busy
		}
		polled, err := poller.Poll(interval)
		if err != nil {
			return err
		}
		for _, p := range polled {
			frames, err := p.Socket.RecvMessage(0)
			if err != nil {
				return err
			}
			if p.Socket == back {
				id := frames[0]
				workers = slices.DeleteFunc(workers, func(w ready) bool { return w.id == id })
				workers = append(workers, ready{id, time.Now().Add(interval * liveness)})
				if len(frames) > 2 {
					_, err = front.SendMessage(frames[1:])
				}
			} else if len(workers) > 0 {
				_, err = back.SendMessage(workers[0].id, frames)
				workers = workers[1:]
			}
			if err != nil {
				return err
			}
		}
		if time.Now().After(beat) {
			for _, w := range workers {
				if _, err := back.SendMessage(w.id, "\002"); err != nil {
					return err
				}
			}
			beat = time.Now().Add(interval)
		}
		for len(workers) > 0 && time.Now().After(workers[0].expiry) {
			workers = workers[1:]
		}
	}
}

// runProxy is libzmq's own proxy, in C.
func runProxy(frontend, backend string) error {
	front, err := bound(zmq4.ROUTER, frontend)
	if err != nil {
		return err
	}
	back, err := bound(zmq4.DEALER, backend)
	if err != nil {
		return err
	}
	return zmq4.Proxy(front, back, nil)
}
