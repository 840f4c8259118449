package zmqlink_test

import (
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
	"github.com/privateer-mq/privateer/internal/link/zmqlink"
	"github.com/privateer-mq/privateer/internal/link/zmtplink"
)

// BenchmarkRoundTrip compares the links over the network, and what they are
// beside each other.
func BenchmarkRoundTrip(b *testing.B) {
	zmtp := func() (link.Host, error) { return zmtplink.New(nil), nil }
	linktest.RunBenchmarks(b, []linktest.Kind{
		{Name: "libzmq", Bind: zmqlink.New, Connect: zmqlink.New},
		{Name: "libzmq binds", Bind: zmqlink.New, Connect: zmtp},
		{Name: "zmtp", Bind: zmtp, Connect: zmtp},
	})
}
