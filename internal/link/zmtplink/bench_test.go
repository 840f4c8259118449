package zmtplink_test

import (
	"testing"

	"github.com/privateer-mq/privateer/internal/link/linktest"
)

func BenchmarkRoundTrip(b *testing.B) {
	linktest.RunBenchmarks(b, []linktest.Kind{{Name: "zmtp", Bind: newHost, Connect: newHost}})
}
