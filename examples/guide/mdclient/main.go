// Mdclient is a client of the Majordomo Protocol, version 0.1 (RFC 7) or 0.2
// (RFC 18). When the broker is silent it asks again, on a new socket.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	zmq "github.com/pebbe/zmq4"
)

// The second frame of 0.2; 0.1 has none.
const request, partial, final = "\x01", "\x02", "\x03"

var (
	broker  = flag.String("broker", "tcp://127.0.0.1:5555", "the `endpoint` to connect to")
	version = flag.String("version", "0.1", "of the protocol: 0.1 or 0.2")
	dealer  = flag.Bool("dealer", false, "use a DEALER socket in 0.1 too, not REQ")
	timeout = flag.Duration("timeout", 2500*time.Millisecond, "wait this long for a reply, partial or final")
	retries = flag.Int("retries", 3, "ask this often in all, then give the request up")
	count   = flag.Int("count", 1, "make this many requests, one after the other")
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("mdclient: ")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: mdclient [flags] SERVICE BODY")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 || *timeout <= 0 || *retries < 1 || *count < 1 || *version != "0.1" && *version != "0.2" {
		flag.Usage()
		os.Exit(2)
	}
	c := client{service: flag.Arg(0)}
	lost := 0
	for range *count {
		if !c.ask(flag.Arg(1)) {
			lost++
		}
	}
	fmt.Printf("ok=%d lost=%d\n", *count-lost, lost)
	if lost > 0 {
		os.Exit(1)
	}
}

type client struct {
	service string
	socket  *zmq.Socket // nil: the next request needs a new one
}

// ask makes a request and prints what comes back. It returns whether all did.
func (c *client) ask(body string) bool {
	for try := 1; try <= *retries; try++ {
		if c.socket == nil {
			c.connect()
		}
		must(c.socket.SendMessage(c.header(request), body))
		err := c.await()
		if err == nil {
			return true
		}
		log.Printf("%v (%d of %d)", err, try, *retries)
		check(c.socket.Close())
		c.socket = nil
	}
	return false
}

// header is what all messages, in and out, begin with. A REQ socket adds the
// empty frame of 0.1 itself, and takes it away again.
func (c *client) header(command string) []string {
	switch {
	case *version == "0.2":
		return []string{"MDPC02", command, c.service}
	case *dealer:
		return []string{"", "MDPC01", c.service}
	}
	return []string{"MDPC01", c.service}
}

func (c *client) connect() {
	kind := zmq.REQ
	if *dealer || *version == "0.2" {
		kind = zmq.DEALER
	}
	c.socket = must(zmq.NewSocket(kind))
	check(c.socket.SetLinger(0)) // what is given up must not be sent later
	check(c.socket.Connect(*broker))
}

// await prints the replies to a request up to the last.
func (c *client) await() error {
	for {
		frames := c.receive()
		n := min(len(c.header(final)), len(frames)-1) // a body has one frame at least
		switch {
		case frames == nil:
			return fmt.Errorf("no reply within %v", *timeout)
		case slices.Equal(frames[:n], c.header(final)):
			fmt.Println(strings.Join(frames[n:], " "))
			return nil
		case slices.Equal(frames[:n], c.header(partial)):
			fmt.Println("partial", strings.Join(frames[n:], " "))
		default:
			return fmt.Errorf("not a reply of MDP %s from %s: %q", *version, c.service, frames)
		}
	}
}

// receive returns the next message, or nil when none comes in time. It does not
// block once the socket is readable: a REQ socket may throw away what made it so.
func (c *client) receive() []string {
	poller := zmq.NewPoller()
	poller.Add(c.socket, zmq.POLLIN)
	for deadline := time.Now().Add(*timeout); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		must(poller.Poll(left))
		frames, err := c.socket.RecvMessage(zmq.DONTWAIT)
		if !errors.Is(err, zmq.Errno(syscall.EAGAIN)) {
			check(err)
			return frames
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
