// Lazypirate is the client of the ZeroMQ guide's Lazy Pirate pattern: it asks
// on a REQ socket, and when no reply comes in time it throws the socket away
// and asks again on a new one.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
)

var (
	broker    = flag.String("broker", "tcp://127.0.0.1:5555", "the `endpoint` to connect to")
	timeout   = flag.Duration("timeout", 2500*time.Millisecond, "wait this long for a reply")
	retries   = flag.Int("retries", 3, "ask this often in all, then give the request up")
	correlate = flag.Bool("correlate", false, "put a number before each request, and take no reply to another one")
	count     = flag.Int("count", 1, "make this many requests, one after the other")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("lazypirate: ")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: lazypirate [flags] BODY")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *timeout <= 0 || *retries < 1 || *count < 1 {
		flag.Usage()
		os.Exit(2)
	}
	var c client
	ok, lost := 0, 0
	for range *count {
		if reply := c.ask(flag.Arg(0)); reply != nil {
			ok++
			fmt.Println(strings.Join(reply, " "))
		} else {
			lost++
		}
	}
	fmt.Printf("ok=%d lost=%d\n", ok, lost)
	if lost > 0 {
		os.Exit(1)
	}
}

type client struct {
	socket *zmq.Socket // nil: the next request needs a new one
}

// ask returns the frames of the reply, or nil when there is none.
func (c *client) ask(body string) []string {
	for try := 1; try <= *retries; try++ {
		if c.socket == nil {
			c.connect()
		}
		must(c.socket.SendMessage(body))
		if reply := c.receive(); reply != nil {
			return reply
		}
		log.Printf("no reply within %v (%d of %d)", *timeout, try, *retries)
		// A REQ socket that waits for a reply cannot send; only a new one can.
		check(c.socket.Close())
		c.socket = nil
	}
	return nil
}

func (c *client) connect() {
	socket := must(zmq.NewSocket(zmq.REQ))
	check(socket.SetLinger(0)) // what is given up must not be sent later
	if *correlate {
		check(socket.SetReqCorrelate(1))
	}
	check(socket.Connect(*broker))
	c.socket = socket
}

// receive returns the next reply, or nil when none comes in time. It does not
// block once the socket is readable: what made it so may be a message that the
// socket throws away, such as the reply to another request.
func (c *client) receive() []string {
	poller := zmq.NewPoller()
	poller.Add(c.socket, zmq.POLLIN)
	for deadline := time.Now().Add(*timeout); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		must(poller.Poll(left))
		reply, err := c.socket.RecvMessage(zmq.DONTWAIT)
		if !errors.Is(err, zmq.Errno(syscall.EAGAIN)) {
			check(err)
			return reply
		}
	}
}

func check(err error) {
	if err != nil {
		log.Print(err)
		os.Exit(2)
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}
