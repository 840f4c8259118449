package zmtplink

import (
	"time"

	"github.com/privateer-mq/privateer/internal/link"
)

// farewell is how long a connection whose last bytes were sent waits for the
// other side to close. Closed at once, with something to read that nobody has
// read, TCP would throw away what is still under way.
const farewell = 500 * time.Millisecond

// closeAfter ends the connection when what waits was sent, after linger at the
// latest.
func (c *conn) closeAfter(linger time.Duration) {
	c.out.mu.Lock()
	c.flush()
	c.out.ending = true
	blocked := c.out.blocked
	c.out.mu.Unlock()
	switch {
	case linger <= 0 || !c.isUp():
		c.end(link.ErrClosed)
	case blocked:
		_ = c.setDeadline(time.Now().Add(linger)) // and drain goes on
	default:
		_ = c.setDeadline(time.Now().Add(min(linger, farewell)))
		c.shut()
	}
}

func (c *conn) isUp() bool {
	c.socket.mu.Lock()
	defer c.socket.mu.Unlock()
	return c.up
}

// drained is called when all was written that waited for room.
func (c *conn) drained() {
	c.out.mu.Lock()
	over := c.out.ending && c.out.empty() // more may have come meanwhile, and be waited for
	c.out.mu.Unlock()
	if over {
		_ = c.setDeadline(time.Now().Add(min(c.socket.options.Linger, farewell)))
		c.shut()
	}
}

// shut tells the other side that nothing more comes.
func (c *conn) shut() {
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // it may have gone
	}
}
