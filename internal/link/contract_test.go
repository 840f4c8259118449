package link_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/linktest"
)

func TestContract(t *testing.T) {
	var names atomic.Uint64
	memory := func() (link.Host, error) { return link.NewMemory(), nil }
	linktest.Run(t, []linktest.Kind{{
		Name: "memory", Memory: true, Bind: memory, Connect: memory,
		Free: func(*testing.T) string { return fmt.Sprintf("mem://contract-%d", names.Add(1)) },
	}})
}
