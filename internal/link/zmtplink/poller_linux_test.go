//go:build linux && !netpoller

package zmtplink

import (
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
)

// While the owner is elsewhere, what it is called for does not pile up.
func TestOneCallForALook(t *testing.T) {
	s, c := lone(t, link.Options{Role: link.Router})
	s.host = New(nil).(*host)
	p := s.host.poller
	defer p.close()
	c.polled.on = true
	for range 2 {
		for range 100 {
			s.lookAt(c)
		}
		if len(p.called) != 1 {
			t.Fatalf("called %d times", len(p.called))
		}
		p.changes()
	}
	if len(p.called) != 0 {
		t.Fatalf("%d calls are left", len(p.called))
	}
}
