package zmtplink

import (
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// Netpolled is New(nil), but for the poller: each connection has a goroutine.
func Netpolled() link.Host {
	h := New(nil).(*host)
	if h.poller != nil {
		h.poller.close()
		h.poller = nil
	}
	return h
}

// AskEach makes two looks at who holds a routing id so far apart.
func AskEach(h link.Host, d time.Duration) { h.(*host).askEach = d }

// HandshakeWithin makes the handshakes on h's links end after d.
func HandshakeWithin(h link.Host, d time.Duration) { h.(*host).handshake = d }
