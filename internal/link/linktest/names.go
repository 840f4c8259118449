package linktest

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
)

// Names makes every host name that Go's resolver has to ask for mean address, of
// IPv6, to this process until the test ends: there is nothing of IPv4. If address is
// the zero Addr, the name server takes questions and never answers. asked is how many
// it has got.
func Names(t testing.TB, address netip.Addr) (asked func() int) {
	t.Helper()
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = server.Close()
	})
	var questions atomic.Int64
	go func() {
		for b := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			questions.Add(1)
			if address.IsValid() {
				_, _ = server.WriteTo(answerName(b[:n], address), from)
			}
		}
	}()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr)) // no Dialer: that reads net.DefaultResolver
	}}
	return func() int { return int(questions.Load()) }
}

// answerName makes an answer of a question (RFC 1035, 4.1).
func answerName(question []byte, address netip.Addr) []byte {
	const header, aaaa = 12, 28
	end := header
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	answer := append([]byte{question[0], question[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question[header:end+5]...)
	if binary.BigEndian.Uint16(question[end+1:]) == aaaa {
		answer[7] = 1
		answer = append(append(answer, 0xc0, header, 0, aaaa, 0, 1, 0, 0, 0, 60, 0, 16), address.AsSlice()...)
	}
	return answer
}
