package main

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// NATS core: requests to a queue group. It keeps nothing: a request that is
// with a subscriber that dies is gone.

func natsURL(endpoint string) string { return "nats" + endpoint[len("tcp"):] }

// runNATS is the server, until killed.
func runNATS(at string) error {
	u, err := url.Parse(at)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{Host: host, Port: number, NoLog: true, NoSigs: true})
	if err != nil {
		return err
	}
	s.Start()
	s.WaitForShutdown()
	return nil
}

// runNATSClients keeps a window of requests open on each of c.Sockets
// connections.
func runNATSClients(c *clientsConfig) (load, error) {
	conns := make([]*nats.Conn, c.Sockets)
	for i := range conns {
		conn, err := nats.Connect(natsURL(c.Endpoint))
		if err != nil {
			return load{}, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	body := make([]byte, c.Body)
	return asking(c, func(i int) (int, error) {
		m, err := conns[i].Request(c.Service, body, c.Deadline)
		if err != nil {
			return 0, err
		}
		return len(m.Data), nil
	}), nil
}

// runNATSWorkers answers, each on a connection of its own, where nats.go runs
// one callback at a time. That is the cheapest for a handler that only echoes.
func runNATSWorkers(c *workersConfig) error {
	var errs []error
	for range c.Sockets {
		conn, err := nats.Connect(natsURL(c.Endpoint))
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.QueueSubscribe(c.Service, "workers", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
			return err
		}
		errs = append(errs, conn.Flush())
	}
	tell("ready")
	time.Sleep(c.For)
	return errors.Join(errs...)
}
