package zmtplink

// Sockets cannot be written to without waiting here: whatever is to be sent is
// written by a goroutine that lives while there is something.
type driving struct{}

func (*driving) init(*conn) {}

func (c *conn) readSome() (int, error) {
	room := c.reader.Room()
	c.room = len(room)
	return c.net.Read(room)
}

func (c *conn) writeSome() (done bool, err error) { return false, nil }

func (c *conn) writeAll() error {
	var parts [][]byte
	var one []byte
	for {
		c.out.mu.Lock()
		if parts = c.out.next(parts[:0]); len(parts) == 0 {
			c.out.blocked = false
			c.out.mu.Unlock()
			c.drained()
			return nil
		}
		one = append(one[:0], parts[0]...) // for close gives the memory of parts back meanwhile
		c.out.mu.Unlock()
		n, err := c.net.Write(one)
		c.out.mu.Lock()
		if c.out.closed {
			c.out.blocked = false
			c.out.mu.Unlock()
			return nil
		}
		c.sent(n)
		if err != nil {
			c.out.blocked = false
			c.out.mu.Unlock()
			return err
		}
		c.out.mu.Unlock()
	}
}
