package main

import (
	"bufio"
	"bytes"
	order "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// Gearman: foreground jobs, by its binary protocol (PROTOCOL in its sources).

const gearmand = "/usr/sbin/gearmand"

func noGearman() string { return exists(gearmand, "make bench-peers installs it") }

func startGearman(frontend, _ string, _ []string) (*process, error) {
	host, port, err := net.SplitHostPort(strings.TrimPrefix(frontend, "tcp://"))
	if err != nil {
		return nil, err
	}
	return start("gearmand", gearmand, "--listen", host, "--port", port, "--log-file", "stderr", "--verbose", "CRITICAL")
}

// The packets that are used here.
const (
	canDo        = 1
	preSleep     = 4
	noop         = 6
	submitJob    = 7
	jobCreated   = 8
	grabJob      = 9
	noJob        = 10
	jobAssign    = 11
	workComplete = 13
)

type gearmanConn struct {
	net.Conn
	in *bufio.Reader
}

func dialGearman(endpoint string) (*gearmanConn, error) {
	c, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
	if err != nil {
		return nil, err
	}
	return &gearmanConn{c, bufio.NewReader(c)}, nil
}

// say sends packets in one write.
func (c *gearmanConn) say(packets ...[]byte) error {
	_, err := c.Write(bytes.Join(packets, nil))
	return err
}

func gearmanPacket(kind uint32, fields ...[]byte) []byte {
	data := bytes.Join(fields, []byte{0})
	b := append([]byte("\x00REQ"), 0, 0, 0, 0, 0, 0, 0, 0)
	order.BigEndian.PutUint32(b[4:], kind)
	order.BigEndian.PutUint32(b[8:], uint32(len(data)))
	return append(b, data...)
}

func (c *gearmanConn) hear() (kind uint32, data []byte, err error) {
	var h [12]byte
	if _, err := io.ReadFull(c.in, h[:]); err != nil {
		return 0, nil, err
	}
	data = make([]byte, order.BigEndian.Uint32(h[8:]))
	_, err = io.ReadFull(c.in, data)
	return order.BigEndian.Uint32(h[4:]), data, err
}

// runGearmanClients asks one request after the other on each connection.
func runGearmanClients(c *clientsConfig) (load, error) {
	body := make([]byte, c.Body)
	var t tally
	var mu sync.Mutex
	var failed error
	l := t.during(c, c.Sockets*c.Window, func() func() {
		conn, err := dialGearman(c.Endpoint)
		if err != nil {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
			return nil
		}
		submit := gearmanPacket(submitJob, []byte(c.Service), nil, body)
		return func() {
			from := time.Now()
			err := conn.ask(submit)
			t.note(from, time.Now(), err)
		}
	})
	return l, failed
}

func (c *gearmanConn) ask(submit []byte) error {
	if err := c.say(submit); err != nil {
		return err
	}
	for {
		kind, _, err := c.hear()
		switch {
		case err != nil:
			return err
		case kind == workComplete:
			return nil
		case kind != jobCreated:
			return fmt.Errorf("packet %d", kind)
		}
	}
}

// runGearmanWorkers answers, each on a connection of its own; Gearman's workers
// hold one job at a time.
func runGearmanWorkers(c *workersConfig) error {
	for range c.Sockets * c.Credit {
		conn, err := dialGearman(c.Endpoint)
		if err != nil {
			return err
		}
		if err := conn.say(gearmanPacket(canDo, []byte(c.Service)), gearmanPacket(grabJob)); err != nil {
			return err
		}
		go conn.work()
	}
	tell("ready")
	time.Sleep(c.For)
	return nil
}

func (c *gearmanConn) work() {
	for {
		kind, data, err := c.hear()
		if err != nil {
			return
		}
		switch kind {
		case noJob:
			err = c.say(gearmanPacket(preSleep))
		case noop:
			err = c.say(gearmanPacket(grabJob))
		case jobAssign:
			f := bytes.SplitN(data, []byte{0}, 3) // handle, function, workload
			err = c.say(gearmanPacket(workComplete, f[0], f[len(f)-1]), gearmanPacket(grabJob))
		}
		if err != nil {
			return
		}
	}
}
