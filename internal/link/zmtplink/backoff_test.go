package zmtplink_test

import (
	"testing"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

// Whoever accepts and closes at once is asked less and less often, by one link, and
// by link after link as well.
func TestIdleEndpoint(t *testing.T) {
	for _, role := range []link.Role{link.Dealer, link.Req} {
		t.Run(role.String(), func(t *testing.T) {
			t.Parallel()
			d := linktest.NewIdle(t)
			h := linktest.NewHost(t, tcp, role)
			const least, most = 10 * time.Millisecond, 500 * time.Millisecond
			for round := range 3 {
				l, err := h.Open(link.Options{Role: role, Endpoints: []string{d.Endpoint}, ReconnectMin: least, ReconnectMax: most})
				if err != nil {
					t.Fatal(err)
				}
				d.Accept(3*round, 3, least, most)
				linktest.Until(t, "the end was noticed", func() bool { return l.(link.Observed).Stats().Handshakes == 0 })
				time.Sleep(least / 5) // its goroutine notes how long to wait
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
