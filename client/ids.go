package client

import (
	"bufio"
	"crypto/rand"
	"io"
	"sync"

	"github.com/google/uuid"

	"github.com/privateer-mq/privateer/protocol"
)

// ids makes UUIDv7s. Randomness is read for many at once: a call to the kernel for
// each costs as much as its message. Safe for concurrent use.
type ids struct {
	sync.Mutex
	random io.Reader
}

func newIDs() ids { return ids{random: bufio.NewReaderSize(rand.Reader, 4096)} }

func (g *ids) next() (protocol.ID, error) {
	g.Lock()
	defer g.Unlock()
	id, err := uuid.NewV7FromReader(g.random)
	return protocol.ID(id), err
}
