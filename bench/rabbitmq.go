package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// RabbitMQ: requests through a classic queue, replies by direct reply-to.

const rabbitServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"

func noRabbitMQ() string {
	return exists(rabbitServer, "make bench-peers installs it")
}

// startRabbitMQ starts a server of its own in a scratch folder. Its process is
// the Erlang machine, which does all the work.
func startRabbitMQ(frontend, _ string, _ []string) (*process, error) {
	home, err := os.MkdirTemp("", "rabbitmq")
	if err != nil {
		return nil, err
	}
	port := frontend[strings.LastIndex(frontend, ":")+1:]
	distribution, err := freeEndpoint()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(home, "rabbitmq.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listeners.tcp.1 = 127.0.0.1:%s\nlog.console = false\nlog.file = false\n", port), 0o600); err != nil {
		return nil, err
	}
	p, err := start("rabbitmq", "env", "HOME="+home, "RABBITMQ_NODENAME=bench"+strconv.Itoa(os.Getpid())+"@localhost",
		"RABBITMQ_BASE="+home, "RABBITMQ_MNESIA_BASE="+home, "RABBITMQ_LOG_BASE="+home, "RABBITMQ_CONFIG_FILE="+conf,
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(home, "plugins"), "RUNNING_UNDER_SYSTEMD=true", "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_DIST_PORT="+distribution[strings.LastIndex(distribution, ":")+1:], rabbitServer)
	if err != nil {
		return nil, err
	}
	p.after = func() {
		_ = os.RemoveAll(home)
		_ = exec.Command("epmd", "-kill").Run() // Erlang's name server; it stays where others use it
	}
	return p, nil
}

func dialRabbitMQ(endpoint string) (c *amqp.Connection, err error) {
	for end := time.Now().Add(startMax); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if c, err = amqp.Dial("amqp://guest:guest@" + endpoint[len("tcp://"):] + "/"); err == nil {
			return c, nil
		}
	}
	return nil, err
}

// runRabbitMQClients asks one request after the other on each channel.
func runRabbitMQClients(c *clientsConfig) (load, error) {
	body := make([]byte, c.Body)
	var t tally
	var mu sync.Mutex
	var failed error
	l := t.during(c, c.Sockets*c.Window, func() func() {
		ask, err := rabbitAsker(c, body)
		if err != nil {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
			return nil
		}
		return func() {
			from := time.Now()
			err := ask()
			t.note(from, time.Now(), err)
		}
	})
	return l, failed
}

func rabbitAsker(c *clientsConfig, body []byte) (func() error, error) {
	conn, err := dialRabbitMQ(c.Endpoint)
	if err != nil {
		return nil, err
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	if err != nil {
		return nil, err
	}
	return func() error {
		if err := ch.PublishWithContext(context.Background(), "", c.Service, false, false,
			amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: "1", Body: body}); err != nil {
			return err
		}
		if _, ok := <-replies; !ok {
			return errors.New("the channel was closed")
		}
		return nil
	}, nil
}

// runRabbitMQWorkers answers, each on a connection of its own.
func runRabbitMQWorkers(c *workersConfig) error {
	for range c.Sockets {
		conn, err := dialRabbitMQ(c.Endpoint)
		if err != nil {
			return err
		}
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		if _, err := ch.QueueDeclare(c.Service, false, false, false, false, nil); err != nil {
			return err
		}
		if err := ch.Qos(c.Credit, 0, false); err != nil {
			return err
		}
		asked, err := ch.Consume(c.Service, "", false, false, false, false, nil)
		if err != nil {
			return err
		}
		go func() {
			for d := range asked {
				_ = ch.PublishWithContext(context.Background(), "", d.ReplyTo, false, false, amqp.Publishing{CorrelationId: d.CorrelationId, Body: d.Body})
				_ = d.Ack(false)
			}
		}()
	}
	tell("ready")
	time.Sleep(c.For)
	return nil
}
