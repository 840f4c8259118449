package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/privateer-mq/privateer/integration_test/chaos/history"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
	"github.com/privateer-mq/privateer/protocol"
)

// Rates of the attackers, all of a kind together.
const (
	endlessBytes  = 8 << 20                // of messages that never end, a second
	shakesEach    = 12 * time.Millisecond  // 5,000 a minute: connections that begin a handshake and say no more
	tricklers     = 200                    // connections that send small frames of messages without an end
	trickleEach   = 100 * time.Millisecond // ... each of them
	deafAskers    = 8                      // connections that ask and never read
	deafAsksEach  = 20 * time.Millisecond  // ... each of them, for bulkBytes
	greedyAskers  = 2                      // those of them that ask ten times as often
	millionEach   = 100 * time.Millisecond // 10,000 frames of a message of a million empty ones
	garbageEach   = 20 * time.Millisecond  // messages that mean nothing, to both ports
	attackPatient = 5 * time.Second        // for one write
)

// attackerRole does to a broker what nobody should, until it is ended.
func attackerRole(ctx context.Context, args []string) error {
	r := newRole("attacker")
	front := r.flags.String("front", "", "front endpoint")
	back := r.flags.String("back", "", "back endpoint")
	if err := r.open(ctx, args); err != nil {
		return err
	}
	ends := []string{strings.TrimPrefix(*front, "tcp://"), strings.TrimPrefix(*back, "tcp://")}
	for _, at := range ends {
		go again(ctx, func() { endless(ctx, at) })
		go every(ctx, 2*shakesEach, func() { go halfShake(ctx, at) })
		for range tricklers / 2 {
			go again(ctx, func() { trickle(ctx, at) })
		}
		go again(ctx, func() { garbage(ctx, at) })
		go again(ctx, func() { million(ctx, at) })
	}
	for i := range deafAskers {
		pace := deafAsksEach
		if i < greedyAskers {
			pace /= 10
		}
		go again(ctx, func() { deaf(ctx, ends[0], pace) })
	}
	fmt.Println(sayReady)
	<-ctx.Done()
	return r.history.Close()
}

// again calls f again and again: it returns when its connection was cut.
func again(ctx context.Context, f func()) {
	for ctx.Err() == nil {
		f()
		sleep(ctx, 10*time.Millisecond)
	}
}

func every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// endless sends one message that never ends, in large frames.
func endless(ctx context.Context, at string) {
	const size = 64 << 10
	frame := append(zmtp.AppendHeader(nil, zmtp.More, size), make([]byte, size)...)
	send(ctx, at, time.Second*2*size/endlessBytes, func(int) []byte { return frame })
}

// trickle sends one message that never ends, in small frames.
func trickle(ctx context.Context, at string) {
	frame := append(zmtp.AppendHeader(nil, zmtp.More, 1), 'x')
	send(ctx, at, trickleEach, func(int) []byte { return frame })
}

// million sends one message of a million empty frames.
func million(ctx context.Context, at string) {
	frames := bytes.Repeat(zmtp.AppendHeader(nil, zmtp.More, 0), 10_000)
	send(ctx, at, millionEach, func(int) []byte { return frames })
}

// deaf asks for one large reply again and again, and reads none. It is one id, so
// that what fills the broker's memory is not what it keeps for those who ask again.
func deaf(ctx context.Context, at string, pace time.Duration) {
	m := protocol.Message{Command: protocol.Request, Instance: 1, RemainingMS: 30_000, Service: []byte(bulk), Body: [][]byte{[]byte("?")}}
	_, _ = rand.Read(m.ID[:])
	send(ctx, at, pace, func(n int) []byte {
		m.Number = uint32(n)
		m.Flags = m.Flags.With(protocol.MaybeSent, n > 1)
		frames, _ := protocol.AppendFrames([][]byte{nil}, nil, protocol.FrontIn, &m)
		return encode(frames)
	})
}

// garbage sends messages of random bytes, some of which begin like good ones.
func garbage(ctx context.Context, at string) {
	send(ctx, at, garbageEach, func(n int) []byte {
		body := make([]byte, 64)
		_, _ = rand.Read(body)
		if n%2 == 0 {
			copy(body, "PRV1")
		}
		return encode([][]byte{nil, body})
	})
}

func encode(frames [][]byte) (b []byte) {
	for i, f := range frames {
		flags := byte(zmtp.More)
		if i == len(frames)-1 {
			flags = zmtp.Last
		}
		b = append(zmtp.AppendHeader(b, flags, len(f)), f...)
	}
	return b
}

// send makes a connection and writes to it at a pace, until that fails.
func send(ctx context.Context, at string, pace time.Duration, next func(n int) []byte) {
	nc, err := dial(ctx, at)
	if err != nil {
		return
	}
	defer nc.Close()
	if shake(nc) != nil {
		return
	}
	running, failed := context.WithCancel(ctx)
	defer failed()
	n := 0
	every(running, pace, func() {
		n++
		_ = nc.SetWriteDeadline(time.Now().Add(attackPatient))
		if _, err := nc.Write(next(n)); err != nil {
			failed()
		}
	})
}

// halfShake begins a handshake, and waits until it is ended.
func halfShake(ctx context.Context, at string) {
	nc, err := dial(ctx, at)
	if err != nil {
		return
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	if _, err := nc.Write([]byte("\xff\x00\x00\x00")); err == nil {
		_, _ = io.Copy(io.Discard, nc)
	}
}

func dial(ctx context.Context, at string) (net.Conn, error) {
	return (&net.Dialer{Timeout: attackPatient}).DialContext(ctx, "tcp", at)
}

// shake does the handshake of a DEALER.
func shake(nc net.Conn) error {
	h := zmtp.NewHandshake(zmtp.Config{Type: zmtp.Dealer, Connects: true, Mechanism: zmtp.Null{}})
	_ = nc.SetDeadline(time.Now().Add(attackPatient))
	for b := make([]byte, 1); !h.Done(); {
		if out := h.Output(); len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return err
			}
		}
		if _, err := nc.Read(b); err != nil {
			return err
		}
		if _, err := h.Feed(b); err != nil {
			return err
		}
	}
	return nc.SetDeadline(time.Time{})
}

// attack lets an attacker loose, for as long as f takes.
func (r *runner) attack(ctx context.Context, f func() error) error {
	p, err := r.start("attacker.1", append([]string{"attacker"}, r.endpoints...)...)
	if err != nil {
		return err
	}
	if err := p.listen(ctx, sayReady, startPatience); err != nil {
		return err
	}
	target := r.broker.current.name
	r.history.Add(history.Event{Kind: history.Fault, Fault: history.Attack, Target: target})
	err = f()
	p.signal(syscall.SIGTERM)
	if err == nil {
		err = p.await(ctx, endPatience)
	}
	r.history.Add(history.Event{Kind: history.FaultEnd, Fault: history.Attack, Target: target})
	return err
}
